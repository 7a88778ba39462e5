//! One log line when the state of a destination, policy, lookup, exchanger, resolver or the own vantage or a
//! verdict changes, none while it stays.
//!
//! Pure comparison plus the line; who observed what and when is the caller's.

use tracing::{debug, info, warn};

use super::{
    health::{Health, ResolverReport},
    standing::Standing,
};
use crate::{
    delivery::Outcome,
    facts::{
        DomainPolicies, ExchangerFacts, Failure, Family, FamilyVantage, Heard, Lookup,
        LookupStatus, MxLookup, Route, Session, StsStatus, TlsRptStatus, Vantage, Way,
    },
    name::{Destination, Domain},
};

/// Says what became different about a route.
pub fn log_route(destination: &Destination, before: &[MxLookup], after: &[MxLookup]) {
    for now in after {
        let then = before.iter().find(|b| b.lookup.resolver == now.lookup.resolver);
        if let Some(then) = then.filter(|then| reads_alike(&then.route, &now.route)) {
            log_lookup(Some(&then.lookup), &now.lookup);
            continue;
        }
        let (old, new) = (then.map(|t| shown_route(&t.route)), shown_route(&now.route));
        let resolver = now.lookup.resolver.as_ref();
        let status = now.lookup.status().label();
        let was = old.as_deref().unwrap_or("not known yet");
        if matches!(now.route, Route::Unknown | Route::NoDomain | Route::Null) {
            warn!(domain = %destination, resolver, status, was, route = new, "route changed");
        } else {
            let message = if old.is_some() { "route changed" } else { "route found" };
            info!(domain = %destination, resolver, status, was, route = new, "{message}");
        }
    }
}

/// Mostly two routes are the same, and need not be put into words to see that these are.
fn reads_alike(one: &Route, other: &Route) -> bool {
    one == other || shown_route(one) == shown_route(other)
}

fn shown_route(route: &Route) -> String {
    match route {
        Route::Implicit { exchanger } => format!("implicit MX {exchanger}"),
        Route::Mx { targets, .. } => {
            let shown: Vec<String> =
                targets.iter().map(|t| format!("{} {}", t.preference, t.exchanger)).collect();
            shown.join(", ")
        }
        Route::Null => "null MX".to_owned(),
        Route::NoDomain => "no such domain".to_owned(),
        Route::Unknown => "lookup failed".to_owned(),
    }
}

/// Says what became different about the lookups of an exchanger.
pub fn log_lookups(before: Option<&ExchangerFacts>, after: &ExchangerFacts) {
    for now in after.all_lookups() {
        let mut known = before.into_iter().flat_map(ExchangerFacts::all_lookups);
        let then = known.find(|then| {
            (&then.resolver, then.rtype, &then.name) == (&now.resolver, now.rtype, &now.name)
        });
        log_lookup(then, now);
    }
}

fn log_lookup(before: Option<&Lookup>, after: &Lookup) {
    let old = before.filter(|before| before.asked()).map(Lookup::status);
    let new = after.status();
    if !after.asked() || old == Some(new) || (old.is_none() && new.answered()) {
        return;
    }
    let (name, rtype, resolver) = (after.name.as_ref(), after.rtype.label(), &*after.resolver);
    let was = old.map_or("not known yet", LookupStatus::label);
    if new.answered() {
        info!(name, rtype, resolver, was, status = new.label(), "lookup changed");
    } else {
        warn!(name, rtype, resolver, was, status = new.label(), "lookup changed");
    }
}

/// Says what became different about one family of an exchanger: up with any address that takes
/// mail, else the failure that came earliest.
pub fn log_family(
    mx: &str,
    family: Family,
    before: Option<&ExchangerFacts>,
    after: &ExchangerFacts,
) {
    let (old, new) = (before.and_then(|b| state(b, family)), state(after, family));
    let Some((new, example)) = new else { return };
    if old.map(|(state, _)| state) == Some(new) {
        return;
    }
    let was = old.map_or("not known yet".to_owned(), |(state, _)| state.to_string());
    let text = Some(last_words(example)).filter(|text| !text.is_empty());
    let (family, address) = (family.label(), example.peer.ip());
    match new {
        FamilyState::Up => info!(mx, family, was, "exchanger up"),
        FamilyState::UpWithoutTls(failure) => {
            let (stage, reason) = (failure.stage.label(), failure.reason.label());
            warn!(mx, family, was, stage, reason, %address, text, "exchanger up, but TLS fails");
        }
        FamilyState::Down(failure) => {
            let refuses = failure.refuses_us();
            let message = if refuses { "exchanger refuses us" } else { "exchanger down" };
            warn!(
            mx,
            family,
            was,
            stage = failure.stage.label(),
            reason = failure.reason.label(),
            %address,
            text,
            "{message}"
            );
        }
    }
}

/// Says when the certificates of a family are judged otherwise than before.
pub fn log_certificate(
    mx: &str,
    family: Family,
    before: Option<&ExchangerFacts>,
    after: &ExchangerFacts,
) {
    let worst = |facts: &ExchangerFacts| {
        let shown = facts.sessions_of(family).filter_map(|session| session.tls.as_deref());
        shown.map(|tls| tls.pkix).max()
    };
    let (Some(old), Some(new)) = (before.and_then(worst), worst(after)) else { return };
    let (family, was, status) = (family.label(), old.label(), new.label());
    if old != new && new.trusted() {
        info!(mx, family, was, status, "certificate trusted");
    } else if old != new {
        warn!(mx, family, was, status, "certificate not trusted");
    }
}

/// Says when an exchanger takes what a relay test asks it to take, and when it does no longer.
pub fn log_relay(
    mx: &str,
    family: Family,
    before: Option<&ExchangerFacts>,
    after: &ExchangerFacts,
) {
    let relayed = |facts: &ExchangerFacts| {
        let all = facts.sessions_of(family).flat_map(|session| &session.transactions);
        let taken = all.filter(|asked| asked.relay_denied() == Some(false));
        taken.map(|asked| asked.envelope.recipient.to_string()).next()
    };
    let (old, new) = (before.and_then(relayed), relayed(after));
    let family = family.label();
    match (old, new) {
        (None, Some(recipient)) => {
            warn!(mx, family, recipient, "relay test not refused: an open relay");
        }
        (Some(recipient), None) => info!(mx, family, recipient, "relay test no longer accepted"),
        _ => {}
    }
}

/// Says what became different about the policies of a domain.
pub fn log_policies(domain: &Domain, before: Option<&DomainPolicies>, after: &DomainPolicies) {
    let of_sts = |policies: &DomainPolicies| (policies.mta_sts.status, policies.mta_sts.mode);
    let (old, (status, mode)) = (before.map(of_sts), of_sts(after));
    let was = old.map_or("not known yet", |(status, _)| status.label());
    let detail = after.mta_sts.detail.as_deref();
    let (label, in_force) = (status.label(), mode.label());
    match (status, old) {
        (_, Some(old)) if old == (status, mode) => {}
        (StsStatus::Absent, None) => {}
        (StsStatus::Absent | StsStatus::Valid, _) => {
            info!(%domain, was, status = label, mode = in_force, "MTA-STS policy changed");
        }
        _ => {
            warn!(%domain, was, status = label, mode = in_force, detail, "MTA-STS policy changed");
        }
    }
    let old = before.map(|policies| policies.tls_rpt.status);
    let status = after.tls_rpt.status;
    if old == Some(status) || (old.is_none() && status == TlsRptStatus::Absent) {
        return;
    }
    let was = old.map_or("not known yet", TlsRptStatus::label);
    let (label, detail) = (status.label(), after.tls_rpt.detail.as_deref());
    if matches!(status, TlsRptStatus::Absent | TlsRptStatus::Valid) {
        info!(%domain, was, status = label, "TLS-RPT record changed");
    } else {
        warn!(%domain, was, status = label, detail, "TLS-RPT record changed");
    }
}

/// Says that a sender would do something else with mail for a destination.
pub fn log_verdict(destination: &Destination, before: &[Standing], after: &Standing, mx_port: u16) {
    let (sender, resolver) = (&*after.sender.name, &*after.resolver);
    let same = |s: &&Standing| (&*s.sender.name, &*s.resolver) == (sender, resolver);
    let old = before.iter().find(same).map(|standing| standing.history.outcome());
    let verdict = &after.verdict;
    if old == Some(verdict.outcome) {
        return;
    }
    let was = old.map_or("not known yet", Outcome::label);
    let (outcome, reason) = (verdict.outcome.label(), verdict.why.label());
    let mx = verdict.at.as_ref().map(|at| at.exchanger.label(mx_port));
    let mx = mx.as_deref();
    let wait_seconds = verdict.wait_worst.as_secs_f64();
    let domain = destination;
    match (verdict.outcome, old) {
        (Outcome::Deliver, None) => {
            debug!(%domain, sender, resolver, was, outcome, mx, wait_seconds, "delivered");
        }
        (Outcome::Deliver, Some(_)) => {
            info!(%domain, sender, resolver, was, outcome, mx, wait_seconds, "delivered again");
        }
        (Outcome::Unknown, _) => {
            info!(%domain, sender, resolver, was, outcome, reason, mx, "verdict not known");
        }
        (_, old) => {
            let had = old == Some(Outcome::Deliver);
            let message = if had { "no longer delivered" } else { "not delivered" };
            warn!(%domain, sender, resolver, was, outcome, reason, mx, wait_seconds, "{message}");
        }
    }
}

/// Says that a resolver went down or came back, and what became different about one of its servers
/// while others respond.
pub fn log_resolver(before: &ResolverReport, after: &ResolverReport) {
    let Some(now) = &after.last else { return };
    let resolver = &*now.resolver;
    match (before.health, after.health) {
        (Health::Down { .. }, Health::Down { .. }) => return,
        (_, Health::Down { .. }) => {
            let servers: Vec<_> = now.servers.iter().map(|s| s.server.to_string()).collect();
            let servers = servers.join(" ");
            warn!(resolver, servers, "resolver down: no server of it responds");
            return;
        }
        (Health::Down { since }, Health::Up) => {
            let down_seconds = now.observed_at.duration_since(since).as_secs();
            info!(resolver, down_seconds, "resolver up again");
            return;
        }
        _ => {}
    }
    let all_silent = |report: &ResolverReport| {
        report.last.as_ref().is_some_and(|facts| facts.up() == Some(false))
    };
    if all_silent(before) || all_silent(after) {
        return;
    }
    for (place, after) in now.servers.iter().enumerate() {
        let then = before.last.as_ref().and_then(|facts| facts.servers.get(place));
        let (old, new) = (then.map(|then| then.control.status()), after.control.status());
        if old == Some(new) || (old.is_none() && new.answered()) {
            continue;
        }
        let was = old.map_or("not known yet", LookupStatus::label);
        let (server, status) = (after.server, new.label());
        if new.answered() {
            info!(resolver, %server, was, status, "server of a resolver changed");
        } else {
            warn!(resolver, %server, was, status, "server of a resolver changed");
        }
    }
}

/// Says what became different about how this host looks to receivers.
pub fn log_vantage(before: Option<&Vantage>, after: &Vantage) {
    let offline = after.families.iter().all(|family| family.way == Way::NoRoute);
    for (place, now) in after.families.iter().enumerate() {
        let then = before.map(|before| &before.families[place]);
        if then.is_some_and(|then| alike(then, now)) {
            continue;
        }
        let (family, helo_name) = (now.family.label(), &*after.helo_name);
        let way = match now.way {
            Way::NoRoute => "no_route",
            Way::NotOurs => "not_ours",
            Way::Open => "open",
        };
        let word = |known: Option<bool>| match known {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let address = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string());
        let (source, seen_as) = (address(now.source), address(now.seen_as));
        let (forward, reverse) = (word(now.forward), word(now.reverse));
        let confirmed = word(now.confirmed);
        // A family that this host never had is nothing to warn about.
        let lost = now.way == Way::NoRoute && then.is_some_and(|then| then.way == Way::Open);
        let bad = now.mismatched() || now.way == Way::NotOurs || lost || offline;
        if bad {
            warn!(
                family,
                way,
                source,
                seen_as,
                helo_name,
                forward,
                reverse,
                confirmed,
                "receivers find something wrong with this host"
            );
        } else if then.is_some() {
            info!(
                family,
                way,
                source,
                seen_as,
                helo_name,
                forward,
                reverse,
                confirmed,
                "this host looks different to receivers"
            );
        }
    }
}

/// Nothing but lookups differs.
fn alike(a: &FamilyVantage, b: &FamilyVantage) -> bool {
    let compared =
        |v: &FamilyVantage| (v.way, v.source, v.seen_as, v.forward, v.reverse, v.confirmed);
    compared(a) == compared(b)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FamilyState {
    Up,
    /// It takes mail, and encrypts none.
    UpWithoutTls(Failure),
    Down(Failure),
}

impl std::fmt::Display for FamilyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::UpWithoutTls(failure) | Self::Down(failure) => {
                write!(f, "{} {}", failure.stage.label(), failure.reason.label())
            }
        }
    }
}

fn state(facts: &ExchangerFacts, family: Family) -> Option<(FamilyState, &Session)> {
    let up = facts.sessions_of(family).filter(|session| session.up());
    // One that encrypts is enough.
    if let Some(best) = up.min_by_key(|session| session.fault()) {
        let state = best.fault().map_or(FamilyState::Up, FamilyState::UpWithoutTls);
        return Some((state, best));
    }
    let tried = facts.sessions_of(family).filter(|session| session.tried());
    let failed = tried.filter_map(|s| s.failure.map(|f| (f, s)));
    failed
        .min_by_key(|(failure, _)| *failure)
        .map(|(f, session)| (FamilyState::Down(f), &**session))
}

/// What the server said when it went wrong, for the log: its text is already free of control
/// characters, the log format quotes it.
fn last_words(session: &Session) -> String {
    let Some(fact) = session.fault().and_then(|fault| session.stage(fault.stage)) else {
        return String::new();
    };
    let text = match &fact.heard {
        Heard::Reply(reply) => format!("{} {}", reply.code, reply.lines.join(" / ")),
        Heard::Broken(received) => received.replace('\n', " / "),
        Heard::Nothing => String::new(),
    };
    text.chars().take(MAX_TEXT).collect()
}

/// Characters of server text in one log line.
const MAX_TEXT: usize = 200;
