//! What the runbooks claim, held against the code: their form, their links, the commands to type, the
//! queries, and the reasons of verdicts. Alerts are held against runbooks elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Parser;
use mxwatch::{
    cli::Cli,
    delivery::{
        Outcome, Why, builtin, judge,
        what_if::{self, WhatIf},
    },
    facts::Facts,
    metrics::names::{CATALOGUE, Kind},
};
use serde_json::{Value, json};

#[allow(dead_code, reason = "shared with the tests against real servers")]
mod servers;
use servers::program::find;

/// The sections of a page, in this order.
const HEADINGS: [&str; 7] = [
    "What it means for mail",
    "First minute: us or them",
    "Confirm by hand",
    "How far it reaches",
    "Who fixes it",
    "Meanwhile, here",
    "False alarm, and tuning",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page by the alert it is for; the index is not one of them.
fn pages() -> BTreeMap<String, String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let page =
        |path: PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(&path));
    let pages: BTreeMap<_, _> = files.map(page).filter(|(name, _)| name != "README").collect();
    assert!(pages.len() > 20, "{}", pages.len());
    pages
}

/// The index too.
fn texts() -> BTreeMap<String, String> {
    let mut texts = pages();
    texts.insert("README".to_owned(), read(&folder().join("README.md")));
    texts
}

/// The fenced blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The cells of the rows of a table, without head and rule.
fn rows<'a>(text: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let table = text.split(head).nth(1).unwrap_or_else(|| panic!("no table {head}"));
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.map(cells).collect()
}

/// What stands outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2)
}

fn headings(text: &str) -> Vec<&str> {
    prose(text).flat_map(str::lines).filter_map(|line| line.strip_prefix("## ")).collect()
}

/// The queries: one for each paragraph of the blocks.
fn queries(text: &str) -> Vec<&str> {
    blocks(text, "promql").into_iter().flat_map(|block| block.trim().split("\n\n")).collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_page_has_the_same_form() {
    for (name, text) in pages() {
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(&*format!("# {name}")));
        assert!(lines.nth(1).is_some_and(|line| line.starts_with("Severity ")), "{name}");
        assert_eq!(headings(&text), HEADINGS, "{name}");
        assert!(!queries(&text).is_empty() && !blocks(&text, "sh").is_empty(), "{name}");
        let first_minute = text.split("## ").find(|part| part.starts_with(HEADINGS[1])).unwrap();
        let linked = first_minute.contains("(MxItIsUs.md)") || name == "MxItIsUs";
        assert!(linked, "{name}: its first minute does not ask whether it is us");
    }
}

#[test]
fn the_index_lists_every_page_with_its_severity() {
    let index = read(&folder().join("README.md"));
    let listed: Vec<(String, &str)> = rows(&index, "| alert | severity |")
        .iter()
        .map(|cells| (cells[0].to_owned(), cells[1]))
        .collect();
    let mut listed: Vec<_> = listed.iter().map(|(link, severity)| (&**link, *severity)).collect();
    listed.sort_unstable();
    let pages = pages();
    let severity = |text: &str| {
        let line = text.lines().nth(2).and_then(|line| line.strip_prefix("Severity "));
        line.and_then(|line| line.split(" · ").next()).unwrap().to_owned()
    };
    let found: Vec<_> =
        pages.iter().map(|(name, text)| (format!("[{name}]({name}.md)"), severity(text))).collect();
    let mut found: Vec<_> = found.iter().map(|(link, severity)| (&**link, &**severity)).collect();
    found.sort_unstable();
    assert_eq!(listed, found);
}

#[test]
fn every_link_leads_somewhere() {
    let anchor = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    let mut links = 0;
    for (name, text) in texts() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets {
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = folder().join(file);
            assert!(path.is_file(), "{name}: {target}");
            let known = || headings(&read(&path)).into_iter().any(|h| anchor(h) == fragment);
            assert!(fragment.is_empty() || known(), "{name}: {target}");
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
}

#[test]
fn every_command_of_ours_can_be_typed() {
    let mut commands = 0;
    for (name, text) in texts() {
        let lines = blocks(&text, "sh").into_iter().flat_map(str::lines);
        for line in
            lines.chain(prose(&text).flat_map(quoted)).filter(|line| line.starts_with("mxwatch "))
        {
            if let Err(error) = Cli::try_parse_from(line.split_whitespace()) {
                panic!("{name}: {line}: {error}");
            }
            commands += 1;
        }
    }
    assert!(commands > 30, "{commands}");
}

/// Names of the series that there are: of the catalogue, of the recording rules, and those that
/// Prometheus and the process collector add.
fn series() -> BTreeSet<String> {
    let of = |metric: &mxwatch::metrics::names::Metric| -> Vec<String> {
        let name = metric.name;
        match metric.kind {
            Kind::Histogram => {
                ["", "_bucket", "_sum", "_count"].map(|s| format!("{name}{s}")).into()
            }
            Kind::Counter | Kind::Gauge => vec![name.to_owned()],
        }
    };
    let process = [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ];
    let others = ["up"].into_iter().chain(process).map(str::to_owned);
    CATALOGUE.iter().flat_map(of).chain(recorded().into_keys()).chain(others).collect()
}

/// The recording rules, and what they are made of.
fn recorded() -> BTreeMap<String, String> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/rules/recording.yml");
    let rules = read(&rules);
    let rules = rules.split("- record: ").skip(1).map(|rule| rule.split_once('\n').unwrap());
    rules.map(|(name, rest)| (name.trim().to_owned(), rest.to_owned())).collect()
}

/// The words of a text that could be names in PromQL.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn every_metric_exists() {
    let series = series();
    let mut seen = 0;
    for (name, text) in texts() {
        let ours = |word: &&str| {
            ["mx_", "mxwatch_", "process_"].iter().any(|start| word.starts_with(start))
                || word.trim_end_matches(':').contains(":mx_")
        };
        // A reason is no metric, nor is the beginning of a name that is searched for.
        let other =
            |word: &str| word.ends_with('_') || Why::ALL.iter().any(|why| why.label() == word);
        for word in words(&text).filter(ours).filter(|word| !other(word)) {
            assert!(series.contains(word), "{name}: {word}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// A query without the values of its labels.
fn without_values(query: &str) -> String {
    query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

#[test]
fn every_label_of_a_query_exists() {
    let added = ["job", "instance", "le", "cause"];
    let ours = CATALOGUE.iter().flat_map(|metric| metric.labels).copied();
    let known: BTreeSet<&str> = ours.chain(added).collect();
    let of = |name: &str| CATALOGUE.iter().find(|metric| metric.name == name);
    let mut seen = 0;
    for (page, text) in texts() {
        for query in queries(&text) {
            let query = without_values(query);
            // Selectors: what stands in braces, and the metric before them.
            for (before, inside) in enclosed(&query, '{', '}') {
                let metric = of(words(before).last().unwrap_or_default());
                for label in words(inside).filter(|word| !word.is_empty()) {
                    let there = metric.is_none_or(|m| m.labels.contains(&label));
                    let added = added.contains(&label);
                    assert!((there && known.contains(label)) || added, "{page}: {label}: {query}");
                    seen += 1;
                }
            }
            for clause in ["by (", "on (", "group_left (", "ignoring (", "without ("] {
                let lists = query.split(clause).skip(1).filter_map(|rest| rest.split(')').next());
                for label in lists.flat_map(words).filter(|word| !word.is_empty()) {
                    assert!(known.contains(label), "{page}: {label}: {query}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// What stands between two characters, and all that comes before it.
fn enclosed(text: &str, open: char, close: char) -> Vec<(&str, &str)> {
    let begins = text.match_indices(open);
    begins
        .map(|(at, _)| (&text[..at], text[at + 1..].split(close).next().unwrap_or_default()))
        .collect()
}

#[test]
fn prometheus_can_read_every_query() {
    let Some(promtool) = find("promtool", "prometheus") else { return };
    let texts = texts();
    let rules: Vec<Value> = texts
        .iter()
        .flat_map(|(page, text)| queries(text).into_iter().map(move |query| (page, query)))
        .enumerate()
        .map(|(at, (page, query))| {
            json!({"alert": format!("Query{at}"), "expr": query, "labels": {"page": page}})
        })
        .collect();
    // JSON is YAML, too.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), json!({"groups": [{"name": "runbooks", "rules": rules}]}).to_string())
        .unwrap();
    let checked =
        Command::new(promtool).args(["check", "rules"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("{} rules found", rules.len())), "{said}");
}

/// Facts that between them lead every kind of sender to every reason there is.
fn conditions() -> Vec<Facts> {
    let facts = |what_if: Value| -> Facts {
        let what_if: WhatIf = serde_json::from_value(what_if).unwrap();
        what_if.facts().unwrap()
    };
    let first = "192.0.2.1";
    let both = |mx: Value, one: Value, server: Value, more: &[(&str, Value)]| {
        let mut whole = json!({
            "domain": "example.com",
            "mx": mx,
            "hosts": {
                "example.com": {"a": "nodata"},
                "mx1.example.com": one,
                "mx2.example.com": {"a": ["192.0.2.2"]},
            },
            "ips": {first: server.clone(), "192.0.2.2": server},
        });
        for (key, value) in more {
            whole[*key] = value.clone();
        }
        facts(whole)
    };
    let sole = json!([[10, "mx1.example.com"]]);
    let two = json!([[10, "mx1.example.com"], [20, "mx2.example.com"]]);
    let here = json!({"a": [first]});
    let with = |key: &str, value: Value| json!({"a": [first], "addr_secure": true, key: value});
    let mut all = Vec::new();
    for status in [
        "null",
        "nodata",
        "nxdomain",
        "servfail",
        "timeout",
        "refused",
        "notimp",
        "formerr",
        "bogus",
        "malformed",
        "network_error",
    ] {
        all.push(both(json!(status), here.clone(), json!({}), &[]));
    }
    for server in [
        json!({"tcp": "timeout"}),
        json!({"tcp": "refused"}),
        json!({"tcp": "reset"}),
        json!({"tcp": "unreachable"}),
        json!({"banner": "none"}),
        json!({"banner": "closed"}),
        json!({"banner": "reset"}),
        json!({"banner": 354}),
        json!({"banner": 421}),
        json!({"banner": 554}),
        json!({"ehlo": 421}),
        json!({"ehlo": 502, "helo": 450}),
        json!({"ehlo": 502, "helo": 550}),
        json!({"ehlo": "lost"}),
        json!({"ehlo": "timeout"}),
        json!({"starttls": {"hs": "fail"}}),
        json!({"starttls": {"hs": "timeout"}}),
        json!({"mail": 451}),
        json!({"mail": 550}),
        json!({"rcpt": 451}),
        json!({"rcpt": 550}),
        json!({"rcpt": 552}),
    ] {
        for mx in [&sole, &two] {
            all.push(both(mx.clone(), here.clone(), server.clone(), &[]));
        }
    }
    for (host, server) in [
        (json!({"a": "nxdomain", "aaaa": "nxdomain"}), json!({})),
        (json!({"a": [first], "aaaa": "servfail"}), json!({})),
        (json!({"a": [first], "aaaa": "nxdomain"}), json!({})),
        (with("tlsa", json!("error")), json!({})),
        (with("tlsa", json!("secure")), json!({"starttls": "absent"})),
        (with("tlsa", json!("secure")), json!({"starttls": {"code": 454}})),
        (with("tlsa", json!("secure")), json!({"starttls": {"dane_ok": false}})),
    ] {
        all.push(both(sole.clone(), host, server, &[]));
    }
    let own = ("self_host", json!("mx1.example.com"));
    all.push(both(sole.clone(), here.clone(), json!({}), &[own]));
    let unlisted = [("sts", json!("enforce")), ("sts_patterns", json!(["other.example.com"]))];
    all.push(both(sole.clone(), here.clone(), json!({}), &unlisted));
    // What the shorthand has no word for.
    let unreachable = both(sole, here, json!({"tcp": "unreachable"}), &[]);
    let text = serde_json::to_string(&unreachable).unwrap();
    all.push(serde_json::from_str(&text.replace("unreachable", "no_local_family")).unwrap());
    all
}

/// The reasons of a table on a page.
fn reasons<'a>(pages: &'a BTreeMap<String, String>, page: &str) -> BTreeSet<&'a str> {
    let rows = rows(&pages[page], "| reason | meaning | where to look |");
    let cells: Vec<&str> = rows.iter().flat_map(|cells| quoted(cells[0])).collect();
    let set: BTreeSet<&str> = cells.iter().copied().collect();
    assert_eq!(set.len(), cells.len(), "{page}: a reason stands twice");
    set
}

#[test]
fn every_reason_is_on_the_page_of_its_outcome() {
    let mut stopped: BTreeMap<Outcome, BTreeSet<&str>> = BTreeMap::new();
    for facts in conditions() {
        for sender in builtin::all() {
            let verdict = judge(&facts, sender, what_if::RESOLVER);
            for end in verdict.possible {
                stopped.entry(end.outcome).or_default().insert(end.why.label());
            }
        }
    }
    let mut of = |outcome| stopped.remove(&outcome).unwrap_or_default();
    let (deferred, bounced) = (&of(Outcome::Defer) | &of(Outcome::Freeze), of(Outcome::Bounce));
    let pages = pages();
    assert_eq!(reasons(&pages, "MxDeliveryDeferred"), deferred);
    assert_eq!(reasons(&pages, "MxDeliveryBouncing"), bounced);
    let all: BTreeSet<&str> = Why::ALL.iter().map(|why| why.label()).collect();
    let rest = &(&all - &deferred) - &bounced;
    let unknown = reasons(&pages, "MxDeliveryUnknown");
    assert_eq!(&unknown | &BTreeSet::from([Why::Ok.label()]), rest);
}

#[test]
fn every_alert_named_has_a_page() {
    let pages = pages();
    for (name, text) in texts() {
        let alert = |word: &&str| {
            let rest = word.strip_prefix("Mx").unwrap_or_default();
            rest.starts_with(|c: char| c.is_ascii_uppercase()) || word.starts_with("Mxwatch")
        };
        for word in words(&text).filter(alert) {
            assert!(pages.contains_key(word), "{name}: {word}");
        }
    }
}
