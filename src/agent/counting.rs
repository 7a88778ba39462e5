//! What a finished lookup or session adds to the counters of a report.
//!
//! A stranger's server chooses codes and ways to fail; the number of series it can create that way
//! is bounded here.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    family_counts::{Ending, FamilyCounts, Replied},
    state::{LookupCounts, LookupKey},
    tallies::Tallies,
};
use crate::facts::{Lookup, Session, Stage};

/// Different ways to end that one exchanger and family may count apart.
pub const MAX_ENDINGS: usize = 4;
/// Different replies likewise.
pub const MAX_REPLIES: usize = 4;

/// Counts one session.
pub fn count_session(counts: &mut FamilyCounts, session: &Session) {
    // There from the start, so that a rate over it never begins from nothing.
    counts.sessions.entry(Ending::Done);
    let ending = session.fault().map_or(Ending::Done, Ending::Fault);
    let full = counts.sessions.len() >= MAX_ENDINGS && counts.sessions.get(&ending).is_none();
    *counts.sessions.entry(if full { Ending::Other } else { ending }) += 1;
    for fact in &session.stages {
        if let Some(reply) = fact.reply() {
            // Every session ends with these where nothing is wrong.
            let usual = matches!(fact.stage, Stage::EhloTls | Stage::Quit) && fact.reason.is_none();
            if !usual {
                count_reply(&mut counts.replies, fact.stage, reply.code);
            }
            if fact.stage == Stage::Banner {
                counts.banner.observe(fact.duration.get());
            }
        }
        if fact.stage == Stage::Connect && fact.reason.is_none() {
            counts.connect.observe(fact.duration.get());
        }
    }
}

fn count_reply(replies: &mut Tallies<Replied>, stage: Stage, code: u16) {
    let key = Replied::Code(stage, code);
    let room = replies.len() < MAX_REPLIES || replies.get(&key).is_some();
    *replies.entry(if room { key } else { Replied::Other }) += 1;
}

/// Counts every exchange of a lookup, but for one that was counted when it was made.
pub fn count_lookup(counts: &mut BTreeMap<LookupKey, LookupCounts>, lookup: &Lookup) {
    if lookup.earlier.asked_at.is_some() {
        return;
    }
    let skipped = lookup.exchanges.is_empty();
    let key = LookupKey { rtype: lookup.rtype, resolver: Arc::clone(&lookup.resolver) };
    let counts = counts.entry(key).or_default();
    counts.skipped += u64::from(skipped);
    for exchange in lookup.exchanges.iter().filter(|exchange| !exchange.inquiry) {
        *counts.by_status.entry(exchange.status).or_default() += 1;
        counts.late += u64::from(exchange.further.late.is_some());
        counts.truncated += u64::from(exchange.truncated);
        if exchange.status.responded() {
            counts.duration.observe(exchange.duration.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_invents_codes_cannot_create_series_without_end() {
        let mut counts = FamilyCounts::default();
        for code in 200..600 {
            count_reply(&mut counts.replies, Stage::Ehlo, code);
        }
        assert_eq!(counts.replies.len(), MAX_REPLIES + 1);
        assert_eq!(counts.replies.as_slice().iter().map(|(_, count)| count).sum::<u32>(), 400);
        assert_eq!(counts.replies.get(&Replied::Other), u32::try_from(400 - MAX_REPLIES).ok());
    }
}
