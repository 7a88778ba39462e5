//! What is wrong, one sentence each, with the commands that show it by hand.
//!
//! It names what was seen. What a given sender would make of it is the verdict's business.

use super::{answers, authority, by_hand, policies, recipient, seen, spoken, tls, tlsa};
use crate::facts::{Facts, Family, Lookup, LookupStatus, Reason, Session, Stage};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// A sentence.
    pub what: String,
    /// Shell commands that show the same.
    pub by_hand: Vec<String>,
}

/// Everything that is wrong with a destination, the route first, then policies, name servers
/// last.
pub fn find(facts: &Facts) -> Vec<Trouble> {
    let mut troubles = besides_name_servers(facts);
    troubles.extend(authority::troubles(facts));
    troubles
}

/// The same without what a trace says of name servers.
pub fn besides_name_servers(facts: &Facts) -> Vec<Trouble> {
    let mut troubles = answers::of_route(facts);
    troubles.extend(policies::troubles(facts));
    for exchanger in &facts.exchangers {
        troubles.extend(answers::of_exchanger(facts, exchanger));
        troubles.extend(tlsa::troubles(facts, exchanger));
        // Where something could be tried, what could not is a note.
        let untried = !exchanger.sessions.iter().any(|session| session.tried());
        let told = exchanger.sessions.iter().filter(|session| untried || session.tried());
        let host = exchanger.exchanger.host.to_string();
        troubles.extend(told.filter_map(|session| {
            tls::trouble(session, &host)
                .or_else(|| tls::kept_back(session, &host))
                .or_else(|| dialogue(session))
                .or_else(|| tls::mismatch(session, exchanger))
        }));
        let sessions = exchanger.sessions.iter();
        troubles.extend(sessions.flat_map(|session| recipient::troubles(session)));
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
    notes.extend(tls::notes(facts));
    notes.extend(answers::notes(facts));
    notes.extend(policies::notes(facts));
    notes.extend(tlsa::notes(facts));
    notes
}

fn dialogue(session: &Session) -> Option<Trouble> {
    let failure = session.failure?;
    let fact = session.stage(failure.stage)?;
    let peer = session.peer;
    let waited = spoken(fact.duration.get());
    let said = fact.reply().map(|r| format!("{} {}", r.code, r.lines.join(" / ")));
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
        (Stage::Banner, Reason::Timeout) if fact.received().is_some() => format!(
            "{peer} begins to greet ({}) and does not finish within {waited}.",
            fact.received().unwrap_or_default().replace('\n', " / ")
        ),
        (Stage::Banner, Reason::Timeout) => format!(
            "{peer} accepts the TCP connection and then does not greet: no complete 220 within \
             {waited}. Senders wait here for minutes, and some never try another MX."
        ),
        (stage, Reason::Timeout) => {
            format!("{peer} does not answer {} within {waited}.", verb(stage))
        }
        (stage, Reason::RefusingUs) => format!(
            "{peer} is up and refuses this host at {}: {said}. That is about the address, name or \
             reputation of this host; others may get through.",
            verb(stage)
        ),
        (Stage::Banner, Reason::Reply4xx | Reason::Reply5xx) => {
            format!("{peer} is reachable but refuses us with its banner: {said}")
        }
        (stage, Reason::Reply4xx | Reason::Reply5xx | Reason::ReplyUnexpected) => {
            format!("{peer} answers {} with: {said}", verb(stage))
        }
        (stage, Reason::Malformed) => {
            let received = fact.received().unwrap_or_default().replace('\n', " / ");
            format!("{peer} does not speak SMTP at {}: {received}", verb(stage))
        }
        (stage, Reason::TooLong) => {
            format!("{peer} sends more than a reply may have at {}.", verb(stage))
        }
        (stage, reason) => {
            format!("{peer} ends the connection at {} ({}).", verb(stage), reason.label())
        }
    };
    Some(Trouble { what, by_hand: by_hand::call(session) })
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
        Stage::EhloTls => "EHLO over TLS",
        Stage::Auth => "AUTH",
        Stage::Mail => "MAIL",
        Stage::Rcpt => "RCPT",
        Stage::Quit => "QUIT",
    }
}

/// Which server failed how, as in `SERVFAIL from 192.0.2.53:53 after 3 ms`.
pub(super) fn failed(lookup: &Lookup) -> String {
    let Some(exchange) = lookup.deciding() else { return authority::unanswered(lookup) };
    let (server, took) = (exchange.server, spoken(exchange.duration.get()));
    let what = match exchange.status {
        LookupStatus::Bogus => format!("DNSSEC validation fails at {server}"),
        LookupStatus::Timeout => match exchange.further.late {
            Some(late) => format!("{server} answered only after {}", spoken(late)),
            None => match lookup.exchanges.len() {
                1 => format!("no answer from {server} within {took}"),
                queries => format!("no answer to {queries} queries, from {server} within {took}"),
            },
        },
        LookupStatus::NetworkError if exchange.further.error.is_some() => {
            format!("no answer from {server}")
        }
        LookupStatus::NetworkError => format!("{server} cannot be reached"),
        LookupStatus::Malformed => {
            format!("{server} answers with something that is no DNS message")
        }
        status => format!("{} from {server} after {took}", status.label().to_uppercase()),
    };
    match seen::why(exchange) {
        Some(why) => format!("{what}: {why}"),
        None => what,
    }
}
