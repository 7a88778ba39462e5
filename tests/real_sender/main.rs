//! Postfix as the sender: what it does with mail for domains with one fault each, held against
//! what is predicted of it.
//!
//! It resolves through libc and connects to port 25, so all of it happens in a network of its own.

use std::{collections::BTreeMap, fmt::Write, net::Ipv4Addr};

#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

mod conditions;
mod prediction;
mod reading;
mod verdict;

use serde_json::Value;
use servers::{
    own_network,
    postfix_master::Installation,
    postfix_sender::{Attempt, Sender},
};
use verdict::Verdict;

/// Port 53 of this address is what libc asks.
const DNS: Ipv4Addr = Ipv4Addr::new(127, 84, 0, 53);
/// How many messages try their luck where chance decides.
const TRIES: usize = 4;

/// What mxwatch predicts of Postfix, with its time-outs of here, for every domain of the world.
/// Says where that is not what it has to be.
fn predictions(wrong: &mut String) -> BTreeMap<String, Verdict> {
    let name = |label: &str| format!("{label}.test");
    let probed = conditions::seen_by_a_probe();
    let told = conditions::seen_by_the_sender();
    let domains: Vec<String> = probed.iter().map(|(label, _)| name(label)).collect();
    let facts: Vec<Value> = told.iter().map(|(_, facts, _)| facts.clone()).collect();
    let mut predicted = prediction::by_probing(&domains);
    predicted.extend(prediction::from_facts(&facts));
    let probed = probed.into_iter();
    let told = told.into_iter().map(|(label, _, possible)| (label, possible));
    for (label, possible) in probed.chain(told) {
        let (want, got) = (Verdict { possible, log: None }, &predicted[&name(label)]);
        if got.differs(&want) {
            writeln!(wrong, "{label}\n  want {want:?}\n  got  {got:?}").unwrap();
        }
    }
    predicted
}

#[test]
fn postfix_does_what_is_predicted_of_it() {
    let Some(installation) = Installation::find() else { return };
    if !own_network::entered() {
        return own_network::rerun("postfix_does_what_is_predicted_of_it");
    }
    own_network::set_up(&conditions::IPV6, DNS.into(), conditions::DNS);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = conditions::world().dns_at((DNS, 53).into()).smtp_port(25);
    let world = runtime.block_on(world.start()).unwrap();
    let mut wrong = String::new();
    let verdicts = predictions(&mut wrong);
    assert!(wrong.is_empty(), "mxwatch predicts otherwise:\n{wrong}");
    let sender = Sender::start(
        &installation,
        &format!(
            "smtp_connect_timeout = {}s\nsmtp_helo_timeout = {}s\n",
            conditions::CONNECT,
            conditions::GREETING
        ),
    );
    let recipients: Vec<String> = verdicts
        .iter()
        .flat_map(|(domain, verdict)| {
            let tries = if verdict.possible.len() > 1 { TRIES } else { 1 };
            (1..=tries).map(move |attempt| format!("{attempt}@{domain}"))
        })
        .collect();
    let attempts = sender.send(&recipients);
    let mut contradictions = String::new();
    for recipient in &recipients {
        let (attempt, domain) = (&attempts[recipient], recipient.split_once('@').unwrap().1);
        println!("{}", shown(attempt));
        if let Err(contradiction) = verdicts[domain].check(domain, attempt) {
            writeln!(contradictions, "{contradiction}").unwrap();
        }
    }
    assert!(contradictions.is_empty(), "Postfix did otherwise:\n{contradictions}");
    drop(sender);
    runtime.block_on(world.stop());
}

/// The line without when and which process.
fn shown(attempt: &Attempt) -> &str {
    attempt.line.split_once(": to=").map_or(attempt.line.as_str(), |(_, rest)| rest)
}
