//! The verdicts of one domain as `check` and `judge` print them: a line for each sender, and below
//! it why, where there is something to say.

use std::collections::BTreeSet;

use super::{
    judged::Judged,
    paint::Paint,
    plain::roundly,
    report::{put, wrapped},
    several::{grouped, listed},
    verdict::{Who, exchanger},
    weak_points,
};
use crate::delivery::{Outcome, Verdict, Via, Why};

/// Writes the block below a report, whose commands are `shown` already.
pub fn write(judged: &[Judged], shown: &BTreeSet<String>, paint: Paint) -> String {
    let mut out = String::new();
    put(&mut out, "  What senders would do with a message now:");
    let mut shown = shown.clone();
    let width = judged.iter().map(|one| one.sender.name.len()).max().unwrap_or_default();
    let mut told: Vec<&Judged> = Vec::new();
    let by_sender = grouped(judged.iter().map(|one| (one, &one.sender.name)));
    for (_, verdicts) in by_sender {
        let alike = grouped(verdicts.iter().map(|one| (*one, what(one))));
        let whose = |same: &[&Judged]| by_whom(same, verdicts.len());
        for ((comes_to, _), same) in &alike {
            let one = same[0];
            let mark = match one.verdict.outcome {
                Outcome::Deliver if one.verdict.late() => paint.warn("!"),
                Outcome::Deliver => paint.good("✔"),
                Outcome::Unknown => paint.faint("?"),
                Outcome::Defer | Outcome::Freeze | Outcome::Bounce => paint.bad("✗"),
            };
            let name = paint.strong(format!("{:<width$}", one.sender.name));
            let by = whose(same).map(|by| {
                let long = 6 + width + comes_to.chars().count() + 2 + by.chars().count();
                let between = if long <= WIDTH { "  " } else { "\n      " };
                format!("{between}{}", paint.faint(by))
            });
            put(&mut out, &format!("  {mark} {name}  {comes_to}{}", by.unwrap_or_default()));
            write_body(&mut out, one, &mut told, &mut shown, paint);
            if let Some(words) = weak_points::words(&one.weaknesses) {
                for line in wrapped(&words, PROSE) {
                    put(&mut out, &format!("      {}", paint.faint(line)));
                }
            }
        }
    }
    out
}

/// What is told of a verdict; where it is the same through several resolvers it is told once.
fn what(judged: &Judged) -> (String, (Option<String>, &str)) {
    let weak = weak_points::words(&judged.weaknesses);
    (head(&judged.verdict), (weak, &judged.explanation.cure.what))
}

/// Through which of so many resolvers the verdict is this one; nothing where there is no other.
fn by_whom(same: &[&Judged], resolvers: usize) -> Option<String> {
    let names: Vec<_> = same.iter().map(|one| &one.resolver).collect();
    match (same.len(), resolvers) {
        (_, 1) => None,
        (2, 2) => Some("by both resolvers".to_owned()),
        (all, of) if all == of => Some(format!("by all {of} resolvers")),
        _ => Some(format!("by {}", listed(&names))),
    }
}

/// What it comes to, in a few words.
pub fn head(verdict: &Verdict) -> String {
    let via = verdict.via.as_ref().map(exchanger);
    let at = verdict.at.as_ref().map(exchanger);
    let because = |verb: &str| {
        let at = at.as_ref().or(via.as_ref()).map(|at| format!(" at {at}"));
        format!("{verb}: {}{}", verdict.why.label(), at.unwrap_or_default())
    };
    match verdict.outcome {
        Outcome::Deliver => {
            let via =
                via.map_or_else(|| "delivers".to_owned(), |via| format!("delivers via {via}"));
            let (best, worst) = (roundly(verdict.wait_best), roundly(verdict.wait_worst));
            match (best.as_str(), worst.as_str()) {
                (_, "0 s") => via,
                (best, worst) if best == worst => format!("{via}, {worst} lost"),
                (best, worst) => format!("{via}, {best} to {worst} lost"),
            }
        }
        Outcome::Defer => because("defers"),
        Outcome::Bounce => because("bounces"),
        Outcome::Freeze => because("freezes"),
        Outcome::Unknown => because("unknown"),
    }
}

/// Why, what is in the sender's log, who cures it; nothing for a delivery that is as it should be.
fn write_body<'a>(
    out: &mut String,
    one: &'a Judged,
    told: &mut Vec<&'a Judged>,
    shown: &mut BTreeSet<String>,
    paint: Paint,
) {
    let explanation = &one.explanation;
    let lines = |out: &mut String, text: &str| {
        for line in wrapped(text, PROSE) {
            put(out, &format!("      {line}"));
        }
    };
    if explanation.cure.who == Who::Nobody {
        // A word about depth and doubt stands behind a delivery that costs nothing.
        if quiet(&one.verdict) {
            return;
        }
        lines(out, &explanation.text);
        return;
    }
    lines(out, &explanation.text);
    if let Some(log) = &explanation.log {
        put(out, &format!("      {}", paint.faint(format!("in its log: {log}"))));
    }
    let same = told.iter().find(|before| cause(before) == cause(one));
    match same {
        Some(before) => {
            let text = if before.sender.name == one.sender.name {
                format!("To be cured as by {}.", before.resolver)
            } else {
                format!("To be cured as for {}.", before.sender.name)
            };
            put(out, &format!("      {}", paint.faint(text)));
        }
        None => {
            lines(out, &format!("For {}: {}", explanation.cure.who.words(), explanation.cure.what));
        }
    }
    told.push(one);
    for command in &explanation.by_hand {
        if shown.insert(command.clone()) {
            put(out, &format!("      {}", paint.faint(format!("$ {command}"))));
        }
    }
}

/// A delivery about which there is nothing more to say.
fn quiet(verdict: &Verdict) -> bool {
    verdict.possible.iter().all(|possible| possible.outcome == Outcome::Deliver)
        && verdict.outcome == Outcome::Deliver
        && verdict.wait_worst < std::time::Duration::from_secs(1)
}

/// Two with the same cause need one cure.
fn cause(judged: &Judged) -> (Why, Option<&Via>, &str) {
    let Judged { verdict, explanation, .. } = judged;
    (verdict.why, verdict.at.as_ref(), &explanation.cure.what)
}

/// Characters of a line, as on a terminal of the usual size.
const WIDTH: usize = 80;

/// Characters of a line of prose, with its indent of six.
const PROSE: usize = 74;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        delivery::{
            builtin,
            what_if::{RESOLVER, WhatIf},
        },
        explain::judged,
        facts::{Facts, Lookup},
    };

    /// Facts through two resolvers, of which the second finds AAAA so.
    fn facts(first: &str, second: &str) -> Facts {
        let through = |aaaa: &str| {
            let text = format!(
                r#"{{"domain": "example.com", "mx": [[10, "mx1"]],
                    "hosts": {{"mx1": {{"a": ["192.0.2.1"], "aaaa": "{aaaa}"}}}}}}"#
            );
            serde_json::from_str::<WhatIf>(&text).unwrap().facts().unwrap()
        };
        let public = |lookup: &Lookup| Lookup { resolver: "public".into(), ..lookup.clone() };
        let (mut facts, other) = (through(first), through(second));
        let mut answer = other.mx[0].clone();
        answer.lookup = public(&answer.lookup);
        facts.mx.push(answer);
        let lookups = other.exchangers[0].lookups.iter().map(public);
        let facts_of_mx = Arc::make_mut(&mut facts.exchangers[0]);
        facts_of_mx.lookups = facts_of_mx.lookups.iter().cloned().chain(lookups).collect();
        facts
    }

    fn heads(facts: &Facts) -> Vec<String> {
        let senders = ["postfix", "exchange-2010"];
        let senders = senders.map(|name| Arc::new(builtin::get(name).unwrap().clone()));
        let text = write(&judged::all(facts, &senders), &BTreeSet::new(), Paint { on: false });
        let marked = |line: &&str| ["  ✔", "  ✗"].iter().any(|mark| line.starts_with(mark));
        text.lines().filter(marked).map(str::to_owned).collect()
    }

    #[test]
    fn resolvers_by_which_it_comes_to_the_same_share_a_line() {
        assert_eq!(
            heads(&facts("nodata", "nodata")),
            [
                "  ✔ postfix        delivers via mx1 (ipv4)  by both resolvers",
                "  ✔ exchange-2010  delivers via mx1 (ipv4)  by both resolvers"
            ]
        );
        assert_eq!(
            heads(&facts("servfail", "nodata")),
            [
                "  ✔ postfix        delivers via mx1 (ipv4)  by both resolvers".to_owned(),
                format!("  ✗ exchange-2010  defers: host_dns_temp at mx1  by {RESOLVER}"),
                "  ✔ exchange-2010  delivers via mx1 (ipv4)  by public".to_owned(),
            ]
        );
        let mut alone = facts("nodata", "nodata");
        alone.mx.truncate(1);
        let alone_mx = Arc::make_mut(&mut alone.exchangers[0]);
        alone_mx.lookups = alone_mx.lookups[..2].into();
        assert_eq!(heads(&alone)[0], "  ✔ postfix        delivers via mx1 (ipv4)");
    }
}
