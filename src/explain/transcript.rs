//! The dialogue of a session as a telnet window would show it.

use std::fmt::Write;

use super::spoken;
use crate::{
    envelope::Envelope,
    facts::{Reason, Session, Stage, StageFact, Transaction},
};

/// Appends the dialogue, one line each; what we send is marked with `>`, time and failure follow
/// the stage in brackets.
pub fn write(session: &Session, out: &mut String) {
    for (fact, transaction) in session.dialogue() {
        stage(session, fact, transaction, out);
    }
}

fn stage(session: &Session, fact: &StageFact, transaction: Option<&Transaction>, out: &mut String) {
    let envelope = transaction.map(|transaction| &transaction.envelope);
    let sent = match fact.stage {
        Stage::Connect => {
            line(out, &format!("Trying {} port {}...", session.peer.ip(), session.peer.port()));
            if fact.reason.is_none() {
                line(out, &format!("Connected to {}.", session.peer.ip()));
            }
            None
        }
        Stage::Banner | Stage::TlsHandshake => None,
        Stage::Ehlo | Stage::EhloTls => Some(format!("EHLO {}", session.helo_name)),
        Stage::Helo => Some(format!("HELO {}", session.helo_name)),
        Stage::Starttls => Some("STARTTLS".to_owned()),
        // What proves who we are is nobody's business.
        Stage::Auth => session.auth_mechanism.map(|used| format!("AUTH {} ***", used.label())),
        Stage::Mail => Some(envelope.map_or("MAIL".to_owned(), Envelope::mail)),
        Stage::Rcpt => Some(envelope.map_or("RCPT".to_owned(), Envelope::rcpt)),
        Stage::Quit => Some("QUIT".to_owned()),
    };
    if let Some(sent) = sent {
        line(out, &format!("> {sent}"));
    }
    if let Some(reply) = fact.reply() {
        let last = reply.lines.len().saturating_sub(1);
        for (place, text) in reply.lines.iter().enumerate() {
            let mark = if place == last { ' ' } else { '-' };
            line(out, format!("{}{mark}{text}", reply.code).trim_end());
        }
    }
    for text in fact.received().into_iter().flat_map(str::lines) {
        line(out, text);
    }
    let took = spoken(fact.duration.get());
    match fact.reason {
        None => line(out, &format!("    ({} {took})", fact.stage.label())),
        Some(reason) => {
            line(out, &format!("    ({} {took}: {})", fact.stage.label(), ended(reason)));
        }
    }
}

fn ended(reason: Reason) -> &'static str {
    match reason {
        Reason::Closed => "Connection closed by foreign host.",
        Reason::Injected => "plain text where TLS had to begin",
        Reason::LocalError => "this host could not connect",
        Reason::Malformed => "that is no SMTP reply",
        Reason::NoLocalFamily => "no route from this host in that family",
        Reason::NotOffered => "not offered",
        Reason::Refused => "Connection refused",
        Reason::RefusingUs => "refuses this host",
        Reason::Reply4xx => "refused for now",
        Reason::Reply5xx => "refused",
        Reason::ReplyUnexpected => "that code has no place here",
        Reason::Reset => "Connection reset by peer",
        Reason::Timeout => "gave up waiting",
        Reason::TlsCipher => "no cipher suite or key exchange in common",
        Reason::TlsError => "TLS handshake failed",
        Reason::TlsKey => "the key of the certificate cannot be checked",
        Reason::TlsVersion => "no TLS version in common",
        Reason::TooLong => "more than a reply may have",
        Reason::Unreachable => "No route to host",
        Reason::Untrusted => "not sent: nobody vouches for this server",
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "      {text}");
}
