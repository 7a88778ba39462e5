//! The page of all destinations, those that need a look first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use jiff::Timestamp;

use super::{
    Share,
    html::{self, Text},
    words,
};
use crate::{
    agent::state::Snapshot,
    explain::vantage,
    web::{
        summary::{self, Given, Mail, Summary},
        target,
    },
};

/// Rows on the page: more than anybody reads, fewer than a browser chokes on.
const ROWS: usize = 1_000;

pub(super) fn page(snapshot: &Snapshot, share: Option<Share>, now: Timestamp) -> String {
    let mut all: Vec<Summary> = summary::all(snapshot).collect();
    let total = all.len();
    let mut content = counts(&all, share);
    all.sort_by_key(Summary::urgency);
    all.truncate(ROWS);
    around(&mut content, snapshot);
    content.push_str(
        "<table class=\"list\">\n<thead><tr><th>Destination<th>Mail<th>State\
         <th>Exchangers, most preferred first<th>Looked up</thead>\n<tbody>\n",
    );
    let primary_down = snapshot.dead_resolvers().any(|(_, report)| report.primary);
    for summary in &all {
        row(&mut content, summary, primary_down, now);
    }
    content.push_str("</tbody>\n</table>\n");
    if total > ROWS {
        let more = format!(
            "<p class=\"note\">{} more are not shown; <a href=\"/api/v1/domains\">the JSON list</a> \
             has all, and each has its page at /domains/NAME.</p>\n",
            total - ROWS
        );
        content.push_str(&more);
    }
    if total == 0 {
        let none = match share {
            Some(Share { of: 1.., .. }) => "No destination belongs to this shard.",
            _ => "No destination is configured.",
        };
        push(&mut content, format_args!("<p class=\"note\">{none}</p>\n"));
    }
    html::page("mxwatch", &content)
}

/// What is wrong apart from any destination.
fn around(out: &mut String, snapshot: &Snapshot) {
    let own = snapshot.vantage.iter().flat_map(|vantage| vantage::troubles(vantage));
    let own = own.map(|trouble| html::item(&trouble, &BTreeSet::new()));
    let troubles: String = std::iter::once(html::dead_resolvers(snapshot)).chain(own).collect();
    if !troubles.is_empty() {
        push(out, format_args!("<ul class=\"troubles\">\n{troubles}</ul>\n"));
    }
}

fn counts(all: &[Summary], share: Option<Share>) -> String {
    let mail = tally(all.iter().map(Summary::mail), html::mail_badge);
    let states = tally(all.iter().map(|summary| summary.state), html::badge);
    let (begin, total) = match share {
        Some(Share { shard, of }) => (format!("{shard}: {} of ", grouped(all.len())), of),
        None => (String::new(), all.len()),
    };
    let plural = if total == 1 { "" } else { "s" };
    format!("<h1>{begin}{} destination{plural}</h1>\n{mail}{states}", grouped(total))
}

/// A number with commas between its thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How often each comes, those that need a look first.
fn tally<T: Copy + Ord>(all: impl Iterator<Item = T>, badge: impl Fn(T) -> String) -> String {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let items = counts.iter().map(|(one, count)| format!("<li>{count} {}", badge(*one)));
    format!("<ul class=\"counts\">\n{}\n</ul>\n", items.collect::<Vec<_>>().join("\n"))
}

/// With a `dead` primary nobody needs to be told for each that its lookup fails.
fn row(out: &mut String, summary: &Summary, dead: bool, now: Timestamp) {
    let link = target::encode(&summary.domain);
    let name = Text(&summary.domain);
    let badge = html::badge(summary.state);
    push(out, format_args!("<tr><td><a href=\"/domains/{link}\">{name}</a>"));
    push(out, format_args!("<td class=\"mail\">{}<td>{badge}<td>", mail(summary, now)));
    if let Some(status) = summary.lookup_failure.filter(|_| !dead) {
        let status = status.label().replace('_', " ");
        push(out, format_args!("<div><span class=\"badge bad\">MX lookup {status}</span></div>"));
    }
    for hop in &summary.exchangers {
        let (preference, mx, families) = (hop.preference, Text(&hop.mx), html::families(hop));
        let only = html::named_only_by(hop);
        let probed = html::age(hop.checked_at, now);
        push(
            out,
            format_args!(
                "<div class=\"hop\"><span class=\"preference\">{preference}</span> \
                 <span class=\"mx\">{mx}</span>{only} {families} \
                 <span class=\"age\">{probed}</span></div>"
            ),
        );
    }
    push(out, format_args!("<td class=\"age\">{}\n", html::age(summary.checked_at, now)));
}

/// What becomes of mail at worst, and where that is not a delivery why, by whom and since when.
fn mail(summary: &Summary, now: Timestamp) -> String {
    let badge = html::mail_badge(summary.mail());
    let Some(worst) = summary.worst() else { return badge };
    let by = Text(by(summary));
    match worst.mail() {
        Mail::Delivered | Mail::NotJudged => badge,
        Mail::Late => {
            let waits = summary.sharing().map(|given| given.wait).max().unwrap_or_default();
            let wait = html::rough(waits);
            format!("{badge} by {by}<div class=\"why\">Lost on the way: up to {wait}</div>")
        }
        _ => {
            let (why, since) = (Text(words::why(worst.why)), html::clock(worst.since, now));
            let why = format!("Since {since}: {why}");
            format!("{badge} by {by}<div class=\"why\">{why}</div>")
        }
    }
}

/// The senders of the worst verdict, and where it is not that of every resolver, by whose answers.
fn by(summary: &Summary) -> String {
    let distinct = |given: &mut dyn Iterator<Item = &Given>, of: fn(&Given) -> &str| {
        given.map(|given| of(given).to_owned()).collect::<BTreeSet<_>>()
    };
    let sender: fn(&Given) -> &str = |given| &given.sender;
    let resolver: fn(&Given) -> &str = |given| &given.resolver;
    let (senders, resolvers) =
        (distinct(&mut summary.sharing(), sender), distinct(&mut summary.sharing(), resolver));
    let joined =
        |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut by = match senders.len() {
        2.. if senders == distinct(&mut summary.verdicts.iter(), sender) => {
            "every sender".to_owned()
        }
        _ => joined(&senders),
    };
    if resolvers != distinct(&mut summary.verdicts.iter(), resolver) {
        by = format!("{by} going by {}", joined(&resolvers));
    }
    by
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
