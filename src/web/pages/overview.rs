//! The page of all destinations, those that need a look first.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;

use super::html::{self, Text};
use crate::{
    agent::state::Snapshot,
    web::{
        summary::{self, State, Summary},
        target,
    },
};

/// Rows on the page: more than anybody reads, fewer than a browser chokes on.
const ROWS: usize = 1_000;

pub(super) fn page(snapshot: &Snapshot, now: Timestamp) -> String {
    let mut all: Vec<Summary> = summary::all(snapshot).collect();
    let total = all.len();
    let mut content = counts(&all);
    all.sort_by_key(|summary| summary.state);
    all.truncate(ROWS);
    content.push_str(
        "<table class=\"list\">\n<thead><tr><th>Destination<th>State<th>Exchangers, most preferred \
         first<th>Looked up</thead>\n<tbody>\n",
    );
    for summary in &all {
        row(&mut content, summary, now);
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
        content.push_str("<p class=\"note\">No destination is configured.</p>\n");
    }
    html::page("mxwatch", &content)
}

fn counts(all: &[Summary]) -> String {
    let mut by_state: BTreeMap<State, usize> = BTreeMap::new();
    for summary in all {
        *by_state.entry(summary.state).or_default() += 1;
    }
    let count = |(state, count): (&State, &usize)| format!("<li>{count} {}", html::badge(*state));
    let items: Vec<_> = by_state.iter().map(count).collect();
    let plural = if all.len() == 1 { "" } else { "s" };
    let total = all.len();
    let items = items.join("\n");
    format!("<h1>{total} destination{plural}</h1>\n<ul class=\"counts\">\n{items}\n</ul>\n")
}

fn row(out: &mut String, summary: &Summary, now: Timestamp) {
    let link = target::encode(&summary.domain);
    let name = Text(&summary.domain);
    let badge = html::badge(summary.state);
    push(out, format_args!("<tr><td><a href=\"/domains/{link}\">{name}</a><td>{badge}<td>"));
    if let Some(status) = summary.lookup_failure {
        let status = status.label().replace('_', " ");
        push(out, format_args!("<div><span class=\"badge bad\">MX lookup {status}</span></div>"));
    }
    for hop in &summary.exchangers {
        let (preference, mx, families) = (hop.preference, Text(&hop.mx), html::families(hop));
        let probed = html::age(hop.checked_at, now);
        push(
            out,
            format_args!(
                "<div class=\"hop\"><span class=\"preference\">{preference}</span> \
                 <span class=\"mx\">{mx}</span> {families} \
                 <span class=\"age\">{probed}</span></div>"
            ),
        );
    }
    push(out, format_args!("<td class=\"age\">{}\n", html::age(summary.checked_at, now)));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}
