//! The verdicts on one destination, each sender and resolver a block: what becomes of a message, why,
//! since when, and what is ahead of one that waits.

use std::{
    fmt::{Arguments, Write},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    html::{self, Text},
    words,
};
use crate::{
    agent::standing::Standing,
    delivery::{
        Confidence, Outcome, Possible, Verdict, Via,
        lifetime::{self, Ahead},
    },
    facts::{Facts, Family},
    web::summary::Mail,
};

/// All blocks, those that need a look first.
pub(super) fn write(
    out: &mut String,
    standings: &[Standing],
    facts: &Facts,
    mx_port: u16,
    now: Timestamp,
) {
    if standings.is_empty() {
        return;
    }
    let mut sorted: Vec<&Standing> = standings.iter().collect();
    sorted.sort_by_key(|standing| mail(&standing.verdict));
    out.push_str("<div class=\"verdicts\">\n");
    for standing in sorted {
        block(out, standing, facts, mx_port, now);
    }
    out.push_str("</div>\n");
}

fn mail(verdict: &Verdict) -> Mail {
    Mail::of(verdict.outcome, verdict.wait_worst)
}

fn block(out: &mut String, standing: &Standing, _facts: &Facts, mx_port: u16, now: Timestamp) {
    let Standing { sender, resolver, verdict, history } = standing;
    let badge = html::mail_badge(mail(verdict));
    let by = match &**resolver {
        "" => String::new(),
        name => format!(" <span class=\"by\">by the answers of {}</span>", Text(name)),
    };
    let name = Text(&sender.name);
    push(out, format_args!("<section class=\"verdict\">\n<h2>{name} {badge}{by}</h2>\n"));
    let via = verdict.via.as_ref().or(verdict.at.as_ref());
    let via = via.map(|via| format!(" ({})", Text(hop(via, mx_port))));
    let via = via.unwrap_or_default();
    push(out, format_args!("<p>{}{via}.</p>\n", capital(&words::why(verdict.why))));
    push(out, format_args!("<p>{}</p>\n", time(standing, now)));
    let mut notes = vec![format!("{}.", capital(&wait(verdict)))];
    match verdict.usable_exchangers {
        _ if matches!(verdict.outcome, Outcome::Unknown) => {}
        0 => {}
        1 => notes.push("One exchanger would take it; without that one none.".to_owned()),
        many => notes.push(format!("{many} exchangers would take it, any of them alone.")),
    }
    if let Some(age) = verdict.delivered_after {
        let age = html::rough(age);
        notes.push(format!("A retry at the age of {age} would deliver: it gives up TLS then."));
    }
    if verdict.censored {
        notes.push("The probe gave up sooner than this sender would.".to_owned());
    }
    if verdict.confidence != Confidence::High {
        notes.push(format!("Confidence: {}.", verdict.confidence.label()));
    }
    push(out, format_args!("<p class=\"note\">{}</p>\n", notes.join(" ")));
    let others: Vec<String> =
        verdict.possible.iter().skip(1).map(|p| format!("<li>{}", other(p, mx_port))).collect();
    list(out, "Chance decides; it may also be", &others);
    let changes = history.changes().iter().rev().map(|change| {
        let (at, from, to) = (html::clock(change.at, now), change.from, change.to);
        let [from, to] = [from, to].map(|o| html::mail_badge(Mail::of(o, Duration::ZERO)));
        format!("<li>{at} {from} → {to}")
    });
    list(out, "Last changes", &changes.collect::<Vec<_>>());
    out.push_str("</section>\n");
}

/// Since when, and what is ahead of a message that has waited since then.
fn time(standing: &Standing, now: Timestamp) -> String {
    let Standing { sender, verdict, history, .. } = standing;
    let since = html::clock(history.since(), now);
    let waited = now.duration_since(history.since()).try_into().unwrap_or(Duration::ZERO);
    match verdict.outcome {
        Outcome::Deliver => format!("Delivered since {since}."),
        Outcome::Bounce => format!("Returned to its author at once, since {since}."),
        Outcome::Freeze => format!("Set aside until an admin looks at it, since {since}."),
        Outcome::Unknown => match history.settled() {
            Some((before, from)) => {
                let (before, from) = (Mail::of(before, Duration::ZERO), html::clock(from, now));
                format!("Not known since {since}; {} since {from} before.", before.words())
            }
            None => format!("Not known since {since}."),
        },
        Outcome::Defer => {
            let ahead = lifetime::ahead(&sender.behaviour, Outcome::Defer, waited);
            held(&since, &sender.name, sender.behaviour.expire.0, ahead)
        }
    }
}

fn held(since: &str, sender: &str, expire: Duration, ahead: Option<Ahead>) -> String {
    let sender = Text(sender);
    let Some(Ahead { next_retry, expires }) = ahead else { return format!("Held since {since}.") };
    if expires.is_zero() {
        let expire = html::rough(expire);
        return format!(
            "Held since {since}; what was sent then has been returned, and what is sent now will \
             be after {expire}."
        );
    }
    let next = match next_retry {
        Some(next) => format!("next try by {sender} in {}", html::rough(next)),
        None => "no other try".to_owned(),
    };
    format!("Held since {since}; {next}; returned in {}.", html::rough(expires))
}

fn wait(verdict: &Verdict) -> String {
    let (best, worst) = (verdict.wait_best, verdict.wait_worst);
    let [from, to] = [best, worst].map(html::rough);
    match verdict.outcome {
        Outcome::Unknown => "how long an attempt takes is not known".to_owned(),
        _ if worst < Duration::from_secs(1) => "no attempt loses time".to_owned(),
        _ if from == to => format!("every attempt loses {to}"),
        _ => format!("an attempt loses {from} to {to}"),
    }
}

fn other(possible: &Possible, mx_port: u16) -> String {
    let badge = html::mail_badge(Mail::of(possible.outcome, possible.wait));
    let via = possible.via.as_ref().map(|via| format!(" ({})", Text(hop(via, mx_port))));
    let wait = match possible.wait {
        short if short < Duration::from_secs(1) => String::new(),
        long => format!(", after {}", html::rough(long)),
    };
    format!("{badge} {}{}{wait}", Text(words::why(possible.why)), via.unwrap_or_default())
}

fn hop(via: &Via, mx_port: u16) -> String {
    let family = match via.family {
        None => "",
        Some(Family::Ipv4) => " over IPv4",
        Some(Family::Ipv6) => " over IPv6",
    };
    format!("{}{family}", via.exchanger.label(mx_port))
}

fn list(out: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let items = items.join("\n");
        push(out, format_args!("<h3>{title}</h3>\n<ul class=\"plain\">\n{items}\n</ul>\n"));
    }
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn push(out: &mut String, text: Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
