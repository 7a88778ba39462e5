//! packaging/kubernetes: what kustomize makes of it is what the APIs know, its parts agree with each
//! other and with the program, and the agent reads the configuration in it as it would in a pod.
//!
//! No cluster is here: what an API server, a kubelet or the operator does with it is not tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use jsonschema::Validator;
use mxwatch::cli::{Cli, DEFAULT_CONFIG, DEFAULT_LISTEN};
use serde_json::{Value, json};

#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the tests against real servers")]
mod servers;
use harness::{Agent, run, wait_until};
use servers::{
    http::get,
    program::{Program, at_free_port, find, skip},
};

const BASE: &str = "base";
const SINGLE: &str = "overlays/single";
const SHARDED: &str = "overlays/sharded";
/// `kubectl apply` notes an object down in an annotation of itself, and annotations have a limit.
const MOST_BYTES: usize = 256 * 1024;
/// The oldest kustomize that knows all that is used here; kubectl has it since 1.27.
const KUSTOMIZE: u32 = 5;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The objects that kustomize makes of a folder.
struct Manifests(Vec<Value>);

impl Manifests {
    /// `None` where there is no kubectl that can.
    fn of(folder: &str) -> Option<Self> {
        let kubectl = find("kubectl", "kubectl 1.27 or newer")?;
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
    fn all(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let of_kind = self.0.iter().filter(|object| object["kind"] == kind);
        of_kind.map(|object| (object["metadata"]["name"].as_str().unwrap(), object)).collect()
    }

    /// The only one of a kind.
    fn one(&self, kind: &str) -> &Value {
        let found = self.all(kind);
        let [(_, object)] = found.iter().collect::<Vec<_>>()[..] else {
            panic!("{kind}: {:?}", found.keys())
        };
        object
    }

    /// What the pods are started from.
    fn template(&self) -> &Value {
        let kinds = ["Deployment", "StatefulSet"];
        let mut found =
            self.0.iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
        let (Some(workload), None) = (found.next(), found.next()) else {
            panic!("not one workload")
        };
        &workload["spec"]["template"]
    }

    fn container(&self) -> &Value {
        let containers = self.template()["spec"]["containers"].as_array().unwrap();
        let [container] = &containers[..] else { panic!("{containers:?}") };
        container
    }

    /// The text of a file in the only ConfigMap that has it.
    fn file(&self, name: &str) -> &str {
        let maps = self.all("ConfigMap");
        let mut found = maps.values().filter_map(|map| map["data"].get(name)?.as_str());
        let (Some(text), None) = (found.next(), found.next()) else { panic!("{name}") };
        text
    }

    /// Where a volume is mounted.
    fn mount(&self, volume: &str) -> &str {
        let mounts = self.container()["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == volume).unwrap();
        mount["mountPath"].as_str().unwrap()
    }
}

/// Everything that is made here, each with its name.
fn everything() -> Option<Vec<(&'static str, Manifests)>> {
    [BASE, SINGLE, SHARDED]
        .map(|folder| Some((folder, Manifests::of(folder)?)))
        .into_iter()
        .collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// What is wrong with an object as its API has it; tests/reference/kubernetes/README.md says whence.
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

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, restricted, for Linux.
#[test]
fn pods_keep_to_the_restricted_standard() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let (pod, container) = (&manifests.template()["spec"], manifests.container());
        for host in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert!(pod.get(host).is_none(), "{folder}: {host}");
        }
        let volumes = pod["volumes"].as_array().unwrap();
        for volume in volumes {
            let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
            assert!(
                kinds.into_iter().all(|kind| kind == "configMap" || kind == "secret"),
                "{volume}"
            );
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let own = &container["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }));
        assert!(
            container["ports"]
                .as_array()
                .unwrap()
                .iter()
                .all(|port| port.get("hostPort").is_none())
        );
        // Beyond the standard: nothing can be written, and nothing be asked of the API server.
        assert_eq!(own["readOnlyRootFilesystem"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let level = &manifests.one("Namespace")["metadata"]["labels"];
        assert_eq!(level["pod-security.kubernetes.io/enforce"], "restricted");

        let recipe = read("packaging/oci/Containerfile");
        let user = recipe.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
        let (uid, gid) =
            (&pod["securityContext"]["runAsUser"], &pod["securityContext"]["runAsGroup"]);
        assert_eq!(format!("{uid}:{gid}"), user);
        assert_eq!(pod["securityContext"]["fsGroup"], *gid, "secrets are its group's to read");
    }
}

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

/// The job in the guide, for those without the operator.
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
fn agents_share_the_domains_among_as_many_as_there_are() {
    let (Some(single), Some(sharded)) = (Manifests::of(SINGLE), Manifests::of(SHARDED)) else {
        return;
    };
    let set = &sharded.one("StatefulSet")["spec"];
    let count = set["replicas"].as_u64().unwrap();
    assert!(count > 1);
    let args = texts(&sharded.container()["args"]);
    let shards: Vec<_> = args.iter().filter(|arg| arg.starts_with("--shard")).collect();
    assert_eq!(shards, [&format!("--shard=ordinal/{count}")]);
    // Pods of a set have a number and a name of their own in the Service that the set names.
    assert_eq!(set["serviceName"], sharded.one("Service")["metadata"]["name"]);
    assert_eq!(sharded.one("Service")["spec"]["clusterIP"], "None");
    assert_eq!(set["podManagementPolicy"], "Parallel");

    // One alone watches all, and never beside another.
    let deployment = &single.one("Deployment")["spec"];
    assert_eq!(
        (&deployment["replicas"], &deployment["strategy"]["type"]),
        (&json!(1), &json!("Recreate"))
    );
    assert!(!texts(&single.container()["args"]).iter().any(|arg| arg.starts_with("--shard")));
    let mut template = sharded.template().clone();
    template["spec"]["containers"][0]["args"] = single.container()["args"].clone();
    assert_eq!(template, *single.template());

    // Series go on when a pod is replaced: by the name that the next one has as well.
    for (manifests, named_after) in [(single, "service"), (sharded, "pod")] {
        let relabelings = &manifests.one("ServiceMonitor")["spec"]["endpoints"][0]["relabelings"];
        let source = json!([format!("__meta_kubernetes_{named_after}_name")]);
        assert_eq!(relabelings[0], json!({ "sourceLabels": source, "targetLabel": "instance" }));
        assert_eq!(relabelings[1]["action"], "labeldrop");
    }
}

#[test]
fn the_image_is_that_of_this_version_and_takes_these_flags() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let container = manifests.container();
        let image = container["image"].as_str().unwrap();
        assert!(image.ends_with(concat!("/mxwatch:", env!("CARGO_PKG_VERSION"))), "{image}");
        assert!(read("docs/kubernetes.md").contains(&format!("docker push {image}\n")), "{image}");
        let flags =
            texts(&container["args"]).into_iter().filter(|arg| !arg.starts_with("--shard="));
        let cli = Cli::try_parse_from(["mxwatch"].into_iter().chain(flags));
        let config = cli.unwrap_or_else(|error| panic!("{folder}: {error}")).agent.config_file;
        assert_eq!(config, Path::new(DEFAULT_CONFIG));
        assert_eq!(config, Path::new(manifests.mount("config")).join("mxwatch.toml"));
        let grace = manifests.template()["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(grace.is_some_and(|grace| grace > 5), "the agent has five seconds to end");
    }
}

/// The configuration as it is mounted, with the folders of the pod below one here.
fn mounted(manifests: &Manifests, root: &Path) -> String {
    let mut config = manifests.file("mxwatch.toml").to_owned();
    let mut destinations = manifests.file("destinations.toml").to_owned();
    for text in [&mut config, &mut destinations] {
        for volume in ["destinations", "secrets"] {
            let mount = manifests.mount(volume);
            *text = text.replace(mount, &format!("{}{mount}", root.display()));
        }
    }
    let config_file =
        root.join(manifests.mount("config").trim_start_matches('/')).join("mxwatch.toml");
    fs::create_dir_all(config_file.parent().unwrap()).unwrap();
    fs::write(&config_file, config).unwrap();
    write_as_kubelet(&folder(manifests, "destinations", root), "destinations.toml", &destinations);
    config_file.display().to_string()
}

fn folder(manifests: &Manifests, volume: &str, root: &Path) -> PathBuf {
    root.join(manifests.mount(volume).trim_start_matches('/'))
}

/// Puts a file of a ConfigMap in place as the kubelet does: in a new folder, to which a link is moved.
fn write_as_kubelet(volume: &Path, name: &str, text: &str) {
    let earlier = fs::read_dir(volume).map(Iterator::count).unwrap_or_default();
    let new = volume.join(format!("..{earlier}"));
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join(name), text).unwrap();
    symlink(new.file_name().unwrap(), volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    let seen = volume.join(name);
    if !seen.is_symlink() {
        symlink(Path::new("..data").join(name), seen).unwrap();
    }
}

#[test]
fn the_agent_takes_the_configuration() {
    let Some(manifests) = Manifests::of(BASE) else { return };
    let root = tempfile::tempdir().unwrap();
    let config = mounted(&manifests, root.path());
    let check = || run(&[&format!("--config.file={config}"), "--config.check"]);
    let ran = check();
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("{config}: good, 0 destinations\n")),
        "{}",
        ran.stderr
    );

    // With everything that is only shown in it.
    let secrets = folder(&manifests, "secrets", root.path());
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("relay"), "secret\n").unwrap();
    let destinations = folder(&manifests, "destinations", root.path());
    let text = fs::read_to_string(destinations.join("destinations.toml")).unwrap();
    let shown =
        text.split_once("# [[").map(|(before, after)| format!("{before}[[{after}")).unwrap();
    let shown = shown.lines().map(|line| {
        let key = line.strip_prefix("# ").filter(|rest| rest.contains(" = \""));
        key.unwrap_or(line)
    });
    let shown: Vec<_> = shown.collect();
    write_as_kubelet(&destinations, "destinations.toml", &shown.join("\n"));
    let ran = check();
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("{config}: good, 1 destination\n")),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_changed_list_of_domains_needs_no_restart() {
    let Some(manifests) = Manifests::of(BASE) else { return };
    let root = tempfile::tempdir().unwrap();
    let config = mounted(&manifests, root.path());
    let destinations = folder(&manifests, "destinations", root.path());
    // Nobody is asked about them.
    let config = fs::read_to_string(config).unwrap()
        + "[[resolver]]\nname = \"nobody\"\nservers = [\"127.0.0.1:1\"]\n";
    let agent = Agent::start(&config);
    for (path, kind) in [("/-/healthy", "livenessProbe"), ("/-/ready", "readinessProbe")] {
        assert_eq!(manifests.container()[kind]["httpGet"]["path"], path);
    }
    agent.wait_ready();
    assert_eq!(agent.get("/-/healthy").status, 200);
    for (domains, count) in [("\"one.test\"", 1.0), ("\"one.test\", \"two.test\"", 2.0)] {
        write_as_kubelet(&destinations, "destinations.toml", &format!("domains = [{domains}]\n"));
        agent.scrape_until("the domains", |scrape| {
            scrape.value("mxwatch_destinations", &[]) == Some(count)
        });
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
