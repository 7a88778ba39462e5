//! Pieces that both pages are made of. Every text goes through [`Text`].

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;

use crate::{
    agent::state::Snapshot,
    build,
    explain::{resolver, several::listed, trouble::Trouble},
    facts::{Failure, Family},
    shown::shown,
    web::summary::{Hop, Mail, Side, State},
};

/// A text as it may stand between tags and in quoted attributes.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => write!(f, "{}", shown(c))?,
            }
        }
        Ok(())
    }
}

/// A whole page around its content.
pub(super) fn page(title: &str, content: &str) -> String {
    let title = Text(title);
    let version = build::VERSION;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"refresh\" content=\"30\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header><a class=\"brand\" href=\"/\">mxwatch</a>\n<nav><a href=\"/metrics\">metrics</a> \
         <a href=\"/api/v1/domains\">JSON</a> <a href=\"/-/ready\">ready?</a></nav></header>\n\
         <main>\n{content}</main>\n<footer>mxwatch {version}</footer>\n</body>\n</html>\n"
    )
}

/// A coloured word; the word alone must be enough.
pub(super) fn badge(state: State) -> String {
    let class = match state {
        State::Up => "good",
        State::Degraded => "warn",
        State::OpenRelay
        | State::Down
        | State::RefusesUs
        | State::NoDomain
        | State::RouteUnknown => "bad",
        State::TakesNoMail | State::Waiting => "quiet",
    };
    format!("<span class=\"badge {class}\">{}</span>", state.words())
}

/// The same for what becomes of mail.
pub(super) fn mail_badge(mail: Mail) -> String {
    let class = match mail {
        Mail::Delivered => "good",
        Mail::Late => "warn",
        Mail::Bounced | Mail::Deferred | Mail::Frozen => "bad",
        Mail::NotJudged | Mail::Unknown => "quiet",
    };
    format!("<span class=\"badge {class}\">{}</span>", mail.words())
}

/// Who names an exchanger that is not on the primary resolver's route.
pub(super) fn named_only_by(hop: &Hop) -> String {
    match hop.named_only_by.as_slice() {
        [] => String::new(),
        names => format!(" <span class=\"by\">only by {}</span>", Text(listed(names))),
    }
}

/// Both families of an exchanger.
pub(super) fn families(hop: &Hop) -> String {
    if hop.checked_at.is_none() {
        return "<span class=\"badge quiet\">waiting for first round</span>".to_owned();
    }
    let sides = hop.sides().map(|(family, side)| {
        let (class, words) = side_words(side);
        let name = match family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        format!("<span class=\"badge {class}\">{name} {}</span>", Text(words))
    });
    sides.join(" ")
}

fn side_words(side: &Side) -> (&'static str, String) {
    let failure = side.failure.map(words);
    match (side.lookup_failure, failure) {
        (Some(status), _) if side.up == 0 => ("bad", format!("lookup {}", status.label())),
        (Some(status), _) => ("warn", format!("up, lookup {}", status.label())),
        (None, Some(failure)) if side.up == 0 => ("bad", failure),
        (None, Some(failure)) => ("warn", format!("{} of {} up, {failure}", side.up, side.probed)),
        (None, None) if side.addresses == 0 => ("quiet", "no address".to_owned()),
        (None, None) if side.probed == 0 => ("quiet", "not probed".to_owned()),
        (None, None) => ("good", "up".to_owned()),
    }
}

/// Where and why a session failed.
pub(super) fn words(failure: Failure) -> String {
    let refused = if failure.refuses_us() { "refuses us: " } else { "" };
    let (stage, reason) = (failure.stage.label(), failure.reason.label());
    format!("{refused}{stage} {reason}").replace('_', " ")
}

/// The resolvers that are down, as items of a list.
pub(super) fn dead_resolvers(snapshot: &Snapshot) -> String {
    let dead = snapshot.dead_resolvers().filter_map(|(_, report)| report.last.as_deref());
    dead.map(|facts| item(&resolver::dead(facts), &BTreeSet::new())).collect()
}

/// One thing that is wrong as an item of a list, with the commands that are not `shown` yet.
pub(super) fn item(trouble: &Trouble, shown: &BTreeSet<String>) -> String {
    let commands = trouble.by_hand.iter().filter(|command| !shown.contains(*command));
    let commands: Vec<_> = commands.map(|command| Text(command).to_string()).collect();
    let commands = match commands.as_slice() {
        [] => String::new(),
        commands => format!("<pre>{}</pre>\n", commands.join("\n")),
    };
    format!("<li>{}\n{commands}", Text(&trouble.what))
}

/// How long ago, for reading at a glance; the exact time is the tooltip.
pub(super) fn age(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "never".to_owned() };
    let seconds = now.duration_since(at).as_secs().max(0);
    let words = rough(Duration::from_secs(seconds.unsigned_abs()));
    format!("<time datetime=\"{at}\" title=\"{at}\">{words} ago</time>")
}

/// A time to be lived through, for reading at a glance.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The time of day, with the date where it is not today's.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> String {
    let today = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    let words = at.strftime(if today { "%H:%M UTC" } else { "%F %H:%M UTC" });
    format!("<time datetime=\"{at}\" title=\"{at}\">{words}</time>")
}

/// A measured time with three digits that mean something.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..9.995 => format!("{millis:.2} ms"),
        ..99.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        ..9_995.0 => format!("{:.2} s", millis / 1e3),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_cannot_become_markup() {
        let shown = Text("<script>'\"&\r\u{202e}\u{7f}é").to_string();
        assert_eq!(shown, "&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}\u{fffd}é");
    }

    #[test]
    fn a_date_is_said_where_it_is_not_today() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T16:00:00Z");
        assert!(clock(at("2026-11-21T14:02:59Z"), now).contains(">14:02 UTC<"));
        assert!(clock(at("2026-11-20T14:02:59Z"), now).contains(">2026-11-20 14:02 UTC<"));
    }

    #[test]
    fn durations_keep_three_digits() {
        for (micros, want) in [
            (420, "0.42 ms"),
            (12_340, "12.3 ms"),
            (234_400, "234 ms"),
            (1_500_000, "1.50 s"),
            (60_000_000, "60.0 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), want);
        }
    }

    #[test]
    fn ages_are_rough_and_never_negative() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(age(Some(at(90)), at(100)).contains(">10 s ago<"));
        assert!(age(Some(at(0)), at(600)).contains(">10 min ago<"));
        assert!(age(Some(at(100)), at(90)).contains(">0 s ago<"));
        assert_eq!(age(None, at(0)), "never");
    }
}
