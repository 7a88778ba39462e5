//! The JSON document of one destination: the same from `check --json`, `judge --json` and the API.
//! `docs/json.md` describes it field by field.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    delivery::{Confidence, Outcome, Possible, Via, depth::Weakness, lifetime},
    explain::{
        judged::Judged,
        verdict::{Cure, Explanation},
    },
    facts::{AddressPair, FACTS_VERSION, Facts, OwnHost, ResolverFacts, Vantage},
    name::Destination,
};

/// One destination, what is known about it, and what senders would make of it.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// Version of the form of this document.
    pub version: u32,
    /// The destination as configured.
    pub domain: &'a Destination,
    /// When the route was looked up; null before the first round.
    pub checked_at: Option<Timestamp>,
    /// What was found; null before the first round.
    pub facts: Option<&'a Facts>,
    /// What is remarkable about it, by resolver; read from the facts.
    pub findings: Vec<Finding>,
    /// What holds whatever the destination is.
    #[serde(flatten)]
    pub surroundings: Surroundings,
    /// One for each resolver and sender.
    pub verdicts: Vec<Entry>,
}

/// What is known apart from any destination.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Surroundings {
    /// How this host looks to receivers; null where nobody looked.
    pub vantage: Option<Arc<Vantage>>,
    /// The health of each resolver; empty where nobody looked.
    pub resolvers: Vec<Arc<ResolverFacts>>,
}

impl Surroundings {
    /// This host, where it may be an exchanger itself.
    pub fn own_host(&self) -> Option<OwnHost> {
        self.vantage.as_ref().map(|vantage| vantage.own_host())
    }

    /// The resolvers of which no server responded.
    pub fn dead(&self) -> impl Iterator<Item = &ResolverFacts> {
        self.resolvers.iter().map(AsRef::as_ref).filter(|facts| facts.up() == Some(false))
    }
}

impl<'a> Document<'a> {
    /// Of one destination.
    pub fn new(
        domain: &'a Destination,
        facts: Option<&'a Facts>,
        surroundings: Surroundings,
        verdicts: Vec<Entry>,
    ) -> Self {
        let checked_at = facts.map(|facts| facts.observed_at);
        let findings = facts.map(findings).unwrap_or_default();
        Self { version: FACTS_VERSION, domain, checked_at, facts, findings, surroundings, verdicts }
    }
}

/// One thing that is remarkable.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// Through which resolver it is seen.
    pub resolver: String,
    /// The exchanger it is about; absent when it is the MX set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mx: Option<String>,
    /// A label of [`crate::facts::DomainFinding`], or of [`crate::facts::ExchangerFinding`] where it
    /// is about an exchanger.
    pub finding: &'static str,
}

/// Those of the MX set come first.
fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |resolver: &str, mx, finding| {
        findings.push(Finding { resolver: resolver.to_owned(), mx, finding });
    };
    for answer in &facts.mx {
        for finding in facts.domain_findings(answer) {
            add(&answer.lookup.resolver, None, finding.label());
        }
    }
    for exchanger in &facts.exchangers {
        for (resolver, pair) in AddressPair::by_resolver(exchanger) {
            for finding in pair.findings() {
                add(resolver, Some(exchanger.exchanger.host.to_string()), finding.label());
            }
        }
    }
    findings
}

/// One verdict.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The sender's name.
    pub sender: String,
    /// The resolver through which it would look; empty where nothing is looked up.
    pub resolver: String,
    /// What would happen.
    pub outcome: Outcome,
    /// Why: a label of [`crate::delivery::Why`].
    pub reason: &'static str,
    /// The exchanger that takes the message, or ends the attempt; null where none did.
    pub via: Option<Via>,
    /// The last exchanger that was tried, also where the attempt ended because none was left.
    pub at: Option<Via>,
    /// Time lost in this attempt.
    pub wait_seconds: Bounds,
    /// Until the next attempt; null where there is none.
    pub next_retry_seconds: Option<f64>,
    /// Until the message is returned; null where it does not wait.
    pub expires_seconds: Option<f64>,
    /// The age at which a retry delivers although nothing else changes; null where none does.
    pub delivered_after_seconds: Option<f64>,
    /// Exchangers that would take the message if the others were gone.
    pub usable_exchangers: usize,
    /// Single failures that would stop mail which is delivered now.
    pub stopped_by: Vec<Failure>,
    /// How sure this is.
    pub confidence: Confidence,
    /// The probe's patience was shorter than the sender's.
    pub censored: bool,
    /// The same in words.
    pub text: String,
    /// The line in the sender's own log; null where that is not documented.
    pub log: Option<String>,
    /// Who can put it right, and how.
    pub cure: Cure,
    /// Shell commands that show the cause.
    pub by_hand: Vec<String>,
    /// Everything that could happen, this first.
    pub possible: Vec<Possible>,
    /// Since when the outcome is this one; only from an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the outcome was last another; only from an agent, and absent while none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Timestamp>,
}

/// The least and the most, where chance decides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// Seconds.
    pub best: f64,
    /// Seconds.
    pub worst: f64,
}

/// One exchanger that fails in one way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// Its host.
    pub mx: String,
    /// A label of [`crate::delivery::depth::Failing`].
    pub failure: &'static str,
}

impl From<Judged> for Entry {
    fn from(judged: Judged) -> Self {
        let Judged { sender, resolver, verdict, explanation, weaknesses } = judged;
        let Explanation { text, log, cure, by_hand } = explanation;
        let ahead = lifetime::ahead(&sender.behaviour, verdict.outcome, Duration::ZERO);
        let failure = |weakness: &Weakness| Failure {
            mx: weakness.exchanger.host.to_string(),
            failure: weakness.failing.label(),
        };
        Self {
            sender: sender.name.to_string(),
            resolver: resolver.to_string(),
            outcome: verdict.outcome,
            reason: verdict.why.label(),
            via: verdict.via.clone(),
            at: verdict.at.clone(),
            wait_seconds: Bounds {
                best: verdict.wait_best.as_secs_f64(),
                worst: verdict.wait_worst.as_secs_f64(),
            },
            next_retry_seconds: ahead.and_then(|a| a.next_retry).map(|d| d.as_secs_f64()),
            expires_seconds: ahead.map(|ahead| ahead.expires.as_secs_f64()),
            delivered_after_seconds: verdict.delivered_after.map(|age| age.as_secs_f64()),
            usable_exchangers: verdict.usable_exchangers,
            stopped_by: weaknesses.iter().map(failure).collect(),
            confidence: verdict.confidence,
            censored: verdict.censored,
            text,
            log,
            cure,
            by_hand,
            possible: verdict.possible.clone(),
            since: None,
            last_change: None,
        }
    }
}
