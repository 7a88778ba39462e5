//! The verdict: would this sender's mail be delivered, delayed or bounced now, by which exchanger,
//! after how many seconds and why.
//!
//! Pure: no clock, no I/O, no chance. Facts and a sender's parameters in, a [`Verdict`] out; where
//! the sender itself leaves something to chance, everything that can happen.
//!
//! - [`Behaviour`] a sender's parameters, [`Sender`] with name and sources, [`builtin`] the rows
//! - `situation` what a sender would find, out of the facts through one resolver
//! - [`Verdict`] what it comes to

mod behaviour;
pub mod builtin;
pub mod depth;
pub mod lifetime;
mod sender;
mod verdict;

pub use self::{
    behaviour::{
        Behaviour, Ehlo4xx, End, FamilyOrder, HostTempScope, Ipv4BesideIpv6, MxLiteral, MxSelf,
        NoMx, NullMxMixed, Parameter, PlainFallback, Query, Resolve, SelfMatch, Span,
        StarttlsReject, Step, Tls,
    },
    builtin::parameter,
    sender::{Confidence, Sender},
    verdict::{Outcome, Possible, Verdict, Via, Why},
};

use std::{sync::Arc, time::Duration};

use crate::facts::Facts;

/// What `sender` would do now with a fresh message to the destination, going by what `resolver`
/// answers.
pub fn judge(_facts: &Facts, _sender: &Sender, _resolver: &str) -> Verdict {
    let why = Why::NotLookedUp;
    Verdict {
        outcome: Outcome::Unknown,
        why,
        via: None,
        at: None,
        wait_best: Duration::ZERO,
        wait_worst: Duration::ZERO,
        usable_exchangers: 0,
        confidence: Confidence::High,
        censored: false,
        delivered_after: None,
        possible: vec![Possible {
            outcome: Outcome::Unknown,
            why,
            via: None,
            wait: Duration::ZERO,
        }],
    }
}

/// The resolvers whose views can be judged, the primary first. A smart host that is an address has
/// none, and is judged as the view of a resolver without name.
pub fn views(facts: &Facts) -> Vec<Arc<str>> {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup.resolver);
    let of_hosts = facts.exchangers.iter().flat_map(|e| &e.lookups).map(|lookup| &lookup.resolver);
    let mut views: Vec<Arc<str>> = Vec::new();
    for resolver in of_domain.chain(of_hosts) {
        if !views.contains(resolver) {
            views.push(Arc::clone(resolver));
        }
    }
    if views.is_empty() {
        views.push(Arc::from(""));
    }
    views
}
