//! What README and the shipped files claim, held against the code.

use std::{fs, path::Path};

use clap::{CommandFactory, Parser};
use mxwatch::{
    cli::Cli,
    config::{self, TargetList},
    delivery::{Outcome, Why, builtin, depth::Failing, what_if::WhatIf},
    document::{Document, Entry, Surroundings},
    explain::{judged, verdict::Who},
    facts::{DomainFinding, ExchangerFinding},
    judge,
    metrics::names::CATALOGUE,
    shard::{Choice, Shard},
};
use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contents of the fenced blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let after = text.split(&open).skip(1);
    after.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_metrics_table_is_the_catalogue() {
    let readme = read("README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| is_metric_row(line)).collect();
    let wanted: Vec<String> = CATALOGUE
        .iter()
        .map(|metric| {
            let (name, kind, help) = (metric.name, metric.kind.word(), metric.help);
            format!("| `{name}` | {kind} | {} | {help} |", metric.labels.join(", "))
        })
        .collect();
    assert_eq!(rows, wanted, "the table should read\n{}", wanted.join("\n"));
}

#[test]
fn every_outcome_and_reason_is_in_the_readme() {
    let readme = read("README.md");
    let line = readme.split("- `outcome`: ").nth(1).and_then(|rest| rest.split("\n\n").next());
    let line = line.expect("the closed set of outcomes");
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.label());
    for label in outcomes.chain(Why::ALL.iter().map(|why| why.label())) {
        assert!(line.contains(&format!("`{label}`")), "{label}");
    }
}

#[test]
fn every_finding_is_described() {
    let domain = DomainFinding::ALL.map(DomainFinding::label);
    let exchanger = ExchangerFinding::ALL.map(ExchangerFinding::label);
    for file in ["README.md", "docs/json.md"] {
        let text = read(file);
        for label in domain.iter().chain(&exchanger) {
            assert!(text.contains(&format!("`{label}`")), "{label} in {file}");
        }
    }
}

fn is_metric_row(line: &str) -> bool {
    ["| `mx_", "| `mxwatch_", "| `probe_"].iter().any(|start| line.starts_with(start))
}

#[test]
fn every_flag_is_in_the_readme() {
    let readme = read("README.md");
    let command = Cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let mut flags = 0;
    for long in commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long) {
        assert!(readme.contains(&format!("`--{long}")), "--{long} is not in README.md");
        flags += 1;
    }
    assert!(flags > 10, "{flags}");
}

#[test]
fn the_configurations_in_the_readme_load() {
    let examples = blocks(&read("README.md"), "toml");
    assert!(!examples.is_empty());
    for example in examples {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mxwatch.toml");
        fs::write(&path, &example).unwrap();
        let nothing: [(&str, &str); 0] = [];
        let loaded = config::load(&path, nothing);
        assert!(loaded.is_ok(), "{example}\n{}", loaded.unwrap_err());
    }
}

#[test]
fn the_guide_to_scaling_says_what_works() {
    let guide = read("docs/scaling.md");
    for example in blocks(&guide, "toml") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mxwatch.toml");
        fs::write(&path, &example).unwrap();
        let nothing: [(&str, &str); 0] = [];
        let loaded = config::load(&path, nothing).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.config.http_sd.len(), 1);
    }
    for list in blocks(&guide, "json") {
        assert_eq!(TargetList::parse("example", &list).unwrap().len(), 3);
    }

    let of_agent = |args: &[&str]| {
        let args = std::iter::once("mxwatch").chain(args.iter().copied());
        Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{error}")).agent.shard
    };
    let unit = blocks(&guide, "ini").remove(0).replace("%i", "3");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let args: Vec<&str> = start.split(' ').skip(1).collect();
    assert_eq!(of_agent(&args), Some(Choice::Fixed(Shard::new(3, 4).unwrap())));

    let yaml = blocks(&guide, "yaml").into_iter().find(|block| block.contains("StatefulSet"));
    let set: Value = serde_saphyr::from_str(&yaml.unwrap()).unwrap();
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str().unwrap()).collect();
    let shards = u16::try_from(set["spec"]["replicas"].as_u64().unwrap()).unwrap();
    assert_eq!(of_agent(&args), Some(Choice::Ordinal { shards }));
    for line in guide.lines().filter_map(|line| line.strip_prefix("$ mxwatch ")) {
        assert!(of_agent(&line.split(' ').collect::<Vec<_>>()).is_some(), "{line}");
    }
    for key in ["url", "name", "refresh_interval", "bearer_token_file", "username", "ca_file"] {
        assert!(guide.contains(&format!("| `{key}`")), "{key}");
    }
}

#[test]
fn every_sender_is_in_the_readme() {
    let readme = read("README.md");
    for sender in builtin::all() {
        assert!(readme.contains(&format!("`{}`", sender.name)), "{}", sender.name);
    }
}

#[test]
fn every_field_and_label_of_the_document_is_described() {
    let text = read("docs/json.md");
    let described = |word: &str| assert!(text.contains(&format!("`{word}`")), "{word}");
    let outcomes = Outcome::ALL.map(Outcome::label);
    let who = [Who::Destination, Who::Nobody, Who::You, Who::YourResolver].map(Who::label);
    let failing =
        [Failing::AaaaLookup, Failing::AddressLookups, Failing::Silent, Failing::Unreachable];
    let failing = failing.map(Failing::label);
    let reasons = Why::ALL.iter().map(|why| why.label());
    for word in reasons.chain(outcomes).chain(who).chain(failing).chain(["since", "last_change"]) {
        described(word);
    }

    // The shorthand shown there is one that is read.
    let shorthand = blocks(&text, "json").pop().unwrap();
    assert!(serde_json::from_str::<WhatIf>(&shorthand).is_ok());
    let facts = judge::read_facts(&shorthand).unwrap().remove(0);
    let senders: Vec<_> = builtin::all().iter().cloned().map(Into::into).collect();
    let entries = judged::all(&facts, &senders).into_iter().map(Entry::from).collect();
    let document =
        Document::new(&facts.destination, Some(&facts), Surroundings::default(), entries);
    let mut document = serde_json::to_value(&document).unwrap();
    let mut verdict = document["verdicts"][0].take();
    for object in [&mut document, &mut verdict] {
        for key in object.as_object().unwrap().keys() {
            described(key);
        }
    }
}

#[test]
fn every_file_the_readme_links_to_is_there() {
    let readme = read("README.md");
    let targets = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut local = 0;
    for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
        let file = target.split('#').next().unwrap_or_default();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert!(path.exists(), "{target}");
        local += 1;
    }
    assert!(local > 0);
}

#[test]
fn the_changelog_knows_this_version() {
    let version = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    let changelog = read("CHANGELOG.md");
    assert!(changelog.contains(&version) || changelog.contains("## [Unreleased]"), "{version}");
}
