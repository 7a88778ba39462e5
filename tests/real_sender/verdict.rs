//! What is predicted of a sender, and whether its log agrees.
//!
//! It has the form of an entry of `verdicts` in the JSON of `mxwatch check` and `mxwatch judge`, cut
//! down to what a log can confirm or deny.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Deserialize;

use crate::{reading, servers::postfix_sender::Attempt};

/// How much longer than predicted an attempt may take, in seconds: what a busy machine needs for
/// everything but waiting.
pub(crate) const SLACK: f64 = 2.5;
/// How much shorter a wait may seem, in seconds: the log rounds.
const ROUNDING: f64 = 0.1;

/// Everything that a sender may do with mail for one domain; chance decides which.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) possible: Vec<Forecast>,
    /// The part of the line that mxwatch says it would log.
    #[serde(default)]
    pub(crate) log: Option<String>,
}

/// One thing that a sender may do.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Forecast {
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) via: Option<Via>,
    /// How long the sender waits for what does not come.
    pub(crate) wait_seconds: f64,
}

/// The exchanger that takes the message.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Via {
    pub(crate) mx: String,
    pub(crate) family: Option<String>,
}

impl Verdict {
    /// Whether it is another than this one. Of a message that stays, the log names no exchanger
    /// that could be compared, and a wait is another when it differs by a second.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let keys = |verdict: &Self| -> BTreeSet<String> {
            let key = |f: &Forecast| {
                let via = f.via.as_ref().filter(|_| f.outcome == "deliver");
                format!("{} {} {via:?} {:.0}", f.outcome, f.reason, f.wait_seconds)
            };
            verdict.possible.iter().map(key).collect()
        };
        keys(self) != keys(other)
    }

    /// Says how an attempt to send to this domain contradicts, if it does.
    pub(crate) fn check(&self, domain: &str, attempt: &Attempt) -> Result<(), String> {
        let contradictions: Result<Vec<_>, _> = self
            .possible
            .iter()
            .map(|forecast| match forecast.contradiction(domain, attempt) {
                Some(contradiction) => Ok(format!("  {contradiction}: {forecast:?}\n")),
                None => Err(()),
            })
            .collect();
        match contradictions {
            Ok(all) => Err(format!("{}\n{}", attempt.line, all.concat())),
            Err(()) => self.check_log(attempt),
        }
    }

    /// Where nothing is left to chance the words are those of the log as well. Of a message that was
    /// sent, they are about what it lost time on, which has a line of its own.
    fn check_log(&self, attempt: &Attempt) -> Result<(), String> {
        let stays = attempt.status != "sent" && self.possible.len() == 1;
        match self.log.as_ref().filter(|_| stays) {
            Some(log) if !attempt.line.contains(log.as_str()) => {
                Err(format!("{}\n  it was said to log {log}\n", attempt.line))
            }
            _ => Ok(()),
        }
    }
}

impl Forecast {
    fn contradiction(&self, domain: &str, attempt: &Attempt) -> Option<String> {
        let outcome = reading::outcome(attempt);
        if self.outcome != outcome {
            return Some(format!("the outcome was {outcome}"));
        }
        let reasons = reading::reasons(domain, attempt);
        if !reasons.contains(&self.reason.as_str()) {
            return Some(format!("the reason was one of {reasons:?}"));
        }
        // Of a message that stays, the log names the last exchanger or none.
        let via = attempt.relay.as_ref().filter(|_| outcome == "deliver");
        let via = via.map(|(mx, ip)| Via { mx: mx.clone(), family: Some(family(*ip).to_owned()) });
        if outcome == "deliver" && self.via != via {
            return Some(format!("it went via {via:?}"));
        }
        let wait = self.wait_seconds;
        if !(wait - ROUNDING..=wait + SLACK).contains(&attempt.seconds) {
            return Some(format!("it took {} s", attempt.seconds));
        }
        None
    }

    /// The same after a wait of this many seconds.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.wait_seconds = std::time::Duration::from_secs(seconds).as_secs_f64();
        self
    }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// Delivery at once, via an exchanger below test., over IPv4 or IPv6. An address stands for itself.
pub(crate) fn deliver(mx: &str, version: u8) -> Forecast {
    let address = mx.parse::<IpAddr>().is_ok();
    let mx = if address { mx.to_owned() } else { format!("{mx}.test") };
    let via = Via { mx, family: Some(format!("ipv{version}")) };
    Forecast { via: Some(via), ..stays("deliver", "ok") }
}

/// The message is kept for another attempt.
pub(crate) fn defer(reason: &str) -> Forecast {
    stays("defer", reason)
}

/// The message goes back.
pub(crate) fn bounce(reason: &str) -> Forecast {
    stays("bounce", reason)
}

fn stays(outcome: &str, reason: &str) -> Forecast {
    let (outcome, reason) = (outcome.to_owned(), reason.to_owned());
    Forecast { outcome, reason, via: None, wait_seconds: 0.0 }
}
