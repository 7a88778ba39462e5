//! What a delivery that works is held up by: the first thing on the way that hangs, or the better
//! exchanger that is passed over.

use std::time::Duration;

use super::seen::Seen;
use crate::{
    delivery::Why,
    facts::{ExchangerFacts, Lookup, LookupStatus, Reason, Session, Stage, StageFact},
};

/// Time below this is the way there and back.
const NOTICED: Duration = Duration::from_secs(1);

/// The first exchanger no worse than the one that takes the message that costs time, else the first
/// better one that is no use, with the reason it would be if nothing else worked. `None` where the
/// way is straight.
pub(super) fn first<'a>(taken: &Seen<'a>, waits: bool) -> Option<Seen<'a>> {
    let via = taken.via?;
    let limit = taken.preference(&via.exchanger.host);
    let preference = |host: &ExchangerFacts| taken.preference(&host.exchanger.host);
    let mut hosts = taken.facts.exchangers.iter().map(|host| &**host);
    let hanging = waits.then(|| {
        let mut before = hosts.clone().filter(|host| {
            host.exchanger == via.exchanger
                || limit.is_none_or(|limit| preference(host).is_some_and(|own| own <= limit))
        });
        before.find_map(|host| hanging(taken, host))
    });
    hanging.flatten().or_else(|| {
        hosts
            .find(|host| preference(host).is_some_and(|own| limit.is_some_and(|l| own < l)))
            .and_then(|host| useless(taken, host))
    })
}

/// Where an exchanger makes this sender wait.
fn hanging<'a>(taken: &Seen<'a>, host: &'a ExchangerFacts) -> Option<Seen<'a>> {
    let families = &taken.sender.behaviour.families;
    let mut sessions = host.sessions.iter().filter(|session| families.contains(&session.family()));
    let hanging = sessions.find_map(|session| Some((hangs(taken, session)?, session)));
    if let Some((why, session)) = hanging {
        return Some(taken.of_session(why, host, session));
    }
    // Some spend time on any lookup that fails, others on one without answer only.
    let on_any = taken.sender.behaviour.dns_temp_wait.0 >= NOTICED;
    let silent = families.iter().any(|family| {
        let lookup = taken.lookup_of(host, family.record_type());
        let status = lookup.map(Lookup::status);
        status.is_some_and(|s| s == LookupStatus::Timeout || (on_any && !s.answered()))
    });
    silent.then(|| taken.of_lookups(host))
}

fn hangs(taken: &Seen<'_>, session: &Session) -> Option<Why> {
    let slow = session.stages.iter().find(|stage| stage.duration.get() >= NOTICED)?;
    let timeout = slow.reason == Some(Reason::Timeout);
    match slow.stage {
        Stage::Connect if timeout => Some(Why::ConnectTimeout),
        Stage::Banner
            if timeout || slow.duration.get() >= taken.sender.behaviour.banner_timeout.0 =>
        {
            Some(Why::BannerTimeout)
        }
        Stage::TlsHandshake if timeout => Some(Why::TlsTimeout),
        Stage::Quit => None,
        _ if timeout => Some(Why::SessionTimeout),
        _ => None,
    }
}

/// Why an exchanger is no use to this sender.
fn useless<'a>(taken: &Seen<'a>, host: &'a ExchangerFacts) -> Option<Seen<'a>> {
    let by_lookups = taken.of_lookups(host);
    if by_lookups.blocking_lookup().is_some() {
        return Some(by_lookups);
    }
    let families = &taken.sender.behaviour.families;
    let mut sessions = host.sessions.iter().filter(|session| families.contains(&session.family()));
    let (why, session) = sessions.find_map(|session| Some((refusal(session)?, session)))?;
    Some(taken.of_session(why, host, session))
}

/// The reason that a failed session stands for.
fn refusal(session: &Session) -> Option<Why> {
    let failure = session.failure?;
    let reason = session.stage(failure.stage).and_then(StageFact::reason_by_code);
    Some(match (failure.stage, reason.unwrap_or(failure.reason)) {
        (Stage::Connect, Reason::Timeout) => Why::ConnectTimeout,
        (Stage::Connect, Reason::Refused) => Why::ConnectRefused,
        (Stage::Connect, Reason::Reset) => Why::ConnectReset,
        (Stage::Connect, Reason::Unreachable) => Why::ConnectUnreachable,
        (Stage::Connect, Reason::NoLocalFamily) => Why::NoLocalFamily,
        (Stage::Connect, _) => Why::LocalError,
        (Stage::Banner, Reason::Timeout) => Why::BannerTimeout,
        (Stage::Banner, Reason::Closed) => Why::BannerClosed,
        (Stage::Banner, Reason::Reset) => Why::BannerReset,
        (Stage::Banner, Reason::Reply4xx) => Why::Banner4xx,
        (Stage::Banner, Reason::Reply5xx) => Why::Banner5xx,
        (Stage::Banner, _) => Why::BannerMalformed,
        (Stage::Ehlo, Reason::Reply4xx) => Why::Ehlo4xx,
        (Stage::Helo, Reason::Reply4xx) => Why::Helo4xx,
        (Stage::Ehlo | Stage::Helo, Reason::Reply5xx) => Why::Helo5xx,
        (Stage::Mail, Reason::Reply4xx) => Why::Mail4xx,
        (Stage::Mail, Reason::Reply5xx) => Why::Mail5xx,
        (Stage::Rcpt, Reason::Reply4xx) => Why::Rcpt4xx,
        (Stage::Rcpt, Reason::Reply5xx) => Why::Rcpt5xx,
        (Stage::TlsHandshake, Reason::Timeout) => Why::TlsTimeout,
        (Stage::TlsHandshake, _) => Why::TlsHandshake,
        (Stage::Starttls, Reason::Reply4xx | Reason::Reply5xx) => Why::TlsRejected,
        (_, Reason::Timeout) => Why::SessionTimeout,
        (_, _) => Why::SessionLost,
    })
}
