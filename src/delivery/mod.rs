//! The verdict: would this sender's mail be delivered, delayed or bounced now, by which exchanger,
//! after how many seconds and why.
//!
//! Pure: no clock, no I/O, no chance. Facts and a sender's parameters in, a [`Verdict`] out; where
//! the sender itself leaves something to chance, everything that can happen.
//!
//! - [`Behaviour`] a sender's parameters, [`Sender`] with name and sources, [`builtin`] the rows
//! - `situation` what a sender finds through one resolver, `conduct` how each address behaves
//! - `itinerary` in which order it goes through the addresses, `effect` what one of them comes to,
//!   `walk` every way through them, `ends` what those come to, `evidence` what that rests on
//! - `judge` from the MX lookup to the [`Verdict`]
//! - [`lifetime`] when a message is tried again and returned, [`depth`] what would stop mail
//! - [`what_if`] facts in shorthand

mod behaviour;
pub mod builtin;
mod conduct;
pub mod depth;
mod effect;
mod ends;
mod evidence;
mod itinerary;
mod judge;
pub mod lifetime;
mod sender;
mod situation;
mod verdict;
mod walk;
pub mod what_if;

pub use self::{
    behaviour::{
        Behaviour, Ehlo4xx, End, FamilyOrder, HostTempScope, Ipv4BesideIpv6, MxLiteral, MxSelf,
        NoMx, NullMxMixed, Parameter, PlainFallback, Query, Resolve, SelfMatch, Span,
        StarttlsReject, Step, Tls,
    },
    builtin::parameter,
    sender::{Confidence, Sender},
    verdict::{LATE, Outcome, Possible, Verdict, Via, Why},
};

use std::sync::Arc;

use self::situation::Situation;
use crate::facts::Facts;

/// What `sender` would do now with a fresh message to the destination, going by what `resolver`
/// answers.
pub fn judge(facts: &Facts, sender: &Sender, resolver: &str) -> Verdict {
    judge::verdict(&Situation::new(facts, resolver), sender)
}

/// The same for several senders, which find the same situation.
pub fn judge_each<'a>(
    facts: &Facts,
    senders: impl IntoIterator<Item = &'a Sender>,
    resolver: &str,
) -> Vec<Verdict> {
    let situation = Situation::new(facts, resolver);
    senders.into_iter().map(|sender| judge::verdict(&situation, sender)).collect()
}

/// The resolvers whose views can be judged, the primary first. A smart host that is an address has
/// none, and is judged as the view of a resolver without name.
pub fn views(facts: &Facts) -> Vec<Arc<str>> {
    let of_domain = facts.mx.iter().map(|answer| &answer.lookup.resolver);
    let of_hosts = facts.exchangers.iter().flat_map(|e| &*e.lookups).map(|lookup| &lookup.resolver);
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
