//! The scrape job for those without the operator, as the guide has it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    harness::{Agent, wait_until},
    manifests::{Manifests, SINGLE, read, yaml},
    servers::{
        http::get,
        program::{Program, at_free_port, find},
    },
};

fn job_of_the_guide() -> Value {
    let guide = read("docs/kubernetes.md");
    let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks.filter(|block| block.contains("scrape_configs")).collect();
    let [job] = blocks[..] else { panic!("{blocks:?}") };
    yaml(job)["scrape_configs"][0].take()
}

#[test]
fn the_job_in_the_guide_is_that_of_the_operator() {
    let Some(manifests) = Manifests::of(SINGLE) else { return };
    let job = job_of_the_guide();
    let endpoint = &manifests.one("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(job["job_name"], "mxwatch");
    assert_eq!(job["scrape_interval"], endpoint["interval"]);
    assert_eq!(job["scrape_timeout"], endpoint["scrapeTimeout"]);
    let service = &manifests.one("Service")["metadata"];
    let namespaces = &job["kubernetes_sd_configs"][0]["namespaces"]["names"];
    assert_eq!(*namespaces, json!([service["namespace"]]));
    let [kept, named] = [0, 1].map(|step| &job["relabel_configs"][step]);
    assert_eq!((&kept["action"], &kept["regex"]), (&json!("keep"), &service["name"]));
    assert_eq!(named["source_labels"], endpoint["relabelings"][0]["sourceLabels"]);
    assert_eq!(named["target_label"], endpoint["relabelings"][0]["targetLabel"]);
}

#[test]
fn prometheus_names_the_agent_after_its_service() {
    let Some(prometheus) = find("prometheus", "prometheus") else { return };
    let agent = Agent::start("helo_name = \"mail.example.org\"\n");
    let mut job = job_of_the_guide();
    // Debian's Prometheus is built without the discovery in Kubernetes; this is what it would find.
    job.as_object_mut().unwrap().remove("kubernetes_sd_configs");
    let found = |service: &str, target: &str| json!({ "targets": [target], "labels": { "__meta_kubernetes_service_name": service } });
    job["static_configs"] =
        json!([found("mxwatch", &agent.address().to_string()), found("other", "127.0.0.1:1")]);
    job["scrape_interval"] = json!("1s");
    job["scrape_timeout"] = json!("1s");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    fs::write(&config, json!({ "scrape_configs": [job] }).to_string()).unwrap();
    let (_program, address) = at_free_port(|port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(&prometheus);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join(port.to_string()).display()));
        command.arg(format!("--web.listen-address={address}"));
        let mut program = Program::start(&mut command, dir.path());
        let ready = || get(address, "/-/ready").is_some();
        program.wait_until(ready).then_some((program, address))
    });
    let up = wait_until("a scrape of the agent", || {
        let answer: Value = serde_json::from_str(&get(address, "/api/v1/query?query=up")?).unwrap();
        let up = answer["data"]["result"].as_array()?.clone();
        up.iter().any(|up| up["value"][1] == "1").then_some(up)
    });
    let [up] = &up[..] else { panic!("more than the agent: {up:?}") };
    let metric = json!({ "__name__": "up", "job": "mxwatch", "instance": "mxwatch" });
    assert_eq!(up["metric"], metric);
}
