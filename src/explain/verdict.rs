//! A verdict in words: what would happen to mail of a sender, why, who can put it right, and how to
//! see it by hand.

use std::time::Duration;

pub use super::cure::{Cure, Who};
use super::{
    because::{because, spoken_family},
    by_hand,
    cure::cure,
    detour,
    plain::roundly,
    seen::Seen,
    sender_log,
};
use crate::{
    delivery::{Confidence, Outcome, Possible, Sender, Verdict, Via, lifetime},
    facts::{Facts, Stage},
    shown::one_line,
};

/// What a postmaster reads about a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// One paragraph.
    pub text: String,
    /// The line that the sender's own log or queue viewer would show; `None` where that is not
    /// documented.
    pub log: Option<String>,
    /// Who can put it right, and how.
    pub cure: Cure,
    /// Shell commands that show the cause.
    pub by_hand: Vec<String>,
}

/// Explains what [`crate::delivery::judge`] came to, with the same arguments.
pub fn explain(facts: &Facts, sender: &Sender, resolver: &str, verdict: &Verdict) -> Explanation {
    let at = verdict.at.as_ref().or(verdict.via.as_ref());
    let seen = Seen::new(facts, sender, resolver, verdict.why, at);
    let detour = match verdict.outcome {
        Outcome::Deliver => detour::first(&seen, verdict.wait_worst >= NOTICED),
        _ => None,
    };
    let cause = detour.as_ref().unwrap_or(&seen);
    let explanation = Explanation {
        text: text(&seen, detour.as_ref(), verdict),
        log: sender_log::line(cause, verdict.outcome),
        cure: cure(cause),
        by_hand: by_hand::commands(cause),
    };
    bounded(explanation)
}

/// Time below this is the way there and back.
const NOTICED: Duration = Duration::from_secs(1);

/// Facts may come from anybody's file; what they make has its bounds, and controls no terminal.
fn bounded(explanation: Explanation) -> Explanation {
    const LONGEST: usize = 4000;
    let Explanation { text, log, cure, by_hand } = explanation;
    Explanation {
        text: one_line(&text, LONGEST),
        log: log.map(|line| one_line(&line, LONGEST)),
        cure: Cure { what: one_line(&cure.what, LONGEST), ..cure },
        by_hand: by_hand.iter().map(|command| one_line(command, LONGEST)).collect(),
    }
}

fn text(seen: &Seen<'_>, detour: Option<&Seen<'_>>, verdict: &Verdict) -> String {
    let mut sentences = vec![outcome(seen, detour, verdict)];
    sentences.extend(ahead(seen.sender, verdict));
    sentences.extend(chance(seen, verdict));
    sentences.extend(depth(seen, verdict));
    if verdict.censored {
        sentences.push(
            "The probe gave up sooner than this sender would; an answer after that would change this."
                .to_owned(),
        );
    }
    if verdict.cut_short {
        sentences.push(
            "It could go more ways than were followed, and one of the others may be worse."
                .to_owned(),
        );
    } else if verdict.confidence == Confidence::Low {
        sentences.push("How this sender acts here is assumed, not documented.".to_owned());
    }
    sentences.join(" ")
}

/// What would happen, and why.
fn outcome(seen: &Seen<'_>, detour: Option<&Seen<'_>>, verdict: &Verdict) -> String {
    let sender = title(seen.sender);
    let why = because(seen);
    match verdict.outcome {
        Outcome::Deliver => {
            let family = seen.via.and_then(|via| via.family);
            let family = family.map_or(String::new(), |f| format!(" over {}", spoken_family(f)));
            let taken = format!("{sender} would deliver the message to {}{family}", seen.peer());
            let (best, worst) = (verdict.wait_best, verdict.wait_worst);
            let wait = match (best >= NOTICED, worst >= NOTICED) {
                (_, false) => "at once".to_owned(),
                (false, true) => format!("at once or, as chance has it, after {}", roundly(worst)),
                (true, true) if roundly(best) == roundly(worst) => {
                    format!("after losing {}", roundly(worst))
                }
                (true, true) => format!(
                    "after losing {} to {}, as chance has it",
                    roundly(best),
                    roundly(worst)
                ),
            };
            match detour {
                Some(detour) if worst >= NOTICED => {
                    format!("{taken} {wait}: {}.", because(detour))
                }
                Some(detour) => {
                    format!("{taken} {wait}, passing over a better one: {}.", because(detour))
                }
                None if slow(seen) => {
                    format!("{taken} {wait}: the server takes that long to answer.")
                }
                None => format!("{taken} {wait}."),
            }
        }
        Outcome::Defer => {
            let lost = (verdict.wait_worst >= NOTICED)
                .then(|| format!(" after {}", roundly(verdict.wait_worst)));
            format!("{sender} would hold the message{}: {why}.", lost.unwrap_or_default())
        }
        Outcome::Bounce => format!("{sender} would return the message as undeliverable: {why}."),
        Outcome::Freeze => {
            format!("{sender} would freeze the message until an admin looks at it: {why}.")
        }
        Outcome::Unknown => format!("No verdict for {}: {why}.", seen.sender.name),
    }
}

/// Whether the server that takes the message keeps it waiting.
fn slow(seen: &Seen<'_>) -> bool {
    let stages = seen.session.into_iter().flat_map(|session| &session.stages);
    stages.into_iter().any(|stage| stage.stage != Stage::Quit && stage.duration.get() >= NOTICED)
}

/// When it is tried again, and when that ends.
fn ahead(sender: &Sender, verdict: &Verdict) -> Option<String> {
    let ahead = lifetime::ahead(&sender.behaviour, verdict.outcome, Duration::ZERO)?;
    let expires = roundly(ahead.expires);
    let mut text = match ahead.next_retry {
        Some(next) => {
            format!(
                "It would try again in {} and return the message after {expires}.",
                roundly(next)
            )
        }
        None => format!("It would not try again, and return the message after {expires}."),
    };
    if let Some(age) = verdict.delivered_after {
        let age = roundly(age);
        text.push_str(" Once the message is ");
        text.push_str(&age);
        text.push_str(" old it gives up TLS and delivers in plain text.");
    }
    Some(text)
}

/// What else could happen where the sender leaves it to chance.
fn chance(seen: &Seen<'_>, verdict: &Verdict) -> Option<String> {
    let host = |possible: &Possible| possible.via.as_ref().map(|via| via.exchanger.clone());
    let mut others: Vec<&Possible> = Vec::new();
    let first = verdict.possible.first()?;
    for possible in verdict.possible.iter().skip(1) {
        let known = |other: &&Possible| {
            (other.outcome, other.why, host(other))
                == (possible.outcome, possible.why, host(possible))
        };
        if !others.iter().chain([&first]).any(known) {
            others.push(possible);
        }
    }
    if others.is_empty() {
        return None;
    }
    let rest = others.len().saturating_sub(MOST_OTHERS);
    let mut told: Vec<String> =
        others.iter().take(MOST_OTHERS).map(|possible| otherwise(seen, possible)).collect();
    if rest > 0 {
        told.push(format!("end in {rest} more ways"));
    }
    Some(format!("The order is left to chance; it could also {}.", told.join(", or ")))
}

/// Other outcomes that are told.
const MOST_OTHERS: usize = 3;

fn otherwise(seen: &Seen<'_>, possible: &Possible) -> String {
    let other =
        Seen::new(seen.facts, seen.sender, seen.resolver, possible.why, possible.via.as_ref());
    let after = match possible.wait {
        short if short < NOTICED => String::new(),
        long => format!(" after {}", roundly(long)),
    };
    match possible.outcome {
        Outcome::Deliver => format!("deliver to {}{after}", other.peer()),
        Outcome::Defer => format!("hold it{after} because {}", because(&other)),
        Outcome::Bounce => format!("return it because {}", because(&other)),
        Outcome::Freeze => format!("freeze it because {}", because(&other)),
        Outcome::Unknown => format!("do what cannot be said, because {}", because(&other)),
    }
}

/// What is left before mail stops.
fn depth(seen: &Seen<'_>, verdict: &Verdict) -> Option<String> {
    if verdict.outcome != Outcome::Deliver {
        return None;
    }
    match (verdict.usable_exchangers, seen.listed()) {
        (1, 0 | 1) => Some("There is no other exchanger to fall back on.".to_owned()),
        (1, listed) => Some(format!("Of {listed} exchangers only this one would take it.")),
        (usable, listed) if (1..listed).contains(&usable) => {
            Some(format!("{usable} of {listed} exchangers would take it."))
        }
        _ => None,
    }
}

/// What a sender is called in a sentence.
fn title(sender: &Sender) -> &str {
    let known = TITLES.iter().find(|(name, _)| *name == &*sender.name);
    known.map_or(&sender.name, |(_, title)| title)
}

const TITLES: [(&str, &str); 14] = [
    ("rfc5321", "A sender by the letter of RFC 5321"),
    ("postfix", "Postfix"),
    ("postfix-dane", "Postfix with DANE"),
    ("exim", "Exim"),
    ("sendmail", "Sendmail"),
    ("sendmail-debian", "Sendmail as Debian configures it"),
    ("opensmtpd", "OpenSMTPD"),
    ("exchange-2010", "Exchange 2010"),
    ("exchange-lenient", "Exchange 2010 with lenient DNS"),
    ("ims-5.5", "The Internet Mail Service of Exchange 5.5"),
    ("ipv4-only", "A sender without IPv6"),
    ("ipv6-only", "A sender without IPv4"),
    ("naive-aaaa", "A sender that stumbles over AAAA"),
    ("impatient-30", "A sender with 30 s of patience"),
];

/// An exchanger on one line, as in `mx2.example.com (ipv4)`.
pub fn exchanger(via: &Via) -> String {
    match via.family {
        Some(family) => format!("{} ({})", via.exchanger.host, family.label()),
        None => via.exchanger.host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        delivery::{Why, builtin, judge, views, what_if::WhatIf},
        facts::{Heard, Reason, Session},
    };

    fn facts(json: &str) -> Facts {
        let shorthand: WhatIf = serde_json::from_str(json).unwrap();
        shorthand.facts().unwrap()
    }

    fn explained(json: &str, sender: &str) -> Explanation {
        let (facts, sender) = (facts(json), builtin::get(sender).unwrap());
        let resolver = Arc::clone(&views(&facts)[0]);
        explain(&facts, sender, &resolver, &judge(&facts, sender, &resolver))
    }

    const TWO: &str = r#""mx": [[10, "mx1.example.com"], [20, "mx2.example.com"]]"#;

    #[test]
    fn a_failing_aaaa_lookup_holds_mail_of_exchange() {
        let world = format!(
            r#"{{"domain": "example.com", {TWO}, "hosts": {{
                "mx1.example.com": {{"a": ["192.0.2.1"], "aaaa": "servfail"}},
                "mx2.example.com": {{"a": ["192.0.2.2"]}}}}}}"#
        );
        let exchange = explained(&world, "exchange-2010");
        assert_eq!(
            exchange.text,
            "Exchange 2010 would hold the message: the AAAA lookup of mx1.example.com fails (SERVFAIL \
             from the name server), and this sender wants an answer to it although A works. It would try \
             again in 1 min and return the message after 2 days."
        );
        assert_eq!(exchange.log.as_deref(), Some("451 4.4.0 DNS query failed"));
        assert_eq!(exchange.cure.who, Who::Destination);
        for part in ["RFC 4074", "UseExternalDNSServersEnabled", "DnsFaultTolerance Lenient"] {
            assert!(exchange.cure.what.contains(part), "{}", exchange.cure.what);
        }
        assert_eq!(exchange.by_hand[1], "dig mx1.example.com AAAA");

        let postfix = explained(&world, "postfix");
        assert_eq!((postfix.cure.who, postfix.log), (Who::Nobody, None));

        let sendmail = explained(&world, "sendmail");
        assert!(
            sendmail.text.contains("at once, passing over a better one: the AAAA lookup of mx1")
        );
        assert!(sendmail.cure.what.ends_with("ResolverOptions=WorkAroundBrokenAAAA."));
        let alone = world.replace(r#", [20, "mx2.example.com"]"#, "");
        assert_eq!(
            explained(&alone, "sendmail").log.unwrap(),
            "dsn=4.4.3, stat=Deferred: Name server: mx1.example.com.: host name lookup failure"
        );
    }

    #[test]
    fn a_certificate_is_mended_for_the_policy_that_it_breaks() {
        let world = |tlsa: &str| {
            format!(
                r#"{{"domain": "example.com", "mx": [[10, "mx1.example.com"]], "sts": "enforce",
                    "sts_patterns": ["mx1.example.com"],
                    "hosts": {{"mx1.example.com": {{"a": ["192.0.2.1"], "tlsa": "{tlsa}"}}}},
                    "ips": {{"192.0.2.1": {{"starttls": {{"pkix_ok": false, "dane_ok": false}}}}}}}}"#
            )
        };
        // It does DANE, and where there are no records MTA-STS.
        for (tlsa, about_records) in [("secure", true), ("absent", false)] {
            let cure = explained(&world(tlsa), "impatient-30").cure.what;
            assert_eq!(cure.contains("TLSA records"), about_records, "{tlsa}: {cure}");
        }
    }

    #[test]
    fn a_failing_aaaa_lookup_is_told_as_it_is_to_those_it_costs() {
        let world = r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"], "aaaa": "servfail"}}}"#;
        // That A works is no help to a sender without IPv4.
        let only = explained(world, "ipv6-only").text;
        assert!(only.contains("), and IPv6 is all that this sender uses."), "{only}");
        // It delivers, and loses a minute: the lookup is why.
        let lenient = explained(world, "exchange-lenient");
        let text = "after losing 1 min: the AAAA lookup of mx1.example.com fails (SERVFAIL from";
        assert!(lenient.text.contains(text), "{}", lenient.text);
        assert_eq!(lenient.cure.who, Who::Destination);
        // What it would be told to set is what makes it lenient.
        assert!(!lenient.cure.what.contains("Lenient"), "{}", lenient.cure.what);
    }

    #[test]
    fn only_beside_others_is_a_silent_exchanger_better_switched_off() {
        let one = r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]}},
            "ips": {"192.0.2.1": {"banner": "none"}}}"#;
        assert!(!explained(one, "postfix").cure.what.contains("switched off"));
        let two = one.replace("]]", r#"], [20, "mx2.example.com"]]"#).replace(
            r#"}},
            "ips""#,
            r#"}, "mx2.example.com": {"a": ["192.0.2.2"]}},
            "ips""#,
        );
        assert!(explained(&two, "postfix").cure.what.contains("switched off"));
    }

    #[test]
    fn more_ways_than_can_be_followed_are_not_called_undocumented() {
        let addresses: Vec<String> = (1..=40).map(|n| format!("\"192.0.2.{n}\"")).collect();
        // Each costs another time.
        let busy = |(n, address): (usize, &String)| {
            format!("{address}: {{\"banner\": 421, \"banner_delay_s\": {}}}", n * n + 1)
        };
        let ips: Vec<String> = addresses.iter().enumerate().map(busy).collect();
        let facts = facts(&format!(
            r#"{{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
                "hosts": {{"mx1.example.com": {{"a": [{}]}}}}, "ips": {{{}}}}}"#,
            addresses.join(", "),
            ips.join(", ")
        ));
        let sender = builtin::get("postfix").unwrap();
        let verdict = judge(&facts, sender, "what-if");
        assert!(verdict.cut_short && verdict.confidence == Confidence::Low);
        let text = explain(&facts, sender, "what-if", &verdict).text;
        assert!(text.ends_with("one of the others may be worse."), "{text}");
    }

    #[test]
    fn an_exchanger_at_two_preferences_is_one() {
        let twice = r#"{"domain": "example.com",
            "mx": [[10, "mx1.example.com"], [20, "mx1.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]}}}"#;
        let text = explained(twice, "postfix").text;
        assert!(text.ends_with("There is no other exchanger to fall back on."), "{text}");
    }

    #[test]
    fn where_nothing_can_be_reached_the_way_out_is_suspected_first() {
        let world = |ipv6: &str| {
            format!(
                r#"{{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
                    "hosts": {{"mx1.example.com": {{"a": ["192.0.2.1"], "aaaa": ["2001:db8::1"]}}}},
                    "ips": {{"192.0.2.1": {{"tcp": "timeout"}}, "2001:db8::1": {ipv6}}}}}"#
            )
        };
        for (ipv6, who) in [
            (r#"{"tcp": "timeout"}"#, Who::You),
            (r#"{"tcp": "unreachable"}"#, Who::You),
            (r#"{"tcp": "refused"}"#, Who::Destination),
            (r#"{"banner": 421}"#, Who::Destination),
        ] {
            let exim = explained(&world(ipv6), "exim");
            assert_eq!(exim.cure.who, who, "{ipv6}: {}", exim.text);
        }
    }

    #[test]
    fn a_silent_banner_costs_postfix_time_and_stops_the_internet_mail_service() {
        let world = format!(
            r#"{{"domain": "example.com", {TWO}, "hosts": {{
                "mx1.example.com": {{"a": ["192.0.2.1"]}},
                "mx2.example.com": {{"a": ["192.0.2.2"]}}}},
                "ips": {{"192.0.2.1": {{"banner": "none"}}}}}}"#
        );
        let postfix = explained(&world, "postfix");
        assert_eq!(
            postfix.text,
            "Postfix would deliver the message to mx2.example.com [192.0.2.2] over IPv4 after losing \
             5 min: mx1.example.com [192.0.2.1] accepts the connection and does not greet within 5 \
             min. Of 2 exchangers only this one would take it."
        );
        let log = "conversation with mx1.example.com[192.0.2.1] timed out while receiving the \
                   initial server greeting";
        assert_eq!(postfix.log.as_deref(), Some(log));
        assert_eq!(postfix.by_hand[0], "telnet 192.0.2.1 25");

        let ims = explained(&world, "ims-5.5");
        assert!(ims.text.contains("would hold the message after 5 min: mx1.example.com"));
        assert!(ims.text.ends_with("and return the message after 2 days."), "{}", ims.text);
        assert!(ims.cure.what.contains("Q182821"));
        assert_eq!(ims.log, None);
    }

    #[test]
    fn what_a_sender_logs_is_as_documented() {
        let one = |rest: &str| {
            format!(
                r#"{{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
                    "hosts": {{"mx1.example.com": {{"a": ["192.0.2.1"]}}}}, {rest}}}"#
            )
        };
        let ip = |server: &str| one(&format!(r#""ips": {{"192.0.2.1": {server}}}"#));
        let null = r#"{"domain": "example.com", "mx": "null"}"#.to_owned();
        let nowhere = r#"{"domain": "example.com", "mx": "nxdomain"}"#.to_owned();
        let failing = r#"{"domain": "example.com", "mx": "servfail"}"#.to_owned();
        for (world, sender, log) in [
            (
                &null,
                "postfix",
                "dsn=5.1.0, status=bounced (Domain example.com does not accept mail (nullMX))",
            ),
            (
                &nowhere,
                "postfix",
                "dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=example.com type=AAAA: Host not found)",
            ),
            (
                &failing,
                "postfix",
                "dsn=4.4.3, status=deferred (Host or domain name not found. Name service error for name=example.com type=MX: Host not found, try again)",
            ),
            (&nowhere, "exim", "Unrouteable address"),
            (
                &nowhere,
                "sendmail",
                "dsn=5.1.2, stat=Host unknown (Name server: example.com.: host not found)",
            ),
            (
                &nowhere,
                "exchange-2010",
                "554 5.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain",
            ),
            (&failing, "opensmtpd", "stat=\"Temporary failure in MX lookup\""),
            (
                &ip(r#"{"tcp": "timeout"}"#),
                "postfix",
                "dsn=4.4.1, status=deferred (connect to mx1.example.com[192.0.2.1]:25: Connection timed out)",
            ),
            (
                &ip(r#"{"tcp": "timeout"}"#),
                "exim",
                "H=mx1.example.com [192.0.2.1] Connection timed out",
            ),
            (
                &ip(r#"{"tcp": "refused"}"#),
                "sendmail",
                "stat=Deferred: Connection refused by mx1.example.com.",
            ),
            (
                &ip(r#"{"tcp": "timeout"}"#),
                "exchange-2010",
                "451 4.4.0 Primary target IP address responded with: \"421 4.4.1 Connection timed out.\" Attempted failover to alternate host, but that did not succeed. Either there are no alternate hosts, or delivery failed to all alternate hosts.",
            ),
            (
                &ip(r#"{"banner": "closed"}"#),
                "postfix",
                "dsn=4.4.2, status=deferred (lost connection with mx1.example.com[192.0.2.1] while receiving the initial server greeting)",
            ),
        ] {
            assert_eq!(explained(world, sender).log.as_deref(), Some(log), "{sender}");
        }
        let refused = explained(&ip(r#"{"banner": 554}"#), "postfix").log.unwrap();
        let start = "dsn=4.0.0, status=deferred (host mx1.example.com[192.0.2.1] refused to talk to me: 554 ";
        assert!(refused.starts_with(start), "{refused}");
        assert_eq!(explained(&null, "ims-5.5").log, None);
    }

    /// A verdict of that reason about the first address of the facts.
    fn verdict(facts: &Facts, why: Why, outcome: Outcome) -> Verdict {
        let via = facts.exchangers.first().map(|host| Via {
            exchanger: host.exchanger.clone(),
            family: host.sessions.first().map(|session| session.family()),
        });
        let possible = vec![Possible { outcome, why, via: via.clone(), wait: Duration::ZERO }];
        Verdict {
            outcome,
            why,
            via: via.clone(),
            at: via,
            wait_best: Duration::ZERO,
            wait_worst: Duration::from_secs(300),
            usable_exchangers: 1,
            confidence: Confidence::Low,
            censored: true,
            cut_short: false,
            delivered_after: Some(Duration::from_secs(300)),
            possible,
        }
    }

    #[test]
    fn every_reason_has_words_and_a_cure_whatever_the_facts_hold() {
        let full = facts(
            r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
                "hosts": {"mx1.example.com": {"a": ["192.0.2.1"], "aaaa": "timeout"}},
                "ips": {"192.0.2.1": {"banner": 554}}}"#,
        );
        let mut bare = full.clone();
        (bare.mx, bare.exchangers) = (Vec::new(), Vec::new());
        for facts in [&full, &bare] {
            for sender in builtin::all() {
                for why in Why::ALL {
                    for outcome in Outcome::ALL {
                        let given = verdict(&full, *why, outcome);
                        let Explanation { text, cure, .. } =
                            explain(facts, sender, "what-if", &given);
                        assert!(text.ends_with("is assumed, not documented."), "{text}");
                        assert!(text.contains("gave up sooner") && !text.contains("  "), "{text}");
                        assert!(!text.contains(" :") && !text.contains(".."), "{text}");
                        assert!(cure.what.ends_with('.'), "{why:?}: {cure:?}");
                        // A delivery names what holds it up, whatever its own reason.
                        if outcome != Outcome::Deliver {
                            assert_eq!(*why == Why::Ok, cure.who == Who::Nobody, "{why:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_words_stay_bounded_and_control_nothing() {
        let mut facts = facts(
            r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
                "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]}}, "ips": {"192.0.2.1": {"banner": 554}}}"#,
        );
        let evil = format!("\x1b[2J\r\n\u{202e}$(reboot)'`;{}", "x".repeat(100_000));
        let mut host = (*facts.exchangers[0]).clone();
        let mut session = Session::clone(&host.sessions[0]);
        session.helo_name = evil.as_str().into();
        let mut broken = session.clone();
        for stage in &mut session.stages {
            if let Heard::Reply(reply) = &mut stage.heard {
                reply.lines = [&evil; 3].into_iter().collect();
            }
        }
        for stage in &mut broken.stages {
            stage.heard = Heard::Broken(evil.as_str().into());
        }
        let last = session.stages.last_mut().unwrap();
        assert_eq!((last.stage, last.reason), (Stage::Banner, Some(Reason::Reply5xx)));
        for lookup in Arc::make_mut(&mut host.lookups) {
            lookup.name = evil.as_str().into();
        }
        for (session, sender) in [session, broken]
            .iter()
            .flat_map(|s| builtin::all().iter().map(move |sender| (s, sender)))
        {
            host.sessions = [session.clone().into()].into();
            facts.exchangers = vec![host.clone().into()];
            for why in Why::ALL {
                let given = verdict(&facts, *why, Outcome::Defer);
                let Explanation { text, log, cure, by_hand } =
                    explain(&facts, sender, "what-if", &given);
                let all = [text, cure.what].into_iter().chain(log).chain(by_hand);
                for said in all {
                    assert!(said.chars().count() <= 4001, "{}", said.len());
                    assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'), "{said:?}");
                }
            }
        }
    }

    #[test]
    fn every_built_in_sender_has_a_title() {
        for sender in builtin::all() {
            assert!(TITLES.iter().any(|(name, _)| *name == &*sender.name), "{}", sender.name);
        }
    }
}
