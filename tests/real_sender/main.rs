//! Postfix as the sender: what it does with mail for domains with one fault each, held against
//! what is predicted of it.
//!
//! It resolves through libc and connects to port 25, so all of it happens in a network of its own.

use std::{collections::BTreeMap, fmt::Write, net::Ipv4Addr};

#[allow(dead_code, reason = "shared with the other tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

mod conditions;
mod reading;
mod verdict;

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

/// What is predicted of Postfix, with its time-outs of here, for a domain of the world.
fn predict(domain: &str) -> Verdict {
    let all = conditions::seen_by_a_probe().into_iter().chain(conditions::seen_by_the_sender());
    let mut of_domain = all.filter(|(label, _)| domain.strip_suffix(".test") == Some(label));
    Verdict { possible: of_domain.next().expect("a domain of the world").1 }
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
    let verdicts: BTreeMap<String, Verdict> =
        conditions::domains().map(|domain| (domain.clone(), predict(&domain))).collect();
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
