//! The manifests as kustomize makes them, and ways to their parts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::servers::program::{find, skip};

pub(crate) const BASE: &str = "base";
pub(crate) const SINGLE: &str = "overlays/single";
pub(crate) const SHARDED: &str = "overlays/sharded";
/// The oldest kustomize that knows all that is used here; kubectl has it since 1.27.
const KUSTOMIZE: u32 = 5;

pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The objects that kustomize makes of a folder.
pub(crate) struct Manifests(pub(crate) Vec<Value>);

impl Manifests {
    /// `None` where there is no kubectl that can.
    pub(crate) fn of(folder: &str) -> Option<Self> {
        let kubectl = find("kubectl", "kubernetes-client, 1.27 or newer")?;
        let version = Command::new(&kubectl).args(["version", "--client", "-o", "json"]).output();
        let version: Value = serde_json::from_slice(&version.unwrap().stdout).unwrap_or_default();
        let version = version["kustomizeVersion"].as_str().unwrap_or_default();
        let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
        if major.parse::<u32>().is_ok_and(|major| major < KUSTOMIZE) || major.is_empty() {
            skip(&format!("kubectl has kustomize {version:?}, older than {KUSTOMIZE}"));
            return None;
        }
        let path = project("packaging/kubernetes").join(folder);
        let made = Command::new(kubectl).arg("kustomize").arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        // A deprecated field is only warned of.
        assert!(made.status.success() && said.is_empty(), "{folder}: {said}");
        let text = String::from_utf8(made.stdout).unwrap();
        Some(Self(text.split("\n---\n").map(yaml).collect()))
    }

    /// Those of a kind, by their names.
    pub(crate) fn all(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let of_kind = self.0.iter().filter(|object| object["kind"] == kind);
        of_kind.map(|object| (object["metadata"]["name"].as_str().unwrap(), object)).collect()
    }

    /// The only one of a kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let found = self.all(kind);
        let [(_, object)] = found.iter().collect::<Vec<_>>()[..] else {
            panic!("{kind}: {:?}", found.keys())
        };
        object
    }

    /// What the pods are started from.
    pub(crate) fn template(&self) -> &Value {
        let kinds = ["Deployment", "StatefulSet"];
        let mut found =
            self.0.iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
        let (Some(workload), None) = (found.next(), found.next()) else {
            panic!("not one workload")
        };
        &workload["spec"]["template"]
    }

    pub(crate) fn container(&self) -> &Value {
        let containers = self.template()["spec"]["containers"].as_array().unwrap();
        let [container] = &containers[..] else { panic!("{containers:?}") };
        container
    }

    /// The text of a file in the only ConfigMap that has it.
    pub(crate) fn file(&self, name: &str) -> &str {
        let maps = self.all("ConfigMap");
        let mut found = maps.values().filter_map(|map| map["data"].get(name)?.as_str());
        let (Some(text), None) = (found.next(), found.next()) else { panic!("{name}") };
        text
    }

    /// Where a volume is mounted.
    pub(crate) fn mount(&self, volume: &str) -> &str {
        let mounts = self.container()["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == volume).unwrap();
        mount["mountPath"].as_str().unwrap()
    }
}

/// Everything that is made here, each with its name.
pub(crate) fn everything() -> Option<Vec<(&'static str, Manifests)>> {
    [BASE, SINGLE, SHARDED]
        .map(|folder| Some((folder, Manifests::of(folder)?)))
        .into_iter()
        .collect()
}

pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}
