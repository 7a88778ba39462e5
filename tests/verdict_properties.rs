//! What holds for the verdict whatever the facts are: it comes to an end, waits no longer than the
//! sender's time-outs allow, and more healthy addresses do no harm.

use std::{sync::Arc, time::Duration};

use mxwatch::{
    delivery::{
        Outcome, Sender, builtin, depth, judge,
        what_if::{self, WhatIf},
    },
    facts::{ExchangerFacts, Facts},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Addresses the exchangers share: some of each family.
fn addresses() -> Vec<String> {
    let of = |n| [format!("192.0.2.{n}"), format!("2001:db8::{n}")];
    (1..=6).flat_map(of).collect()
}

fn answer(family: &'static str) -> impl Strategy<Value = Value> {
    let own: Vec<String> =
        addresses().into_iter().filter(|a| a.contains(':') == (family == "aaaa")).collect();
    prop_oneof![
        4 => proptest::sample::subsequence(own, 1..=6).prop_shuffle().prop_map(Value::from),
        2 => Just(json!("nodata")),
        1 => proptest::sample::select(vec!["servfail", "timeout", "nxdomain", "refused", "bogus"])
            .prop_map(Value::from),
    ]
}

fn host() -> impl Strategy<Value = Value> {
    let tlsa = proptest::sample::select(vec!["absent", "insecure", "secure", "error", "unusable"]);
    (answer("a"), answer("aaaa"), tlsa, any::<bool>()).prop_map(|(a, aaaa, tlsa, secure)| {
        json!({"a": a, "aaaa": aaaa, "tlsa": tlsa, "addr_secure": secure})
    })
}

fn server() -> impl Strategy<Value = Value> {
    let code = proptest::sample::select(vec![220, 250, 421, 450, 451, 502, 550, 552, 554]);
    let one = prop_oneof![
        Just(json!({})),
        proptest::sample::select(vec!["timeout", "refused", "reset", "unreachable"])
            .prop_map(|word| json!({"tcp": word})),
        proptest::sample::select(vec!["none", "closed", "reset"])
            .prop_map(|word| json!({"banner": word})),
        (0..900_u32).prop_map(|delay| json!({"banner_delay_s": delay})),
        code.clone().prop_map(|code| json!({"banner": code})),
        (code.clone(), code.clone()).prop_map(|(ehlo, helo)| json!({"ehlo": ehlo, "helo": helo})),
        Just(json!({"ehlo": "timeout"})),
        code.clone().prop_map(|code| json!({"mail": code})),
        code.prop_map(|code| json!({"rcpt": code})),
        Just(json!({"rcpt": "lost"})),
        Just(json!({"starttls": "absent"})),
        Just(json!({"starttls": {"code": 454}})),
        Just(json!({"starttls": {"hs": "fail"}})),
        Just(json!({"starttls": {"hs": "timeout"}})),
        Just(json!({"starttls": {"dane_ok": false, "pkix_ok": false}})),
    ];
    one
}

prop_compose! {
    fn what_if()(
        hosts in proptest::collection::vec(host(), 1..5),
        preferences in proptest::collection::vec(proptest::sample::select(vec![10, 20, 30]), 4),
        servers in proptest::collection::vec(server(), 12),
        status in proptest::option::weighted(0.1, proptest::sample::select(
            vec!["null", "nodata", "nxdomain", "servfail", "timeout", "refused"])),
        own in proptest::option::weighted(0.1, 0..4_usize),
        enforce in any::<bool>(),
    ) -> Value {
        let name = |at: usize| format!("mx{at}.example.com");
        let mx = (0..hosts.len()).map(|at| json!([preferences[at], name(at)])).collect();
        let named = hosts.into_iter().enumerate().map(|(at, host)| (name(at), host));
        let mut named: Map<String, Value> = named.collect();
        named.insert("example.com".into(), json!({"a": ["192.0.2.1"]}));
        let ips: Map<String, Value> = addresses().into_iter().zip(servers).collect();
        let mut facts = json!({
            "domain": "example.com",
            "mx": status.map_or(Value::Array(mx), Value::from),
            "hosts": named,
            "ips": ips,
            "sts": if enforce { "enforce" } else { "none" },
            "sts_patterns": ["mx0.example.com", "mx1.example.com"],
        });
        if let Some(own) = own {
            facts["self_host"] = json!(name(own));
        }
        facts
    }
}

fn read(facts: &Value) -> Facts {
    let facts: WhatIf = serde_json::from_value(facts.clone()).unwrap();
    facts.facts().unwrap()
}

/// The most that an attempt may cost this sender: every time-out of it at every address.
fn most(facts: &Facts, sender: &Sender) -> Duration {
    let own = &sender.behaviour;
    let dns = own.dns_timeout.0 * own.addr_dns_factor;
    let hosts = u32::try_from(facts.exchangers.len()).unwrap();
    let addresses: usize = facts.exchangers.iter().map(|e| e.addresses.len()).sum();
    let session = own.connect_patience()
        + own.banner_timeout.0
        + own.command_timeout.0 * 4
        + own.tls_timeout.0 * 2;
    own.dns_timeout.0
        + (dns * 2 * hosts).max(own.dns_temp_wait.0)
        + session * u32::try_from(addresses).unwrap()
        + own.give_up_wait.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_verdict_is_sound_for_every_sender(
        facts in what_if(),
        in_order in any::<bool>(),
        missing in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let mut facts = read(&facts);
        facts.answers_in_order = in_order;
        let mut missing = missing.into_iter().cycle();
        let mut kept = || !missing.next().unwrap_or_default() || in_order;
        for exchanger in &mut facts.exchangers {
            let exchanger: &mut ExchangerFacts = Arc::make_mut(exchanger);
            exchanger.sessions.retain(|_| kept());
            let lookups = exchanger.lookups.iter().filter(|_| kept()).cloned();
            exchanger.lookups = lookups.collect();
        }
        for sender in builtin::all() {
            let verdict = judge(&facts, sender, what_if::RESOLVER);
            prop_assert!(verdict.wait_best <= verdict.wait_worst);
            prop_assert!(verdict.wait_worst <= most(&facts, sender), "{}: {verdict:?}", sender.name);
            let first = &verdict.possible[0];
            prop_assert_eq!((first.outcome, first.why), (verdict.outcome, verdict.why));
            for (at, one) in verdict.possible.iter().enumerate() {
                prop_assert!(!verdict.possible[..at].contains(one), "{verdict:?}");
            }
            let delivers = verdict.possible.iter().any(|p| p.outcome == Outcome::Deliver);
            prop_assert_eq!(verdict.usable_exchangers > 0, delivers, "{}: {:?}", &sender.name, &verdict);
            prop_assert_eq!(&verdict, &judge(&facts, sender, what_if::RESOLVER), "same again");
            if verdict.outcome != Outcome::Deliver {
                let found = depth::weaknesses(&facts, sender, what_if::RESOLVER, &verdict);
                prop_assert!(found.is_empty());
            }
        }
    }

    #[test]
    fn a_healthy_address_that_is_as_good_or_better_does_no_harm_by_rfc_5321(
        facts in what_if(),
        new_host in any::<bool>(),
        first in any::<bool>(),
    ) {
        let sender = builtin::get("rfc5321").unwrap();
        let before = judge(&read(&facts), sender, what_if::RESOLVER);
        prop_assume!(before.outcome == Outcome::Deliver && facts["mx"].is_array());
        let mut more = facts.clone();
        let (mx, added) = (&facts["mx"], "198.51.100.1");
        let best = mx.as_array().unwrap().iter().map(|mx| mx[0].as_u64().unwrap()).min().unwrap();
        if new_host {
            let preference = if first { best - 1 } else { best };
            more["mx"].as_array_mut().unwrap().push(json!([preference, "new.example.com"]));
            more["hosts"]["new.example.com"] = json!({"a": [added]});
        } else {
            let best = mx.as_array().unwrap().iter().find(|mx| mx[0] == best).unwrap();
            let name = best[1].as_str().unwrap();
            match &mut more["hosts"][name]["a"] {
                Value::Array(list) if first => list.insert(0, json!(added)),
                Value::Array(list) => list.push(json!(added)),
                other => *other = json!([added]),
            }
        }
        let after = judge(&read(&more), sender, what_if::RESOLVER);
        prop_assert_eq!(after.outcome, Outcome::Deliver, "{:?}", after);
    }
}
