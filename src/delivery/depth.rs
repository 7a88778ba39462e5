//! Which single failure would stop mail: each exchanger is made to fail in turn, and judged again.

use std::time::Duration;

use super::{
    conduct::{Conduct, Connect, Greeting},
    judge,
    sender::Sender,
    situation::{AddressAnswer, AnswerKind, Situation},
    verdict::{Outcome, Verdict},
};
use crate::{
    facts::{Facts, Family, LookupStatus},
    name::Exchanger,
};

/// One failure that would stop mail which is delivered now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weakness {
    /// The exchanger that fails.
    pub exchanger: Exchanger,
    /// How.
    pub failing: Failing,
}

/// A way for an exchanger to fail.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Failing {
    /// None of its addresses takes a connection.
    Unreachable,
    /// All of them accept connections and stay silent.
    Silent,
    /// Its AAAA lookup fails.
    AaaaLookup,
    /// Both address lookups fail.
    AddressLookups,
}

impl Failing {
    /// As in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AaaaLookup => "aaaa_lookup",
            Self::AddressLookups => "address_lookups",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Every single failure that would stop mail, by exchanger in the order of the route; none when by
/// the `verdict` on these facts it has stopped already.
pub fn weaknesses(
    facts: &Facts,
    sender: &Sender,
    resolver: &str,
    verdict: &Verdict,
) -> Vec<Weakness> {
    let mut found = Vec::new();
    if verdict.outcome != Outcome::Deliver {
        return found;
    }
    let now = Situation::new(facts, resolver);
    for host in 0..now.hosts.len() {
        for failing in Failing::ALL {
            let mut then = now.clone();
            failing.strike(&mut then, host);
            if judge::verdict(&then, sender).outcome != Outcome::Deliver {
                found.push(Weakness { exchanger: now.hosts[host].exchanger.clone(), failing });
            }
        }
    }
    found
}

impl Failing {
    /// Every way, the plainest first.
    pub const ALL: [Self; 4] =
        [Self::Unreachable, Self::Silent, Self::AddressLookups, Self::AaaaLookup];

    /// Makes an exchanger fail this way.
    fn strike(self, situation: &mut Situation, host: usize) {
        let view = &mut situation.hosts[host];
        let servfail = || AddressAnswer::new(AnswerKind::Failed(LookupStatus::Servfail));
        match self {
            Self::Unreachable | Self::Silent => {
                let conduct = match self {
                    Self::Silent => {
                        Conduct { greeting: Greeting::Silent(Duration::MAX), ..Conduct::HEALTHY }
                    }
                    _ => Conduct { connect: Connect::Silent(Duration::MAX), ..Conduct::HEALTHY },
                };
                view.servers.iter_mut().for_each(|server| server.conduct = conduct.clone());
            }
            Self::AddressLookups => view.answers = [servfail(), servfail()],
            Self::AaaaLookup => view.answers[Family::Ipv6 as usize] = servfail(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{builtin, what_if};

    fn found(facts: &str, sender: &str) -> Vec<String> {
        let facts: what_if::WhatIf = serde_json::from_str(facts).unwrap();
        let sender = builtin::get(sender).unwrap();
        let facts = facts.facts().unwrap();
        let verdict = crate::delivery::judge(&facts, sender, what_if::RESOLVER);
        let found = weaknesses(&facts, sender, what_if::RESOLVER, &verdict);
        found.iter().map(|w| format!("{} {}", w.exchanger.host, w.failing.label())).collect()
    }

    const TWO: &str = r#"{"domain": "example.com", "mx": [[10, "mx1"], [20, "mx2"]],
        "hosts": {"mx1": {"a": ["192.0.2.1"]}, "mx2": {"a": ["192.0.2.2"]}}}"#;
    const ONE: &str = r#"{"domain": "example.com", "mx": [[10, "mx1"]],
        "hosts": {"mx1": {"a": ["192.0.2.1"]}}}"#;

    #[test]
    fn two_exchangers_are_two_only_for_who_goes_on_to_the_second() {
        assert_eq!(found(TWO, "postfix"), [] as [&str; 0]);
        assert_eq!(found(TWO, "ims-5.5"), ["mx1 silent"]);
        assert_eq!(found(TWO, "exchange-2010"), ["mx1 address_lookups", "mx1 aaaa_lookup"]);
    }

    #[test]
    fn a_sole_exchanger_is_a_single_point_of_failure() {
        let each = ["mx1 unreachable", "mx1 silent", "mx1 address_lookups"];
        assert_eq!(found(ONE, "postfix"), each);
    }

    #[test]
    fn what_has_stopped_has_no_weakness() {
        let stopped = ONE.replace(r#"["192.0.2.1"]"#, "\"servfail\"");
        assert_eq!(found(&stopped, "postfix"), [] as [&str; 0]);
    }
}
