//! What can be said of a dashboard without a server: that it is whole, readable and tells the
//! truth about names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use mxwatch::metrics::names::{CATALOGUE, Kind};
use serde_json::{Value, json};

use crate::{
    dashboard::{Query, all, array, references, text},
    selectors::{Selector, selectors},
};

/// The dashboards there are, by file: others link to these.
const UIDS: [(&str, &str); 5] = [
    ("agent.json", "mxwatch-agent"),
    ("domain.json", "mxwatch-domain"),
    ("exchanger.json", "mxwatch-exchanger"),
    ("overview.json", "mxwatch-overview"),
    ("resolvers.json", "mxwatch-resolvers"),
];

/// What Prometheus and the process collector add to the metrics of the catalogue: name, and
/// whether it is a counter.
const FOREIGN: [(&str, bool); 9] = [
    ("up", false),
    ("ALERTS", false),
    ("scrape_samples_scraped", false),
    ("scrape_duration_seconds", false),
    ("process_cpu_seconds_total", true),
    ("process_max_fds", false),
    ("process_open_fds", false),
    ("process_resident_memory_bytes", false),
    ("process_start_time_seconds", false),
];

/// The variables of Grafana itself that queries use.
const BUILT_IN: [&str; 2] = ["__rate_interval", "__range"];

/// What every dashboard has in common, so that it can be provisioned and moved between.
#[test]
fn every_dashboard_is_named_and_shipped_as_it_is_to_be() {
    let found: Vec<_> = all();
    let uids: Vec<_> = found.iter().map(|d| (d.file.as_str(), text(d.key("uid")))).collect();
    assert_eq!(uids, UIDS);
    for dashboard in &found {
        let file = &dashboard.file;
        for (key, value) in [
            ("id", Value::Null),
            ("schemaVersion", json!(39)),
            ("editable", json!(false)),
            ("graphTooltip", json!(1)),
            ("refresh", json!("1m")),
            ("tags", json!(["mxwatch"])),
            ("time", json!({ "from": "now-6h", "to": "now" })),
        ] {
            assert_eq!(*dashboard.key(key), value, "{file}: {key}");
        }
        assert!(dashboard.key("__inputs").is_null(), "{file}: it is provisioned, not imported");
        let [to_others] = array(dashboard.key("links")) else { panic!("{file}: links") };
        assert_eq!(to_others["tags"], json!(["mxwatch"]), "{file}");
        assert_eq!([&to_others["includeVars"], &to_others["keepTime"]], [true, true], "{file}");
    }
}

#[test]
fn every_variable_comes_before_it_is_used() {
    for dashboard in all() {
        let names: Vec<_> = dashboard.variables().iter().map(|v| text(&v["name"])).collect();
        assert_eq!(names[..3], ["datasource", "job", "instance"], "{}", dashboard.file);
        assert_eq!(dashboard.variables()[0]["query"], "prometheus");
        for (at, variable) in dashboard.variables().iter().enumerate().skip(1) {
            let place = format!("{}: ${}", dashboard.file, names[at]);
            assert_eq!(variable["refresh"], 2, "{place} follows the time range");
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{place}");
            assert_eq!(variable["definition"], variable["query"]["query"], "{place}");
            for name in references(text(&variable["definition"])) {
                let known = names[..at].contains(&name) || BUILT_IN.contains(&name);
                assert!(known, "{place}: ${name}");
            }
        }
        for variable in &dashboard.variables()[1..3] {
            assert_eq!([&variable["multi"], &variable["includeAll"]], [true, true]);
            assert_eq!(variable["allValue"], ".+");
        }
        let panels = dashboard.panels().flat_map(|panel| dashboard.queries(panel));
        for Query { place, expr } in panels.chain(dashboard.annotations()) {
            for name in references(&expr) {
                assert!(names.contains(&name) || BUILT_IN.contains(&name), "{place}: ${name}");
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_is() {
    for dashboard in all() {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in dashboard.boxes() {
            let (id, title) = (panel["id"].as_u64().unwrap(), &panel["title"]);
            assert!(ids.insert(id), "{}: {title}: {id} is taken", dashboard.file);
        }
        for panel in dashboard.panels() {
            let title = text(&panel["title"]);
            let place = format!("{}: {title}", dashboard.file);
            assert!(!title.is_empty() && titles.insert(title), "{place}");
            let description = text(&panel["description"]);
            assert!(description.len() > 40 && description.ends_with('.'), "{place}: {description}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(&defaults["unit"]).is_empty(), "{place}");
            assert!(!text(&defaults["noValue"]).is_empty(), "{place}: what shows without data");
            assert!(!array(&defaults["thresholds"]["steps"]).is_empty(), "{place}");
            assert!(panel["repeat"].is_null(), "{place}: nothing bounds a repetition");
            let letters: BTreeSet<_> =
                array(&panel["targets"]).iter().map(|target| text(&target["refId"])).collect();
            assert_eq!(letters.len(), array(&panel["targets"]).len(), "{place}");
            assert!(!letters.is_empty(), "{place}");
            for target in array(&panel["targets"]) {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
            }
        }
    }
}

#[test]
fn no_panel_covers_another() {
    const COLUMNS: u64 = 24;
    for dashboard in all() {
        let mut taken = BTreeMap::new();
        for panel in dashboard.boxes() {
            let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}: {panel}", dashboard.file);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                let other = taken.insert(cell, &panel["title"]);
                assert_eq!(other, None, "{}: {}", dashboard.file, panel["title"]);
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let dashboards = all();
    let mut links = 0;
    for (dashboard, link) in
        dashboards.iter().flat_map(|d| d.links().into_iter().map(move |l| (d, l)))
    {
        let place = format!("{}: {link}", dashboard.file);
        let (path, query) = link.split_once('?').unwrap_or_else(|| panic!("{place}"));
        let uid = path.strip_prefix("/d/").unwrap_or_else(|| panic!("{place}"));
        let target = dashboards.iter().find(|other| other.key("uid") == uid);
        let target = target.unwrap_or_else(|| panic!("{place}"));
        let known: Vec<_> = target.variables().iter().map(|v| text(&v["name"])).collect();
        for kept in ["datasource", "job", "instance"] {
            assert!(query.contains(&format!("${{{kept}:queryparam}}")), "{place}: {kept}");
        }
        assert!(query.contains("${__url_time_range}"), "{place}");
        for set in query.split('&').filter_map(|part| part.strip_prefix("var-")) {
            let name = set.split('=').next().unwrap();
            assert!(known.contains(&name), "{place}: {name}");
        }
        links += 1;
    }
    assert!(links > 10, "{links}");
}

#[test]
fn every_query_names_what_there_is() {
    let series = series();
    let known = |name: &str| series.contains_key(name);
    for dashboard in all() {
        let panels = dashboard.panels().flat_map(|panel| dashboard.queries(panel));
        for Query { place, expr } in panels.chain(dashboard.annotations()) {
            let found = selectors(&expr, known);
            assert!(!found.is_empty(), "{place}: {expr}");
            for selector in found {
                let known = series.get(selector.name);
                let known = known.unwrap_or_else(|| panic!("{place}: no metric {}", selector.name));
                known.check(&selector, &place);
            }
        }
    }
}

/// What is known of a series.
struct Series {
    /// Its labels besides `job` and `instance`; `None` where they are not told apart here.
    labels: Option<Vec<&'static str>>,
    /// Whether it only grows, so that its value means nothing by itself.
    counter: bool,
    /// Whether it comes from one vantage.
    of_vantage: bool,
}

impl Series {
    fn check(&self, selector: &Selector<'_>, place: &str) {
        let matched = selector.labels();
        for label in ["job", "instance"] {
            assert!(!self.of_vantage || matched.contains(&label), "{place}: {selector:?}: {label}");
        }
        for label in matched.iter().filter(|label| !["job", "instance"].contains(label)) {
            let known = self.labels.as_ref().is_none_or(|labels| labels.contains(label));
            assert!(known, "{place}: {selector:?}: no label {label}");
        }
        let grows = ["rate", "increase"].contains(&selector.function);
        assert_eq!(self.counter, grows, "{place}: {selector:?}");
        if let Some(range) = selector.range {
            let follows = ["$__rate_interval", "$__range"].contains(&range);
            assert!(follows, "{place}: {selector:?} follows neither step nor time range");
        }
    }
}

/// Every series that a query may name.
fn series() -> BTreeMap<String, Series> {
    let mut found = BTreeMap::new();
    for metric in CATALOGUE {
        let of = |counter: bool, more: &[&'static str]| Series {
            labels: Some([metric.labels, more].concat()),
            counter,
            of_vantage: true,
        };
        match metric.kind {
            Kind::Histogram => {
                found.insert(format!("{}_bucket", metric.name), of(true, &["le"]));
                found.insert(format!("{}_sum", metric.name), of(true, &[]));
                found.insert(format!("{}_count", metric.name), of(true, &[]));
            }
            kind => {
                found.insert(metric.name.to_owned(), of(kind == Kind::Counter, &[]));
            }
        }
    }
    for (name, counter) in FOREIGN {
        let of_vantage = name != "ALERTS";
        found.insert(name.to_owned(), Series { labels: None, counter, of_vantage });
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/rules/recording.yml");
    let rules = fs::read_to_string(rules).unwrap();
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")) {
        let of_vantage = name.starts_with("instance");
        found.insert(name.to_owned(), Series { labels: None, counter: false, of_vantage });
    }
    found
}
