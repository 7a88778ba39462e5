//! The built-in senders and their verdicts, against the reference: parameters of real MTAs, and
//! worked cases with what each of them does.

use std::{collections::BTreeMap, time::Duration};

use mxwatch::delivery::{
    Outcome, Possible, Sender, Verdict, Via, Why, builtin, judge,
    what_if::{self, WhatIf},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Reference {
    vectors: Vec<Vector>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    desc: String,
    facts: WhatIf,
}

#[derive(Deserialize)]
struct Expected {
    id: String,
    profile: String,
    #[serde(flatten)]
    end: End,
    #[serde(default)]
    possible: Vec<End>,
}

/// One thing that may happen, in the words of the reference.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct End {
    verdict: String,
    why: String,
    via: Option<String>,
    wait_s: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/vectors.json")).unwrap()
}

fn end(outcome: Outcome, why: Why, via: Option<&Via>, wait: Duration) -> End {
    let via = via.map(|via| {
        let family = via.family.map(|family| family.label().replace("ip", "/"));
        format!("{}{}", via.exchanger.host, family.unwrap_or_default())
    });
    let (verdict, why) = (outcome.label().into(), why.label().into());
    End { verdict, why, via, wait_s: wait.as_secs_f64() }
}

fn ends(verdict: &Verdict) -> Vec<End> {
    let one = |p: &Possible| end(p.outcome, p.why, p.via.as_ref(), p.wait);
    verdict.possible.iter().map(one).collect()
}

#[test]
fn every_worked_case_comes_out_as_the_real_senders_do() {
    let reference = reference();
    assert!(reference.vectors.len() >= 26 && reference.expected.len() >= 312);
    let facts: BTreeMap<&str, _> = reference
        .vectors
        .iter()
        .map(|vector| (vector.id.as_str(), (&vector.desc, vector.facts.facts().unwrap())))
        .collect();
    let mut wrong = Vec::new();
    for expected in &reference.expected {
        let (desc, facts) = &facts[expected.id.as_str()];
        let sender = builtin::get(&expected.profile).unwrap();
        let verdict = judge(facts, sender, what_if::RESOLVER);
        let got = ends(&verdict);
        let mut want = expected.possible.clone();
        if want.is_empty() {
            want.push(expected.end.clone());
        }
        let same_set = want.len() == got.len() && want.iter().all(|end| got.contains(end));
        if !same_set || got[0] != expected.end {
            let (id, profile) = (&expected.id, &expected.profile);
            wrong.push(format!("{id} {profile} ({desc})\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A parameter of the reference in the form it has here.
fn translated(key: &str, value: &Value) -> Option<(&'static str, Value)> {
    let seconds = |value: &Value| {
        let span = Duration::from_secs(value.as_u64().unwrap_or_default());
        json!(humantime::format_duration(span).to_string())
    };
    let family = |value: &Value| json!(value.as_str().unwrap().replace('v', "ipv"));
    let list = |each: &dyn Fn(&Value) -> Value| {
        Value::Array(value.as_array().unwrap().iter().map(each).collect())
    };
    let span = |key| Some((key, seconds(value)));
    match key {
        "name" => None,
        "families" => Some(("families", list(&family))),
        "family_order" => Some(("family_order", family(value))),
        "v4_only_if_v6_fails" => {
            let word = match value {
                Value::Bool(false) => "always",
                Value::Bool(true) => "if_ipv6_fails",
                _ => "never",
            };
            Some(("ipv4_beside_ipv6", json!(word)))
        }
        "dns_timeout_s" => span("dns_timeout"),
        "dns_cap_s" => span("dns_cap"),
        "dns_temp_wait_s" => span("dns_temp_wait"),
        "os_connect_s" => span("os_connect_timeout"),
        "connect_s" => span("connect_timeout"),
        "banner_s" => span("banner_timeout"),
        "cmd_s" => span("command_timeout"),
        "tls_s" => span("tls_timeout"),
        "plain_min_age_s" => span("plain_min_age"),
        "retry_last_s" => span("retry_last"),
        "expire_s" => span("expire"),
        "retry_s" => Some(("retry", list(&seconds))),
        "max_addrs" => Some(("max_addrs", json!(value.as_u64().unwrap_or(0)))),
        "max_sessions" => Some(("max_sessions", json!(value.as_u64().unwrap_or(0)))),
        other => {
            let parameter = mxwatch::delivery::parameter(other)
                .unwrap_or_else(|| panic!("{other} has no counterpart"));
            Some((parameter.key(), value.clone()))
        }
    }
}

#[test]
fn the_built_in_senders_have_the_parameters_of_the_reference() {
    let profiles: BTreeMap<String, serde_json::Map<String, Value>> =
        serde_json::from_str(include_str!("reference/profiles.json")).unwrap();
    assert!(profiles.len() >= 12);
    let mut wrong = Vec::new();
    for (name, profile) in &profiles {
        let sender: &Sender = builtin::get(name).unwrap_or_else(|| panic!("{name} is missing"));
        for (key, value) in profile {
            let Some((key, want)) = translated(key, value) else { continue };
            let got = sender.behaviour.get(mxwatch::delivery::parameter(key).unwrap());
            if got != want {
                wrong.push(format!("{name}: {key} = {got}, not {want}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
