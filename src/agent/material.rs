//! Whether two observations could be judged differently: the comparison of all that a verdict is
//! made of, and of nothing else.
//!
//! Rounds go on for ever and mostly find what was there before, give or take some milliseconds,
//! TTLs and the order of addresses. An exchanger may be shared by ten thousand domains: what is the
//! same here is not judged again for each of them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::state::DestinationRound;
use crate::facts::{DomainPolicies, ExchangerFacts, Lookup, Session, StageFact};

/// Whether a destination's route says the same.
pub fn same_route(before: &DestinationRound, after: &DestinationRound) -> bool {
    (&before.route, &before.also) == (&after.route, &after.also)
        && all(&before.mx, &after.mx, |a, b| {
            a.route == b.route && same_lookup(&a.lookup, &b.lookup)
        })
}

/// Whether an exchanger's lookups and sessions say the same.
pub fn same_exchanger(before: &ExchangerFacts, after: &ExchangerFacts) -> bool {
    before.addresses == after.addresses
        && all(&before.tlsa, &after.tlsa, |a, b| a.same(b))
        && all(&before.lookups, &after.lookups, same_lookup)
        && all(&before.sessions, &after.sessions, |a, b| Arc::ptr_eq(a, b) || same_session(a, b))
}

/// Whether the policies of a domain ask for the same.
pub fn same_policies(before: &DomainPolicies, after: &DomainPolicies) -> bool {
    let (before, after) = (&before.mta_sts, &after.mta_sts);
    (before.mode, &before.mx) == (after.mode, &after.mx)
}

fn all<T>(before: &[T], after: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b))
}

fn same_lookup(before: &Lookup, after: &Lookup) -> bool {
    (&before.resolver, before.rtype, before.status())
        == (&after.resolver, after.rtype, after.status())
        && before.name == after.name
        && before.asked() == after.asked()
        && seconds(before.took_to_answer()) == seconds(after.took_to_answer())
        && before.authentic_data() == after.authentic_data()
        && (before.addresses().eq(after.addresses()) || sorted(before) == sorted(after))
}

/// Resolvers rotate the addresses of an answer (RFC 1794).
fn sorted(lookup: &Lookup) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = lookup.addresses().collect();
    addresses.sort_unstable();
    addresses
}

fn same_session(before: &Session, after: &Session) -> bool {
    before.peer == after.peer
        && before.failure == after.failure
        && before.tls == after.tls
        && all(&before.stages, &after.stages, same_stage)
        && all(&before.transactions, &after.transactions, |a, b| {
            a.envelope == b.envelope && a.class == b.class && all(&a.stages, &b.stages, same_stage)
        })
        // Word for word the same, mostly, which is seen without looking for lines.
        && (before.listing() == after.listing() || before.extensions().eq(after.extensions()))
}

fn same_stage(before: &StageFact, after: &StageFact) -> bool {
    let code = |fact: &StageFact| fact.reply().map(|reply| reply.code);
    (before.stage, before.reason, code(before), seconds(before.duration.get()))
        == (after.stage, after.reason, code(after), seconds(after.duration.get()))
}

/// Verdicts count in whole seconds; what is quicker than one costs nothing.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        facts::{
            Exchange, Failure, LookupStatus, MtaSts, MxLookup, Reason, Record, RecordType, Reply,
            Route, Sessions, Stage, StsMode, StsStatus, TlsRpt, TlsRptStatus, TlsaFacts,
            TlsaRecord, TlsaStatus, Transport,
        },
        name::{Exchanger, ExchangerName, Host},
    };

    fn mx() -> Exchanger {
        Exchanger { host: Host::Name(ExchangerName::parse("mx.example.com").unwrap()), port: 25 }
    }

    fn lookup(rtype: RecordType, status: LookupStatus, addresses: &[&str]) -> Lookup {
        let server = ([192, 0, 2, 53], 53).into();
        let records = addresses.iter().map(|a| Record::Address(a.parse().unwrap())).collect();
        let exchange = Exchange { records, ..Exchange::empty(server, Transport::Udp, status) };
        let (resolver, name) = (Arc::from("local"), Arc::from("mx.example.com"));
        Lookup::new(resolver, rtype, name, vec![exchange])
    }

    fn session(millis: u64, failure: Option<Failure>, lines: &[&str]) -> Session {
        let stage = |stage, reply: Option<(u16, &[&str])>, reason| StageFact {
            stage,
            duration: Duration::from_millis(millis).into(),
            heard: reply
                .map(|(code, lines)| Reply { code, enhanced: None, lines: lines.iter().collect() })
                .into(),
            reason,
        };
        let peer: SocketAddr = ([192, 0, 2, 1], 25).into();
        let banner = match failure {
            Some(failure) => stage(Stage::Banner, None, Some(failure.reason)),
            None => stage(Stage::Banner, Some((220, &["hello, it is five past nine"])), None),
        };
        Session {
            peer,
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: Duration::from_millis(millis).into(),
            helo_name: "probe.example.org".into(),
            stages: [banner, stage(Stage::Ehlo, Some((250, lines)), None)].into(),
            failure,
            tls: None,
            auth_mechanism: None,
            transactions: Box::default(),
        }
    }

    fn tlsa(status: TlsaStatus, records: &[&str]) -> Arc<TlsaFacts> {
        let records = records.iter().filter_map(|record| TlsaRecord::parse(record)).collect();
        let base = ExchangerName::parse("mx.example.com").unwrap();
        let (resolver, lookups) = ("local".into(), Vec::new());
        Arc::new(TlsaFacts { resolver, status, base, records, lookups })
    }

    fn facts(lookups: Vec<Lookup>, session: Session) -> ExchangerFacts {
        let sessions = [Arc::new(session)].into();
        let addresses = lookups.iter().flat_map(Lookup::addresses).collect();
        ExchangerFacts {
            lookups: lookups.into(),
            addresses,
            sessions,
            ..ExchangerFacts::unobserved(mx(), Timestamp::UNIX_EPOCH)
        }
    }

    fn usual() -> ExchangerFacts {
        use {LookupStatus::*, RecordType::*};
        let a = lookup(A, Noerror, &["192.0.2.1", "192.0.2.2"]);
        let none = lookup(Aaaa, Nodata, &[]);
        facts(vec![a, none], session(20, None, &["hi", "SIZE 9"]))
    }

    #[test]
    fn another_round_that_finds_the_same_is_the_same() {
        let mut later = usual();
        later.observed_at = Timestamp::from_second(60).unwrap();
        let exchange = &mut Arc::make_mut(&mut later.lookups)[0].exchanges[0];
        exchange.records.reverse();
        (exchange.ttl, exchange.duration) = (Some(17), Duration::from_millis(3).into());
        later.sessions = [Arc::new(Session {
            started_at: Timestamp::from_second(59).unwrap(),
            ..session(733, None, &["ho", "SIZE 9"])
        })]
        .into();
        assert!(same_exchanger(&usual(), &later));
    }

    #[test]
    fn whatever_may_change_a_verdict_is_another() {
        use {LookupStatus::*, RecordType::*};
        let silent = Failure { stage: Stage::Banner, reason: Reason::Timeout };
        let mut others = vec![usual(), usual(), usual(), usual(), usual(), usual(), usual()];
        Arc::make_mut(&mut others[0].lookups)[1] = lookup(Aaaa, Servfail, &[]);
        Arc::make_mut(&mut others[1].lookups)[0] = lookup(A, Noerror, &["192.0.2.1", "192.0.2.3"]);
        others[2].lookups = others[2].lookups[..1].into();
        others[3].tlsa = [tlsa(TlsaStatus::Secure, &["3 1 1 00"])].into();
        Arc::make_mut(&mut others[4].lookups)[0].exchanges[0].duration =
            Duration::from_millis(2_100).into();
        Arc::make_mut(&mut others[5].lookups)[0].exchanges[0].authentic_data = true;
        Arc::make_mut(&mut others[6].lookups)[1].exchanges = [].into();
        let sessions = [
            session(20, Some(silent), &["hi", "SIZE 9"]),
            session(20, None, &["hi", "SIZE 9", "STARTTLS"]),
            session(4_000, None, &["hi", "SIZE 9"]),
        ];
        for other in sessions {
            others.push(ExchangerFacts { sessions: [Arc::new(other)].into(), ..usual() });
        }
        others.push(ExchangerFacts { sessions: Sessions::new(), ..usual() });
        for (place, other) in others.iter().enumerate() {
            assert!(!same_exchanger(&usual(), other), "{place}");
        }
    }

    #[test]
    fn other_records_are_another_promise() {
        let with = |status, records: &[&str]| ExchangerFacts {
            tlsa: [tlsa(status, records)].into(),
            ..usual()
        };
        let known = with(TlsaStatus::Secure, &["3 1 1 00", "3 1 1 01"]);
        assert!(same_exchanger(&known, &with(TlsaStatus::Secure, &["3 1 1 01", "3 1 1 00"])));
        for other in [
            with(TlsaStatus::Secure, &["3 1 1 00", "3 1 1 02"]),
            with(TlsaStatus::Secure, &["3 1 1 00"]),
            with(TlsaStatus::Insecure, &["3 1 1 00", "3 1 1 01"]),
        ] {
            assert!(!same_exchanger(&known, &other), "{:?}", other.tlsa);
        }
    }

    #[test]
    fn a_route_is_another_when_answer_or_exchangers_are() {
        let round = |route: Route, status, seconds| DestinationRound {
            observed_at: Timestamp::from_second(seconds).unwrap(),
            mx: vec![MxLookup { lookup: lookup(RecordType::Mx, status, &[]), route }],
            route: vec![(10, mx())],
            also: Vec::new(),
            chosen: Vec::new(),
        };
        let known = || round(Route::Null, LookupStatus::Noerror, 1);
        assert!(same_route(&known(), &round(Route::Null, LookupStatus::Noerror, 2)));
        assert!(!same_route(&known(), &round(Route::NoDomain, LookupStatus::Noerror, 1)));
        let (servfail, timeout) = (LookupStatus::Servfail, LookupStatus::Timeout);
        let lost = |status| round(Route::Unknown, status, 1);
        assert!(!same_route(&lost(servfail), &lost(timeout)), "the reason is another");
        assert!(!same_route(&known(), &DestinationRound { route: Vec::new(), ..known() }));
    }

    #[test]
    fn policies_are_others_when_they_ask_for_something_else() {
        let policies = |mode, mx: &str, status, detail: &str| DomainPolicies {
            mta_sts: MtaSts {
                mode,
                mx: vec![mx.to_owned()],
                ..MtaSts::without_policy(status, Some(detail.to_owned()))
            },
            tls_rpt: TlsRpt::unusable(TlsRptStatus::Absent, None),
        };
        let (testing, valid) = (StsMode::Testing, StsStatus::Valid);
        let known = policies(testing, "mx.example.com", valid, "");
        let failed = policies(testing, "mx.example.com", StsStatus::FetchHttp, "HTTP 500");
        assert!(same_policies(&known, &failed), "what was fetched before holds");
        let enforced = policies(StsMode::Enforce, "mx.example.com", valid, "");
        assert!(!same_policies(&known, &enforced));
        assert!(!same_policies(&known, &policies(testing, "*.example.com", valid, "")));
    }
}
