//! What is wrong, one sentence each, with the commands that show it by hand.
//!
//! It names what was seen. What a given sender would make of it is the verdict's business.

use super::{
    authority,
    by_hand::{self, dig},
    spoken,
};
use crate::{
    facts::{
        ExchangerFacts, Facts, Family, Lookup, LookupStatus, MAX_EXCHANGERS, Reason, Route,
        Session, Stage,
    },
    name::Destination,
};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// A sentence.
    pub what: String,
    /// Shell commands that show the same.
    pub by_hand: Vec<String>,
}

/// Everything that is wrong with a destination, the route first, name servers last.
pub fn find(facts: &Facts) -> Vec<Trouble> {
    let mut troubles = besides_name_servers(facts);
    troubles.extend(authority::troubles(facts));
    troubles
}

/// The same without what a trace says of name servers.
pub fn besides_name_servers(facts: &Facts) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for answer in &facts.mx {
        troubles.extend(route(&facts.destination.to_string(), &answer.lookup, &answer.route));
    }
    for exchanger in &facts.exchangers {
        troubles.extend(alias(facts, exchanger));
        troubles.extend(lookups(exchanger));
        // Where something could be tried, what could not is a note.
        let untried = !exchanger.sessions.iter().any(|session| session.tried());
        let told = exchanger.sessions.iter().filter(|session| untried || session.tried());
        troubles.extend(told.filter_map(|session| dialogue(session)));
    }
    troubles
}

/// What is worth knowing and nobody's fault, one sentence each.
pub fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let sessions = || facts.exchangers.iter().flat_map(|exchanger| &exchanger.sessions);
    for family in Family::ALL {
        let untried =
            sessions().filter(|session| session.family() == family && !session.tried()).count();
        if untried > 0 {
            let family = family.label();
            notes.push(format!("Not tried from this host: {untried} of the {family} addresses."));
        }
    }
    let listed = facts.mx.first().map_or(0, |answer| answer.route.targets().len());
    if listed > MAX_EXCHANGERS {
        notes.push(format!("Of {listed} exchangers only the first {MAX_EXCHANGERS} are probed."));
    }
    notes
}

fn route(domain: &str, lookup: &Lookup, route: &Route) -> Option<Trouble> {
    let what = match route {
        Route::Unknown => format!(
            "The MX lookup of {domain} failed: {}. Without its answer nobody knows where mail goes, \
             so it waits.",
            failed(lookup)
        ),
        Route::NoDomain => {
            format!("{domain} does not exist: {}.", failed(lookup))
        }
        Route::Null => format!("{domain} takes no mail: it publishes a null MX (RFC 7505)."),
        Route::Mx { null_mixed: true, .. } => format!(
            "{domain} publishes a null MX beside other MX records, which RFC 7505 §3 forbids; some \
             senders bounce."
        ),
        Route::Mx { targets, .. } => {
            let literal = targets.iter().find(|t| t.exchanger.spells_address())?;
            format!(
                "The MX target {} of {domain} is an IP address, not a host name (RFC 5321 §5.1).",
                literal.exchanger
            )
        }
        Route::Implicit { .. } => return None,
    };
    Some(Trouble { what, by_hand: vec![dig(lookup)] })
}

/// RFC 2181 §10.3: the name in an MX record must not be an alias. A smart host's may.
fn alias(facts: &Facts, exchanger: &ExchangerFacts) -> Option<Trouble> {
    let Destination::Domain(domain) = &facts.destination else { return None };
    // Without an MX the domain stands for itself, and may be an alias (RFC 5321 §5.1).
    if facts.mx.iter().any(|answer| matches!(answer.route, Route::Implicit { .. })) {
        return None;
    }
    let lookup = exchanger.lookups.iter().find(|lookup| {
        lookup.deciding().is_some_and(|exchange| !exchange.cname_chain.is_empty())
    })?;
    let what = format!(
        "The MX target {} of {domain} is an alias (CNAME), which RFC 2181 §10.3 forbids; most \
         senders follow it all the same.",
        lookup.name
    );
    Some(Trouble { what, by_hand: vec![dig(lookup)] })
}

fn lookups(facts: &ExchangerFacts) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for pair in facts.lookups.chunks(2) {
        let [a, aaaa] = pair else { continue };
        let name = &a.name;
        let by_hand = || vec![dig(a), dig(aaaa)];
        let what = match (a.status(), aaaa.status()) {
            (LookupStatus::Noerror, bad) if !bad.answered() => format!(
                "{name} has an address, but its AAAA lookup fails: {}. Senders that insist on an \
                 answer hold mail back although A works (RFC 4074 §4.3).",
                failed(aaaa)
            ),
            (LookupStatus::Noerror, LookupStatus::Nxdomain) => format!(
                "The name server denies that {name} exists when asked for AAAA, although it has an \
                 A record (RFC 4074 §4.2): a cache that believes it loses the A record too."
            ),
            (bad, LookupStatus::Noerror) if !bad.answered() => {
                format!("The A lookup of {name} fails: {}. Only IPv6 is left.", failed(a))
            }
            (a_status, aaaa_status) if !a_status.answered() || !aaaa_status.answered() => {
                let failing = if a_status.answered() { aaaa } else { a };
                format!("No address of {name} is to be had: {}.", failed(failing))
            }
            (LookupStatus::Nxdomain, LookupStatus::Noerror) => format!(
                "The name server denies that {name} exists when asked for A, although it has an AAAA \
                 record: a cache that believes it loses the AAAA record too."
            ),
            (LookupStatus::Nxdomain, _) => {
                format!("The exchanger {name} does not exist: {}.", failed(a))
            }
            (LookupStatus::Nodata, LookupStatus::Nodata | LookupStatus::Nxdomain) => {
                format!("The exchanger {name} has neither an A nor an AAAA record.")
            }
            _ => continue,
        };
        troubles.push(Trouble { what, by_hand: by_hand() });
    }
    troubles
}

fn dialogue(session: &Session) -> Option<Trouble> {
    let failure = session.failure?;
    let fact = session.stage(failure.stage)?;
    let peer = session.peer;
    let waited = spoken(fact.duration);
    let said = fact.reply.as_ref().map(|r| format!("{} {}", r.code, r.lines.join(" / ")));
    let said = said.as_deref().unwrap_or_default();
    let what = match (failure.stage, failure.reason) {
        (Stage::Connect, Reason::Timeout) => {
            format!("{peer} does not answer: no TCP connection within {waited}.")
        }
        (Stage::Connect, Reason::Refused) => {
            format!("{peer} refuses the TCP connection: no mail server listens there.")
        }
        (Stage::Connect, Reason::NoLocalFamily) => {
            let family = session.family().label();
            format!("{peer} was not tried: this host itself has no {family} route to it.")
        }
        (Stage::Connect, Reason::LocalError) => {
            format!("{peer} was not tried: this host could not open the connection.")
        }
        (Stage::Connect, reason) => {
            format!("{peer} cannot be reached: {} after {waited}.", reason.label())
        }
        (Stage::Banner, Reason::Timeout) if fact.received.is_some() => format!(
            "{peer} begins to greet ({}) and does not finish within {waited}.",
            fact.received.as_deref().unwrap_or_default().replace('\n', " / ")
        ),
        (Stage::Banner, Reason::Timeout) => format!(
            "{peer} accepts the TCP connection and then does not greet: no complete 220 within \
             {waited}. Senders wait here for minutes, and some never try another MX."
        ),
        (stage, Reason::Timeout) => {
            format!("{peer} does not answer {} within {waited}.", verb(stage))
        }
        (Stage::Banner, Reason::Reply4xx | Reason::Reply5xx) => {
            format!("{peer} is reachable but refuses us with its banner: {said}")
        }
        (stage, Reason::Reply4xx | Reason::Reply5xx | Reason::ReplyUnexpected) => {
            format!("{peer} answers {} with: {said}", verb(stage))
        }
        (stage, Reason::Malformed) => {
            let received = fact.received.as_deref().unwrap_or_default().replace('\n', " / ");
            format!("{peer} does not speak SMTP at {}: {received}", verb(stage))
        }
        (stage, Reason::TooLong) => {
            format!("{peer} sends more than a reply may have at {}.", verb(stage))
        }
        (stage, reason) => {
            format!("{peer} ends the connection at {} ({}).", verb(stage), reason.label())
        }
    };
    Some(Trouble { what, by_hand: by_hand::call(session.peer, &session.helo_name) })
}

/// What was being waited for.
fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "the connection",
        Stage::Banner => "the banner",
        Stage::Ehlo => "EHLO",
        Stage::Helo => "HELO",
        Stage::Starttls => "STARTTLS",
        Stage::TlsHandshake => "the TLS handshake",
        Stage::Mail => "MAIL",
        Stage::Rcpt => "RCPT",
        Stage::Quit => "QUIT",
    }
}

/// Which server failed how, as in `SERVFAIL from 192.0.2.53:53 after 3 ms`.
fn failed(lookup: &Lookup) -> String {
    let Some(exchange) = lookup.deciding() else { return authority::unanswered(lookup) };
    let (server, took) = (exchange.server, spoken(exchange.duration));
    match exchange.status {
        LookupStatus::Timeout => match exchange.late {
            Some(late) => format!("{server} answered only after {}", spoken(late)),
            None => match lookup.exchanges.len() {
                1 => format!("no answer from {server} within {took}"),
                queries => format!("no answer to {queries} queries, from {server} within {took}"),
            },
        },
        LookupStatus::NetworkError => format!("{server} cannot be reached"),
        LookupStatus::Malformed => {
            format!("{server} answers with something that is no DNS message")
        }
        status => format!("{} from {server} after {took}", status.label().to_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        facts::{Exchange, MxLookup, MxTarget, RecordType, Transport},
        name::{Domain, Exchanger, Host},
    };

    fn lookup(rtype: RecordType, cname_chain: Vec<String>) -> Lookup {
        let server = ([192, 0, 2, 53], 53).into();
        let empty = Exchange::empty(server, Transport::Udp, LookupStatus::Noerror);
        let exchange = Exchange { answers: 1, cname_chain, ..empty };
        let (resolver, name) = (Arc::from("test"), Arc::from("www.example.com"));
        Lookup::new(resolver, rtype, name, vec![exchange])
    }

    #[test]
    fn an_alias_is_wrong_as_an_mx_target_and_right_without_any_mx() {
        let name = Domain::parse("www.example.com").unwrap().implicit_exchanger();
        let targets = vec![MxTarget { preference: 10, exchanger: name.clone() }];
        let listed = Route::Mx { targets, null_mixed: false, duplicate: false };
        for (route, wrong) in [(Route::Implicit { exchanger: name.clone() }, 0), (listed, 1)] {
            let chain = vec!["example.com".to_owned()];
            let exchanger = Exchanger { host: Host::Name(name.clone()), port: 25 };
            let exchanger = ExchangerFacts {
                lookups: vec![lookup(RecordType::A, chain.clone())],
                ..ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH)
            };
            let facts = Facts::observed(
                Destination::parse("www.example.com").unwrap(),
                Timestamp::UNIX_EPOCH,
                vec![MxLookup { lookup: lookup(RecordType::Mx, chain), route }],
                vec![exchanger.into()],
            );
            assert_eq!(find(&facts).len(), wrong, "{:?}", find(&facts));
        }
    }
}
