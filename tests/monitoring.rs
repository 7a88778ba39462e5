//! Rules, dashboards and the Alertmanager configuration name only what there is, and every alert has
//! what it needs: words, a runbook, and tests in which it fires, stays silent and resolves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

mod promql;
#[allow(dead_code, reason = "shared with the tests against real servers")]
mod servers;
use promql::{Labels, UNKNOWN, Vocabulary, labels_of, labels_of_template, queries_of_template};
use servers::program::find;

const RECORDING: &str = "config/prometheus/rules/recording.yml";
const ALERTS: &str = "config/prometheus/rules/alerts.yml";
const RUNBOOKS: &str = "docs/runbooks";

#[derive(Debug, Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    wait: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rules(name: &str) -> Vec<Group> {
    let rules: Rules = serde_saphyr::from_str(&read(name)).unwrap();
    rules.groups
}

fn alerts() -> Vec<Rule> {
    rules(ALERTS).into_iter().flat_map(|group| group.rules).collect()
}

/// The files of a folder with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == ending));
    assert!(!files.is_empty(), "no .{ending} in {folder}");
    files.sort();
    files
}

/// Everything that a query may name, what the rules record and what alerts become included.
fn vocabulary() -> Vocabulary {
    let mut vocabulary = Vocabulary::of_the_agent(&read("README.md"));
    for rule in rules(RECORDING).into_iter().flat_map(|group| group.rules) {
        let name = rule.record.expect("only what is recorded");
        vocabulary.record(&name, &rule.expr, &rule.labels);
    }
    let mut of_alerts = Labels::from(["alertname".to_owned(), "alertstate".to_owned()]);
    for alert in alerts() {
        of_alerts.extend(labels_of(&alert.expr, &vocabulary));
        of_alerts.extend(alert.labels.keys().cloned());
    }
    vocabulary.add("ALERTS", of_alerts);
    vocabulary
}

#[test]
fn alerts_name_only_what_exists() {
    let vocabulary = vocabulary();
    for alert in alerts() {
        let name = alert.alert.as_deref().expect("only alerts");
        let mut labels = labels_of(&alert.expr, &vocabulary);
        labels.extend(alert.labels.keys().cloned());
        for (annotation, text) in &alert.annotations {
            for label in labels_of_template(text) {
                assert!(labels.contains(&label), "{name}: {annotation} has no label {label}");
            }
            for query in queries_of_template(text) {
                labels_of(&query, &vocabulary);
            }
        }
    }
}

#[test]
fn a_query_that_names_what_does_not_exist_is_noticed() {
    let vocabulary = vocabulary();
    labels_of("sum by (mx) (mx_exchanger_up{family=\"ipv4\"})", &vocabulary);
    for wrong in [
        "mx_exchanger_upp",
        "mx_exchanger_up{domain=\"example.com\"}",
        "sum by (domain) (mx_exchanger_up)",
        "sum without (domain) (mx_exchanger_up)",
        "mx_exchanger_up * on (mx, domain) group_right () mx_route",
        "mx_route * on (mx) group_left (stage) mx_exchanger_up",
        "max(mx_exchanger_up) and on (mx) mx_route",
        "mx_exchanger_failure{reason=\"time_out\"}",
        "mx_exchanger_failure{reason=~\"timeout|refussed\"}",
        "mx_exchanger_finding{finding=~\"aaa_.*_a_ok\"}",
        "histogram_quantile(0.9, sum by (mx) (rate(mx_connect_duration_seconds_bucket[5m])))",
        "domain_sender:mx_delivery_failing:rate",
        "mx_exchanger_up{",
    ] {
        let read = std::panic::catch_unwind(|| labels_of(wrong, &vocabulary));
        assert!(read.is_err(), "{wrong} passes");
    }
}

#[test]
fn every_alert_has_words_and_a_runbook() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert.alert.clone().unwrap();
        let annotation = |key: &str| {
            let text = alert.annotations.get(key).map(String::as_str);
            text.unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        let summary = annotation("summary");
        assert!(summary.ends_with('.') && !summary.contains("{{"), "{name}: {summary}");
        assert!(annotation("description").ends_with(['.', '}']), "{name}");
        let runbook = annotation("runbook_url").rsplit('/').next().unwrap();
        assert_eq!(runbook, format!("{name}.md"));
        assert!(path(RUNBOOKS).join(runbook).is_file(), "{RUNBOOKS} has no {runbook}");
        let severity = alert.labels["severity"].as_str();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let scope = alert.labels["scope"].as_str();
        let scopes = ["delivery", "exchanger", "domain", "resolver", "vantage", "agent"];
        assert!(scopes.contains(&scope), "{name}: {scope}");
        names.insert(name);
    }
    for file in files(RUNBOOKS, "md") {
        let name = file.file_stem().unwrap().to_string_lossy();
        assert!(name == "README" || names.contains(&*name), "there is no alert {name}");
    }
}

/// `Severity critical · for 10m · scope delivery · labels domain, sender`, part by part.
#[test]
fn every_runbook_says_when_its_alert_fires_and_what_it_carries() {
    let vocabulary = vocabulary();
    let mut by_name: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for alert in alerts() {
        by_name.entry(alert.alert.clone().unwrap()).or_default().push(alert);
    }
    for (name, alerts) in by_name {
        let page = read(&format!("{RUNBOOKS}/{name}.md"));
        let line = page.lines().nth(2).unwrap();
        let part = |begin: &str| {
            let part = line.split(" · ").find_map(|part| part.strip_prefix(begin));
            part.map(|part| part.split(" (").next().unwrap())
        };
        let severities: Vec<&str> = alerts.iter().map(|a| a.labels["severity"].as_str()).collect();
        assert_eq!(part("Severity "), Some(severities.join(" / ").as_str()), "{name}");
        assert_eq!(part("scope "), Some(alerts[0].labels["scope"].as_str()), "{name}");
        // Without `for` the query itself holds back, and the page says so in its own words.
        assert_eq!(part("for "), alerts[0].wait.as_deref(), "{name}");
        let mut carried = labels_of(&alerts[0].expr, &vocabulary);
        carried.remove("job");
        let said = part("labels ").unwrap_or_default().split(", ").filter(|l| !l.is_empty());
        assert_eq!(said.map(str::to_owned).collect::<Labels>(), carried, "{name}");
    }
}

/// A file of tests for promtool, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct RuleTests {
    group_eval_order: Vec<String>,
    tests: Vec<RuleTest>,
}

#[derive(Debug, Deserialize)]
struct RuleTest {
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Debug, Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<Value>,
}

#[test]
fn every_alert_is_seen_firing_and_silent_after_it() {
    let mut resolved: BTreeSet<(String, String)> = BTreeSet::new();
    for file in files("config/prometheus/tests", "yml") {
        let tests: RuleTests = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let groups = [RECORDING, ALERTS].map(rules).into_iter().flatten().map(|group| group.name);
        assert!(groups.eq(tests.group_eval_order), "{}: groups in this order", file.display());
        for test in tests.tests {
            // What fires, as its labels are written.
            let mut firing: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
            for at in test.alert_rule_test {
                let labels = |alert: &Value| alert["exp_labels"].to_string();
                let now: BTreeSet<_> = at.exp_alerts.iter().map(labels).collect();
                let before = firing.insert(at.alertname.clone(), BTreeMap::new());
                for (labels, severity) in before.into_iter().flatten() {
                    if !now.contains(&labels) {
                        resolved.insert((at.alertname.clone(), severity));
                    }
                }
                let severity =
                    |alert: &Value| alert["exp_labels"]["severity"].as_str().unwrap().to_owned();
                let now = at.exp_alerts.iter().map(|alert| (labels(alert), severity(alert)));
                firing.insert(at.alertname, now.collect());
            }
        }
    }
    let seen = |alert: &Rule| {
        let key = (alert.alert.clone().unwrap(), alert.labels["severity"].clone());
        resolved.contains(&key)
    };
    let mut missing = alerts();
    missing.retain(|alert| !seen(alert));
    let missing: Vec<_> =
        missing.iter().map(|alert| (&alert.alert, &alert.labels["severity"])).collect();
    assert!(missing.is_empty(), "no test sees them fire and resolve: {missing:?}");
}

#[test]
fn promtool_passes_rules_and_their_tests() {
    let Some(promtool) = find("promtool", "prometheus") else { return };
    let tests = files("config/prometheus/tests", "yml");
    let rules = [RECORDING, ALERTS].map(path).to_vec();
    for (words, files) in [(["check", "rules"], rules), (["test", "rules"], tests)] {
        let output = Command::new(&promtool).args(words).args(files).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

/// A query of a dashboard with its variables filled in by something that no closed set knows.
fn filled_in(query: &str) -> String {
    let mut parts = query.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = if let Some(braced) = part.strip_prefix('{') {
            braced.split_once('}').unwrap()
        } else {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            part.split_at(part.find(|c| !word(c)).unwrap_or(part.len()))
        };
        let built_in = ["__rate_interval", "__interval", "__range"].contains(&name);
        filled.push_str(if built_in { "5m" } else { UNKNOWN });
        filled.push_str(rest);
    }
    filled
}

/// All values under this key, however deep.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|inner| under(inner, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

#[test]
fn dashboards_name_only_what_exists() {
    let vocabulary = vocabulary();
    for file in files("dashboards", "json") {
        let text = fs::read_to_string(&file).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let mut exprs = Vec::new();
        under(&dashboard, "expr", &mut exprs);
        assert!(exprs.len() > 5, "{} has no queries", file.display());
        for expr in exprs {
            labels_of(&filled_in(expr.as_str().unwrap()), &vocabulary);
        }
        // Variables: label_values(query, label) and query_result(query).
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"]["query"].as_str().or(variable["query"].as_str())
            else {
                continue;
            };
            if let Some(inner) = query.strip_prefix("label_values(") {
                let (selector, label) = inner.trim_end_matches(')').rsplit_once(',').unwrap();
                let labels = labels_of(&filled_in(selector), &vocabulary);
                assert!(labels.contains(label.trim()), "{}: {query}", file.display());
            }
        }
    }
}

#[test]
fn alertmanager_goes_by_labels_that_alerts_have() {
    let text = read("config/alertmanager/alertmanager.yml");
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let labels = vocabulary().labels("ALERTS").unwrap();
    let names: BTreeSet<String> = alerts().into_iter().filter_map(|alert| alert.alert).collect();
    let mut groupings = Vec::new();
    under(&config, "group_by", &mut groupings);
    under(&config, "equal", &mut groupings);
    for label in groupings.iter().flat_map(|list| list.as_array().unwrap()) {
        let label = label.as_str().unwrap();
        assert!(label == "..." || labels.contains(label), "no alert has a label {label}");
    }
    let mut matchers = Vec::new();
    for key in ["matchers", "source_matchers", "target_matchers"] {
        under(&config, key, &mut matchers);
    }
    assert!(matchers.len() > 10, "{matchers:?}");
    for matcher in matchers.iter().flat_map(|list| list.as_array().unwrap()) {
        let matcher = matcher.as_str().unwrap();
        let (label, value) = matcher.split_once(['=', '!']).unwrap();
        assert!(labels.contains(label.trim()), "no alert has the label of {matcher}");
        if label.trim() == "alertname" {
            let value = value.trim_start_matches(['=', '~']).trim().trim_matches('"');
            for name in value.split('|').filter(|name| !name.contains(".*")) {
                assert!(names.contains(name), "there is no alert {name}");
            }
        }
    }
}
