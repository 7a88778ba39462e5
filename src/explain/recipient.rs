//! Recipients in words: what an exchanger said to an envelope, and what is wrong with that.

use super::{by_hand, plain::said, trouble::Trouble};
use crate::facts::{RecipientClass, Session, Stage, Transaction};

/// What the class means, in a few words.
pub const fn words(class: RecipientClass) -> &'static str {
    match class {
        RecipientClass::Accepted => "accepted",
        RecipientClass::Blocked => "this host is blocked",
        RecipientClass::Greylisted => "greylisted",
        RecipientClass::MailboxFull => "mailbox full",
        RecipientClass::NoSuchUser => "no such user",
        RecipientClass::Other => "refused",
        RecipientClass::RelayingDenied => "relaying denied",
    }
}

/// The envelope and what came of it, on one line.
pub fn line(asked: &Transaction) -> String {
    let (from, to) = (&asked.envelope.mail_from, &asked.envelope.recipient);
    let test = if asked.envelope.relay_test { ", a relay test" } else { "" };
    let came = match (asked.class, asked.stages.last()) {
        (Some(class), _) => words(class),
        (None, Some(fact)) => fact.reason.map_or("not answered", |reason| reason.label()),
        (None, None) => "not asked",
    };
    let reply = asked.stages.last().and_then(|fact| fact.reply());
    let reply = reply.map(|reply| format!(" ({})", said(reply))).unwrap_or_default();
    format!("to {to} from {from}{test}: {came}{reply}")
}

/// What is wrong with what a server says to the envelopes that were asked about.
pub(super) fn troubles(session: &Session) -> Vec<Trouble> {
    let trouble = |asked: &Transaction| {
        let what = trouble(session, asked)?;
        let by_hand = vec![by_hand::transaction(session, &asked.envelope)];
        Some(Trouble { what, by_hand })
    };
    session.transactions.iter().filter_map(trouble).collect()
}

fn trouble(session: &Session, asked: &Transaction) -> Option<String> {
    let (peer, recipient) = (session.peer, &asked.envelope.recipient);
    if asked.envelope.relay_test {
        return (asked.relay_denied() == Some(false)).then(|| {
            format!(
                "{peer} takes mail for {recipient}, which is somebody else's. If this host is not one \
                 that may relay there, it is an open relay, and will be used and blocked as one: see \
                 to its relay restrictions."
            )
        });
    }
    let fact = asked.stages.last()?;
    let at = if fact.stage == Stage::Mail { "MAIL" } else { "RCPT" };
    let reply = fact.reply().map(said).unwrap_or_default();
    let what = match asked.class {
        Some(RecipientClass::Accepted) => return None,
        None => {
            let reason = fact.reason?.label().replace('_', " ");
            return Some(format!("{peer} does not answer {at} for {recipient}: {reason}."));
        }
        Some(RecipientClass::Blocked) => "because of the host that asks, not of the recipient",
        Some(RecipientClass::Greylisted) => {
            "for a while, as it does with those it does not know yet (greylisting): senders try again"
        }
        Some(RecipientClass::MailboxFull) => "because the mailbox is full",
        Some(RecipientClass::NoSuchUser) => "because it knows no such recipient",
        Some(RecipientClass::RelayingDenied) => {
            "because it takes no mail for that domain from here: it does not know that it is its \
             exchanger, or wants a login"
        }
        Some(RecipientClass::Other) if fact.stage == Stage::Mail => "at the sender address",
        Some(RecipientClass::Other) => "without a reason that is known",
    };
    Some(format!("{peer} refuses {recipient} {what}: {reply}"))
}
