//! Verdicts with everything that is said about them, for every sender and resolver.

use std::sync::Arc;

use super::verdict::{Explanation, explain};
use crate::{
    delivery::{
        self, Outcome, Sender, Verdict,
        depth::{self, Weakness},
    },
    facts::Facts,
};

/// One verdict and what is said about it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Whose mail.
    pub sender: Arc<Sender>,
    /// Through which resolver; empty where nothing is looked up.
    pub resolver: Arc<str>,
    /// What it comes to.
    pub verdict: Arc<Verdict>,
    /// The same in words.
    pub explanation: Explanation,
    /// Single failures that would stop mail which is delivered now.
    pub weaknesses: Vec<Weakness>,
}

impl Judged {
    /// Says everything about a verdict on these facts.
    pub fn new(
        facts: &Facts,
        sender: &Arc<Sender>,
        resolver: &Arc<str>,
        verdict: &Arc<Verdict>,
    ) -> Self {
        Self {
            sender: Arc::clone(sender),
            resolver: Arc::clone(resolver),
            verdict: Arc::clone(verdict),
            explanation: explain(facts, sender, resolver, verdict),
            weaknesses: depth::weaknesses(facts, sender, resolver, verdict),
        }
    }
}

/// Judges facts for each sender, through each resolver.
pub fn all(facts: &Facts, senders: &[Arc<Sender>]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for resolver in delivery::views(facts) {
        let verdicts = delivery::judge_each(facts, senders.iter().map(|s| &**s), &resolver);
        for (sender, verdict) in senders.iter().zip(verdicts) {
            judged.push(Judged::new(facts, sender, &resolver, &Arc::new(verdict)));
        }
    }
    judged
}

/// The worst outcome, by which a command ends; that of no verdict at all is not known.
pub fn worst(judged: &[Judged]) -> Outcome {
    let outcomes = judged.iter().map(|judged| judged.verdict.outcome);
    outcomes.max().unwrap_or(Outcome::Unknown)
}
