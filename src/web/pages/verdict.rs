//! The verdicts on one destination, each different one of a sender a block: what becomes of a message, why,
//! since when, and what is ahead of one that waits.

use std::{
    collections::BTreeSet,
    fmt::{Arguments, Write},
    sync::Arc,
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
        Outcome, Possible, Verdict, Via,
        lifetime::{self, Ahead},
    },
    explain::{
        judged::Judged,
        several::{grouped, listed},
        verdict::{Cure, Explanation, Who},
        weak_points,
    },
    facts::{Facts, Family},
    web::summary::Mail,
};

/// Writes all blocks, those that need a look first, and returns the commands they show.
pub(super) fn write(
    out: &mut String,
    standings: &[Standing],
    facts: &Facts,
    mx_port: u16,
    now: Timestamp,
) -> BTreeSet<String> {
    let mut told = Told::default();
    if standings.is_empty() {
        return told.commands;
    }
    let mut sorted: Vec<&Standing> = standings.iter().collect();
    sorted.sort_by_key(|standing| mail(&standing.verdict));
    out.push_str("<div class=\"verdicts\">\n");
    // Resolvers by which all is the same, and was before, stand in one block.
    let judged = |standing: &Standing| {
        let Standing { sender, resolver, verdict, .. } = standing;
        Judged::new(facts, sender, resolver, verdict)
    };
    let alike = sorted.into_iter().map(|standing| {
        let words = judged(standing).explanation.text;
        (standing, (&standing.sender.name, &standing.verdict, &standing.history, words))
    });
    for (_, same) in grouped(alike) {
        block(out, &same, judged(same[0]), &mut told, mx_port, now);
    }
    out.push_str("</div>\n");
    told.commands
}

/// What stands in a block above.
#[derive(Default)]
struct Told {
    /// Cures, and for which sender.
    cures: Vec<(Cure, Arc<str>)>,
    commands: BTreeSet<String>,
}

fn mail(verdict: &Verdict) -> Mail {
    Mail::of(verdict.outcome, verdict.wait_worst)
}

fn block(
    out: &mut String,
    same: &[&Standing],
    judged: Judged,
    told: &mut Told,
    mx_port: u16,
    now: Timestamp,
) {
    let standing = same[0];
    let Standing { sender, verdict, history, .. } = standing;
    let badge = html::mail_badge(mail(verdict));
    let resolvers: Vec<&Arc<str>> = same.iter().map(|standing| &standing.resolver).collect();
    let by = match &*listed(&resolvers) {
        "" => String::new(),
        names => format!(" <span class=\"by\">by the answers of {}</span>", Text(names)),
    };
    let name = Text(&sender.name);
    push(out, format_args!("<section class=\"verdict\">\n<h2>{name} {badge}{by}</h2>\n"));
    push(out, format_args!("<p>{}</p>\n", time(standing, now)));
    push(out, format_args!("<p class=\"note\">{}</p>\n", Text(gist(verdict, mx_port))));
    let Judged { explanation, weaknesses, .. } = judged;
    explained(out, &sender.name, explanation, told);
    if let Some(words) = weak_points::words(&weaknesses) {
        push(out, format_args!("<p class=\"note\">{}</p>\n", Text(words)));
    }
    let others: Vec<String> =
        verdict.possible.iter().skip(1).map(|p| format!("<li>{}", other(p, mx_port))).collect();
    // Where it is delivered at once in every way, the ways are of no interest.
    let matters = |p: &Possible| p.outcome != Outcome::Deliver || !p.wait.is_zero();
    if verdict.possible.iter().any(matters) {
        list(out, "Chance decides; it may also be", &others);
    }
    let changes = history.changes().iter().rev().map(|change| {
        let (at, from, to) = (html::clock(change.at, now), change.from, change.to);
        let [from, to] = [from, to].map(|o| html::mail_badge(Mail::of(o, Duration::ZERO)));
        format!("<li>{at} {from} → {to}")
    });
    list(out, "Last changes", &changes.collect::<Vec<_>>());
    out.push_str("</section>\n");
}

/// The verdict as it stands in the metrics.
fn gist(verdict: &Verdict, mx_port: u16) -> String {
    let mut parts = vec![format!("reason {}", verdict.why.label())];
    if let Some(via) = &verdict.via {
        parts.push(format!("via {}", hop(via, mx_port)));
    } else if let Some(at) = &verdict.at {
        parts.push(format!("at {}", hop(at, mx_port)));
    }
    if verdict.outcome != Outcome::Unknown {
        let (best, worst) = (verdict.wait_best, verdict.wait_worst);
        parts.push(match [best, worst].map(html::rough) {
            [from, to] if from == to => format!("{to} lost"),
            [from, to] => format!("{from} to {to} lost"),
        });
        let usable = verdict.usable_exchangers;
        parts.push(format!("{usable} usable exchanger{}", if usable == 1 { "" } else { "s" }));
    }
    parts.push(format!("confidence {}", verdict.confidence.label()));
    parts.join(" · ")
}

/// The same words that `check` has for it. A cure that stands above already is not told again.
fn explained(out: &mut String, sender: &Arc<str>, explanation: Explanation, told: &mut Told) {
    let Explanation { text, log, cure, by_hand } = explanation;
    push(out, format_args!("<p>{}</p>\n", Text(text)));
    if cure.who == Who::Nobody {
        return;
    }
    if let Some(log) = log {
        let log = Text(log);
        push(out, format_args!("<p class=\"note\">In its log:</p>\n<pre>{log}</pre>\n"));
    }
    if let Some((_, before)) = told.cures.iter().find(|(known, _)| *known == cure) {
        push(out, format_args!("<p>To be cured as for {}.</p>\n", Text(before)));
    } else {
        let (who, what) = (cure.who.words(), Text(&cure.what));
        push(out, format_args!("<p><strong>For {who}:</strong> {what}</p>\n"));
        told.cures.push((cure, Arc::clone(sender)));
    }
    let commands: Vec<String> = by_hand
        .into_iter()
        .filter(|command| told.commands.insert(command.clone()))
        .map(|command| Text(command).to_string())
        .collect();
    if !commands.is_empty() {
        push(out, format_args!("<pre>{}</pre>\n", commands.join("\n")));
    }
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

fn push(out: &mut String, text: Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
