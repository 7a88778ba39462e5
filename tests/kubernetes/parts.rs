//! What belongs to each other agrees: labels and selectors, ports, and files that come from elsewhere.

use std::{collections::BTreeSet, fs};

use mxwatch::cli::DEFAULT_LISTEN;
use serde_json::json;

use crate::manifests::{BASE, Manifests, SHARDED, everything, project, read, texts, yaml};

#[test]
fn all_of_them_mean_the_same_pods_and_port() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let labels = manifests.template()["metadata"]["labels"].as_object().unwrap();
        let service = manifests.one("Service");
        let policy = manifests.one("NetworkPolicy");
        let budget = manifests.one("PodDisruptionBudget");
        for selector in [
            &service["spec"]["selector"],
            &policy["spec"]["podSelector"]["matchLabels"],
            &budget["spec"]["selector"]["matchLabels"],
        ] {
            let selector = selector.as_object().unwrap();
            assert!(!selector.is_empty(), "{folder}");
            assert!(
                selector.iter().all(|(key, value)| labels.get(key) == Some(value)),
                "{selector:?}"
            );
        }
        // A budget that never lets a pod go holds up whoever maintains the nodes.
        assert_eq!(budget["spec"]["maxUnavailable"], 1);

        let port = &manifests.container()["ports"][0];
        assert_eq!(format!(":{}", port["containerPort"]), DEFAULT_LISTEN);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
        assert_eq!(service["spec"]["ports"][0]["port"], port["containerPort"]);
        assert_eq!(
            policy["spec"]["ingress"][0]["ports"],
            json!([{ "port": port["name"], "protocol": "TCP" }])
        );
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(manifests.container()[probe]["httpGet"]["port"], port["name"], "{probe}");
        }

        if folder == BASE {
            continue;
        }
        let monitor = &manifests.one("ServiceMonitor")["spec"];
        let endpoint = &monitor["endpoints"][0];
        assert_eq!(endpoint["port"], service["spec"]["ports"][0]["name"]);
        let carried = service["metadata"]["labels"].as_object().unwrap();
        let wanted = monitor["selector"]["matchLabels"].as_object().unwrap();
        assert!(wanted.iter().all(|(key, value)| carried.get(key) == Some(value)), "{wanted:?}");
        // Rules and dashboards go by the name of the job.
        assert_eq!(carried[monitor["jobLabel"].as_str().unwrap()], "mxwatch");
        let config = yaml(&read("config/prometheus/prometheus.yml"));
        assert_eq!(endpoint["interval"], config["global"]["scrape_interval"]);
        assert_eq!(endpoint["scrapeTimeout"], config["global"]["scrape_timeout"]);
    }
}

/// What may leave is what the agent does by default, and where smart hosts listen.
#[test]
fn the_network_policy_lets_out_what_the_agent_asks() {
    let Some(manifests) = Manifests::of(BASE) else { return };
    let policy = &manifests.one("NetworkPolicy")["spec"];
    assert_eq!(texts(&policy["policyTypes"]), ["Ingress", "Egress"]);
    let egress = policy["egress"].as_array().unwrap();
    let [rule] = &egress[..] else { panic!("{egress:?}") };
    assert!(rule.get("to").is_none(), "exchangers are everywhere");
    let ports = rule["ports"].as_array().unwrap().iter();
    let ports: BTreeSet<String> = ports
        .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap()))
        .collect();
    let config = read("config/mxwatch.toml");
    for key in ["port", "policy_port"] {
        let port = config.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).unwrap();
        assert!(ports.contains(&format!("{port}/TCP")), "{key}: {ports:?}");
    }
    for port in ["53/UDP", "53/TCP", "853/TCP", "443/TCP", "465/TCP", "587/TCP"] {
        assert!(ports.contains(port), "{port}: {ports:?}");
    }
}

#[test]
fn rules_and_dashboards_are_those_of_the_project() {
    let Some(manifests) = Manifests::of(SHARDED) else { return };
    let rules = manifests.all("PrometheusRule");
    for (name, file) in [("mxwatch-alerts", "alerts"), ("mxwatch-recording", "recording")] {
        let from = yaml(&read(&format!("config/prometheus/rules/{file}.yml")));
        assert_eq!(
            rules[name]["spec"], from,
            "{file}: packaging/kubernetes/generate makes it anew"
        );
    }
    let files = fs::read_dir(project("config/prometheus/rules")).unwrap();
    assert_eq!(rules.len(), files.count());

    let dashboards =
        fs::read_dir(project("dashboards")).unwrap().map(|entry| entry.unwrap().path());
    for path in dashboards.filter(|path| path.extension().is_some_and(|kind| kind == "json")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(manifests.file(name), fs::read_to_string(&path).unwrap(), "{name}");
    }
    let maps = manifests.all("ConfigMap");
    for (name, map) in maps.iter().filter(|(name, _)| name.starts_with("mxwatch-dashboard-")) {
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1", "{name}");
    }
}
