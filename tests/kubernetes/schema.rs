//! Every object against the types of its API; tests/reference/kubernetes/README.md says whence.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::manifests::{everything, read};

/// `kubectl apply` notes an object down in an annotation of itself, and annotations have a limit.
const MOST_BYTES: usize = 256 * 1024;

/// What is wrong with an object as its API has it.
fn complaints(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap();
    let operator = object["apiVersion"].as_str().unwrap().starts_with("monitoring.coreos.com/");
    let file = if operator { "prometheus_operator" } else { "kubernetes" };
    let schema = read(&format!("tests/reference/kubernetes/{file}.json"));
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    if schema["definitions"].get(kind).is_none() {
        return vec![format!("{kind}: no such kind")];
    }
    schema["$ref"] = json!(format!("#/definitions/{kind}"));
    let validator = Validator::new(&schema).expect("a schema that can be compiled");
    let errors = validator.iter_errors(object);
    errors.map(|error| format!("{kind}{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_object_is_what_its_api_knows() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let mut named = BTreeSet::new();
        for object in &manifests.0 {
            let found = complaints(object);
            assert!(found.is_empty(), "{folder}: {}", found.join("\n"));
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            assert!(object.to_string().len() < MOST_BYTES, "{folder}: {kind} {name}");
            assert!(named.insert((kind.as_str(), name.as_str())), "{folder}: {kind} {name} twice");
            let namespace = object["metadata"]["namespace"].as_str();
            let wanted = (kind != "Namespace").then_some("mxwatch");
            assert_eq!(namespace, wanted, "{folder}: {kind} {name}");
        }
    }
}

#[test]
fn what_an_api_does_not_know_is_found() {
    let wrong = [
        json!({ "apiVersion": "v1", "kind": "Service", "spec": { "port": [] } }),
        json!({ "apiVersion": "v1", "kind": "Service", "spec": { "ports": [{ "port": "http" }] } }),
        json!({ "apiVersion": "apps/v2", "kind": "Deployment" }),
        json!({ "apiVersion": "v1", "kind": "Servise" }),
        json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
                "spec": { "selector": {}, "endpoints": [{ "interval": "half a minute" }] } }),
    ];
    for object in wrong {
        assert_eq!(complaints(&object).len(), 1, "{object}: {:?}", complaints(&object));
    }
}
