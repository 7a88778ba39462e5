//! compose.yaml and what it mounts: the files agree with each other, and Prometheus, Alertmanager and
//! the agent run together with the very flags and files of their containers.
//!
//! Images are not built or pulled here, and Grafana is not started.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[allow(dead_code, reason = "shared with the other tests against real servers")]
mod servers;
use harness::{Agent, wait_until};
use servers::{
    http::get,
    program::{Program, at_free_port, find},
};

/// A file or folder of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(&project(path))).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(of: &'a Value, key: &str) -> Vec<&'a str> {
    let items = of[key].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("{key}: {item}"))).collect()
}

/// The services by their names.
fn services() -> BTreeMap<String, Value> {
    serde_json::from_value(yaml("compose.yaml")["services"].clone()).unwrap()
}

/// A service's folders and files of the project with their places in its container, outer ones first.
fn mounts(service: &Value) -> Vec<(PathBuf, PathBuf)> {
    let mounted = list(service, "volumes").into_iter().filter_map(|volume| {
        let (host, place) = volume.strip_prefix("./")?.split_once(':')?;
        let place = place.strip_suffix(":ro").unwrap_or_else(|| panic!("{volume} is writable"));
        Some((PathBuf::from(place), project(host)))
    });
    mounted.collect::<BTreeMap<_, _>>().into_iter().map(|(place, host)| (host, place)).collect()
}

/// Where a path of a container comes from.
fn source(service: &Value, place: &str) -> PathBuf {
    let mounts = mounts(service);
    let below = |at: &PathBuf| Path::new(place).strip_prefix(at).ok();
    let found = mounts.iter().rev().find_map(|(host, at)| Some(host.join(below(at)?)));
    found.unwrap_or_else(|| panic!("nothing is mounted over {place}"))
}

#[test]
fn only_this_host_gets_at_it() {
    for (name, service) in services() {
        let ports = list(&service, "ports");
        assert!(!ports.is_empty(), "{name}");
        assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name}: {ports:?}");
    }
}

#[test]
fn images_have_a_version_and_the_agent_is_built_from_what_is_there() {
    let services = services();
    for (name, service) in services.iter().filter(|(_, service)| service["build"].is_null()) {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name}: no image"));
        let version = image.rsplit_once(':').map_or("", |(_, tag)| tag.trim_start_matches('v'));
        let numbers = version.split('.').filter(|part| part.parse::<u32>().is_ok());
        assert_eq!(numbers.count(), 3, "{image}");
    }
    let recipe = read(&project(services["agent"]["build"]["dockerfile"].as_str().unwrap()));
    let ignored = read(&project(".dockerignore"));
    let copies = recipe.lines().filter_map(|line| line.strip_prefix("COPY "));
    let from_here = copies.filter(|copy| !copy.starts_with("--from"));
    let paths: Vec<&str> = from_here.flat_map(|copy| copy.split(' ').rev().skip(1)).collect();
    assert!(paths.contains(&"src"), "{paths:?}");
    for path in paths {
        assert!(project(path).exists(), "{path}");
        assert!(ignored.lines().any(|line| line == format!("!{path}")), "{path} in .dockerignore");
    }
}

#[test]
fn whatever_is_mounted_is_there() {
    for (name, service) in services() {
        let mounts = mounts(&service);
        for (host, _) in &mounts {
            assert!(host.exists(), "{name}: {}", host.display());
        }
        // A place inside another mount cannot be made when it is missing: that one is read-only.
        let memory = list(&service, "tmpfs").into_iter().map(Path::new);
        for place in mounts.iter().map(|(_, place)| place.as_path()).chain(memory) {
            for (host, outer) in mounts.iter().filter(|(_, outer)| outer != place) {
                let Ok(below) = place.strip_prefix(outer) else { continue };
                assert!(host.join(below).is_dir(), "{name}: {}", place.display());
            }
        }
    }
}

#[test]
fn grafana_finds_its_sources_and_dashboards() {
    let services = services();
    let grafana = &services["grafana"];
    let environment = &grafana["environment"];

    let sources =
        yaml("config/grafana/provisioning/datasources/mxwatch.yaml")["datasources"].clone();
    let sources: Vec<Value> = serde_json::from_value(sources).unwrap();
    let uids: BTreeMap<_, _> =
        sources.iter().map(|source| (source["type"].as_str().unwrap(), &source["uid"])).collect();
    assert_eq!(uids.keys().copied().collect::<Vec<_>>(), ["alertmanager", "prometheus"]);
    for source in &sources {
        // Grafana takes it from its environment, where compose.yaml puts a service and its port.
        let variable = source["url"].as_str().unwrap().trim_start_matches('$');
        let url = environment[variable].as_str().unwrap_or_else(|| panic!("{variable} is not set"));
        let (service, port) = url.strip_prefix("http://").unwrap().split_once(':').unwrap();
        assert_eq!(service, source["type"]);
        let ports = list(&services[service], "ports");
        assert!(ports.iter().all(|mapped| mapped.ends_with(&format!(":{port}"))), "{ports:?}");
        if service == "prometheus" {
            assert_eq!(source["jsonData"]["alertmanagerUid"], *uids["alertmanager"]);
            for config in ["prometheus.yml", "prometheus-several.yml"] {
                let config = yaml(&format!("config/prometheus/{config}"));
                let interval = &config["global"]["scrape_interval"];
                assert_eq!(source["jsonData"]["timeInterval"], *interval);
            }
        }
    }

    let providers = yaml("config/grafana/provisioning/dashboards/mxwatch.yaml");
    let folder = providers["providers"][0]["options"]["path"].as_str().unwrap();
    assert_eq!(source(grafana, folder), project("dashboards"));
    let home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    let home: Value = serde_json::from_str(&read(&source(grafana, home))).unwrap();
    assert_eq!(home["uid"], "mxwatch-overview");
}

#[test]
fn scrape_configurations_are_accepted() {
    let Some(promtool) = find("promtool", "prometheus") else { return };
    let accepted = |config: &Path| {
        let output =
            Command::new(&promtool).args(["check", "config"]).arg(config).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            output.status.success() && !said.contains("WARNING"),
            "{}: {said}",
            config.display()
        );
    };
    let folder = project("config/prometheus");
    for name in ["prometheus.yml", "prometheus-several.yml"] {
        accepted(&folder.join(name));
    }

    let guides = ["docs/monitoring.md", "docs/scaling.md"].map(|guide| read(&project(guide)));
    let scratch = tempfile::tempdir().unwrap();
    let example = scratch.path().join("prometheus.yml");
    for guide in guides {
        let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut examples = 0;
        for block in blocks.filter(|block| block.contains("scrape_configs:")) {
            fs::write(&example, block).unwrap();
            accepted(&example);
            examples += 1;
        }
        assert!(examples > 0, "no example in the guide");
    }
}

#[test]
fn the_guide_replaces_every_address_in_alerts() {
    let mut alerts = read(&project("config/prometheus/rules/alerts.yml"));
    for line in read(&project("docs/monitoring.md")).lines() {
        let Some(expression) = line.strip_prefix("sed -i 's#") else { continue };
        let (from, rest) = expression.split_once('#').unwrap();
        let (to, file) = rest.split_once("#' ").unwrap();
        assert_eq!(file, "/etc/prometheus/rules/alerts.yml");
        assert!(alerts.contains(from), "{from}");
        alerts = alerts.replace(from, to);
    }
    let left: Vec<_> = alerts.lines().filter(|line| line.contains("example.com")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A service's files as its container has them, below a folder here.
struct Container {
    root: TempDir,
    flags: Vec<String>,
}

impl Container {
    fn of(service: &Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (host, place) in mounts(service) {
            copy(&host, &inside(root.path(), &place));
        }
        let flags = list(service, "command").into_iter().map(|flag| {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            let path = Path::new(value).has_root().then(|| inside(root.path(), Path::new(value)));
            path.map_or_else(|| flag.to_owned(), |path| format!("{name}={}", path.display()))
        });
        let flags = flags.collect();
        Self { root, flags }
    }

    /// Replaces what must be another here, in one of its files.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = inside(self.root.path(), Path::new(file));
        let text = read(&path);
        assert!(text.contains(from), "{file} without {from}: {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Starts a program with the flags of the container, but at a free port.
    fn start(&self, program: &Path) -> (Program, SocketAddr) {
        at_free_port(|port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut command = Command::new(program);
            command.args(&self.flags).arg(format!("--web.listen-address={address}"));
            let mut program = Program::start(&mut command, self.root.path());
            let ready = || get(address, "/-/ready").is_some();
            program.wait_until(ready).then_some((program, address))
        })
    }
}

fn inside(root: &Path, place: &Path) -> PathBuf {
    root.join(place.strip_prefix("/").unwrap())
}

/// Copies a file or folder over what may be there, as a mount would hide it.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// What an API of Prometheus answers.
fn ask(prometheus: SocketAddr, path: &str) -> Value {
    let body = get(prometheus, path).unwrap_or_else(|| panic!("refused: {path}"));
    serde_json::from_str::<Value>(&body).unwrap()["data"].clone()
}

#[test]
fn the_services_run_together() {
    let Some(prometheus) = find("prometheus", "prometheus") else { return };
    let Some(alertmanager) = find("prometheus-alertmanager", "prometheus-alertmanager") else {
        return;
    };
    let services = services();

    let command = list(&services["agent"], "command");
    assert_eq!(command[0], "demo");
    // In its container the port is its own.
    let flags: Vec<String> = command.iter().skip(1).map(|it| it.replace(":10187", ":0")).collect();
    let agent = Agent::demo(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(agent.address().ip().is_unspecified(), "{}", agent.address());
    let agent_here = format!("127.0.0.1:{}", agent.address().port());

    let container_of_alerts = Container::of(&services["alertmanager"]);
    let (_alertmanager, alerts) = container_of_alerts.start(&alertmanager);

    let container = Container::of(&services["prometheus"]);
    container.replace("/etc/prometheus/targets/mxwatch.yml", "agent:10187", &agent_here);
    let alertmanager_here = alerts.to_string();
    let targets = "/etc/prometheus/targets/alertmanager.yml";
    container.replace(targets, "alertmanager:9093", &alertmanager_here);
    // Nobody waits half a minute for a scrape here.
    let config = "/etc/prometheus/prometheus.yml";
    container.replace(config, "scrape_interval: 30s\n", "scrape_interval: 1s\n");
    container.replace(config, "scrape_timeout: 20s\n", "scrape_timeout: 1s\n");
    container.replace(config, "evaluation_interval: 30s\n", "evaluation_interval: 1s\n");
    let (_prometheus, prometheus) = container.start(&prometheus);

    let up = wait_until("a scrape of the agent", || {
        let up = ask(prometheus, "/api/v1/query?query=up");
        up["result"].as_array().filter(|up| !up.is_empty()).cloned()
    });
    let [up] = &up[..] else { panic!("more than the agent: {up:?}") };
    assert_eq!((&up["metric"]["job"], &up["value"][1]), (&"mxwatch".into(), &"1".into()), "{up}");
    let alertmanagers = wait_until("the Alertmanager", || {
        let found = ask(prometheus, "/api/v1/alertmanagers")["activeAlertmanagers"].clone();
        found.as_array().filter(|found| !found.is_empty()).cloned()
    });
    assert_eq!(alertmanagers[0]["url"], format!("http://{alerts}/api/v2/alerts"));
    // Rules record what the demo tells, and none of them fails. A group with an interval of its own has
    // its first evaluation too late for this.
    wait_until("a recorded series", || {
        let query = "/api/v1/query?query=instance_domain_mx_family:mx_exchanger_up:route";
        ask(prometheus, query)["result"].as_array().filter(|found| !found.is_empty()).map(|_| ())
    });
    let rules = wait_until("an evaluation of the rules", || {
        let groups = ask(prometheus, "/api/v1/rules")["groups"].as_array().unwrap().clone();
        let soon = groups.iter().filter(|group| group["interval"] == 1);
        let rules = soon.flat_map(|group| group["rules"].as_array().unwrap());
        let rules: Vec<Value> = rules.cloned().collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    assert!(!rules.is_empty());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}
