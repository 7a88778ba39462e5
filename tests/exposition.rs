//! The exposition as Prometheus will read it: against a golden file, promtool, the catalogue and
//! the limits of cardinality.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use mxwatch::{
    agent::{
        counting::{MAX_ENDINGS, MAX_REPLIES},
        family_counts::{Ending, Replied},
        standing::Standing,
        state::{DestinationReport, ExchangerReport, Snapshot},
        tallies::Tallies,
    },
    config::Detail,
    delivery::{Outcome, Why, builtin},
    facts::{
        Failure, Family, Lookup, LookupStatus, MAX_EXCHANGERS, MxTarget, Reason, Record,
        RecordType, Route, Session, Stage, StsMode, TlsaRecord, TlsaStatus,
    },
    metrics::{
        exposition::{write, write_one},
        names::{CATALOGUE, Kind},
        own::Own,
        sink::{CHUNK, Gone, Sink},
    },
    name::{Exchanger, Host},
    shard::Shard,
};
use proptest::prelude::*;

mod sample;
#[allow(dead_code, reason = "each test file uses a part of it")]
mod servers;
use sample::{at, destination, exchanger, reply, session, stage};
use servers::prometheus::check_metrics;

fn text(snapshot: &Snapshot, detail: Detail) -> String {
    let mut out = String::new();
    write(snapshot, detail, &mut out).unwrap();
    out
}

/// The own metrics of an agent that is one of several and has a list from a server.
fn own() -> Own {
    let own = Own::new();
    own.sharded(Shard::new(1, 4).unwrap());
    own.http_sd("netbox");
    own
}

fn samples(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// The part of a sample line that identifies the series.
fn series(line: &str) -> &str {
    line.rsplit_once(' ').expect("a sample has a value").0
}

#[test]
fn the_exposition_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.prom");
    let got = text(&sample::snapshot(), Detail::Full);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap();
    for (number, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "line {} (UPDATE_GOLDEN=1 writes the file anew)", number + 1);
    }
    assert_eq!(got.len(), want.len(), "one goes on where the other ends");
}

/// Keeps chunks, and wants no more than so many.
struct Chunks(Vec<String>, usize);

impl Sink for Chunks {
    fn take(&mut self, chunk: &mut String) -> Result<(), Gone> {
        assert!(self.0.len() < self.1, "nothing more comes when it was said that nobody is there");
        self.0.push(std::mem::take(chunk));
        if self.0.len() < self.1 { Ok(()) } else { Err(Gone) }
    }
}

#[test]
fn the_text_comes_in_chunks_of_whole_lines() {
    let mut snapshot = sample::snapshot();
    let report = Arc::clone(&snapshot.exchangers[&exchanger("mx1.example.com", 25)]);
    let more = (0..100).map(|n| exchanger(&format!("mx{n}.example.net"), 25));
    snapshot.exchangers.extend(more.map(|mx| (mx, Arc::clone(&report))));
    let mut chunks = Chunks(Vec::new(), usize::MAX);
    write(&snapshot, Detail::Full, &mut chunks).unwrap();
    let (last, full) = chunks.0.split_last().unwrap();
    assert!(full.len() > 2 && last.len() < CHUNK, "{}", full.len());
    for chunk in full {
        assert!(chunk.ends_with('\n') && (CHUNK..2 * CHUNK).contains(&chunk.len()));
    }
    assert!(chunks.0.concat() == text(&snapshot, Detail::Full));

    let gone = write(&snapshot, Detail::Full, &mut Chunks(Vec::new(), 2));
    assert!(gone.is_err(), "it does not go on for nobody");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let mut body = text(&sample::snapshot(), Detail::Full);
    own().encode(&mut body);
    let mut one = String::new();
    write_one(&sample::snapshot(), &destination("example.com"), Detail::Full, &mut one).unwrap();
    for body in [body, one] {
        let Some((good, said)) = check_metrics(&body) else { return };
        assert!(good && said.is_empty(), "{said}");
    }
}

#[test]
fn samples_have_the_names_types_and_labels_of_the_catalogue() {
    let mut body = String::new();
    write_one(&sample::snapshot(), &destination("example.com"), Detail::Full, &mut body).unwrap();
    body.push_str(&text(&sample::snapshot(), Detail::Full));
    own().encode(&mut body);
    for metric in CATALOGUE {
        let kind = format!("# TYPE {} {}\n", metric.name, metric.kind.word());
        assert!(body.contains(&kind), "{} is in the catalogue and not written", metric.name);
    }
    for line in samples(&body).filter(|line| !line.starts_with("process_")) {
        let name = line.split(['{', ' ']).next().unwrap();
        let metric = CATALOGUE
            .iter()
            .find(|m| {
                let suffix = name.strip_prefix(m.name);
                let histogram = matches!(suffix, Some("_bucket" | "_sum" | "_count"));
                suffix == Some("") || (m.kind == Kind::Histogram && histogram)
            })
            .unwrap_or_else(|| panic!("{line} is not in the catalogue"));
        let labels = line.split_once('{').map_or("", |(_, rest)| rest);
        let found: Vec<_> = label_names(labels);
        let found: Vec<_> = found.iter().map(String::as_str).filter(|l| *l != "le").collect();
        if metric.name != "mx_destination_info" {
            let (found, labels) = (BTreeSet::from_iter(found), BTreeSet::from_iter(metric.labels));
            assert!(found.iter().eq(labels), "{line} has not the labels {:?}", metric.labels);
        }
    }
}

/// Label names of `a="1",b="2"} 1`, for values without quotes.
fn label_names(labels: &str) -> Vec<String> {
    let pieces: Vec<_> = labels.split("=\"").collect();
    let names = pieces.iter().take(pieces.len().saturating_sub(1));
    names.map(|p| p.rsplit([',', '"']).next().unwrap().to_owned()).collect()
}

#[test]
fn a_family_without_addresses_has_nothing_to_alarm_about() {
    let body = text(&sample::snapshot(), Detail::Full);
    let of_ipv6: Vec<_> = samples(&body)
        .filter(|l| l.contains("mx=\"mx2.example.com\",family=\"ipv6\""))
        .filter(|l| !l.starts_with("mx_route"))
        .collect();
    assert_eq!(of_ipv6, ["mx_exchanger_addresses{mx=\"mx2.example.com\",family=\"ipv6\"} 0"]);
}

#[test]
fn an_address_that_is_not_probed_is_neither_up_nor_down() {
    let mut snapshot = sample::snapshot();
    let mx = exchanger("mx1.example.com", 25);
    let mut report = ExchangerReport::clone(&snapshot.exchangers[&mx]);
    let mut facts = report.facts.as_deref().unwrap().clone();
    facts.sessions.retain(|session| session.family() == Family::Ipv4);
    report.counts_mut(Family::Ipv6).sessions = Tallies::default();
    report.facts = Some(Arc::new(facts));
    snapshot.exchangers.insert(mx, Arc::new(report));
    let body = text(&snapshot, Detail::Full);
    let of_ipv6: Vec<_> = samples(&body)
        .filter(|l| l.contains("mx=\"mx1.example.com\",family=\"ipv6\""))
        .filter(|l| !l.starts_with("mx_route"))
        .map(|l| l.split('{').next().unwrap())
        .collect();
    assert_eq!(of_ipv6, ["mx_exchanger_addresses", "mx_probe_backoff_seconds"]);
}

#[test]
fn an_extension_counts_when_every_address_that_told_offers_it() {
    let with = |lines: &[&str]| {
        let lines: Vec<_> = [&["greets"], lines].concat();
        let ehlo = stage(Stage::Ehlo, 1, Some(reply(250, &lines)), None);
        session("192.0.2.1", vec![ehlo], None)
    };
    let offered = |sessions: Vec<_>| {
        let mx = exchanger("mx1.example.com", 25);
        let a = vec![Record::Address("192.0.2.1".parse().unwrap())];
        let a = sample::lookup("mx1.example.com", RecordType::A, "r", LookupStatus::Noerror, a);
        let report = sample::report(mx.clone(), vec![a], sessions);
        let snapshot =
            Snapshot { exchangers: BTreeMap::from([(mx, report)]), ..sample::snapshot() };
        let body = text(&snapshot, Detail::Full);
        let found = samples(&body).filter_map(|l| Some(l.split_once("extension=\"")?.1));
        let size =
            samples(&body).filter(|l| l.starts_with("mx_smtp_size")).map(|l| &l[l.len() - 2..]);
        found
            .map(|l| l.split('"').next().unwrap())
            .chain(size)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let both =
        vec![with(&["STARTTLS", "auth=LOGIN", "X-OWN", "SIZE 0"]), with(&["starttls", "SIZE 9"])];
    assert_eq!(offered(both), ["STARTTLS", " 9"]);
    assert_eq!(offered(vec![with(&["smtputf8"]), sample::silent("192.0.2.1")]), ["SMTPUTF8"]);
    let ehlo = stage(Stage::Ehlo, 1, Some(reply(502, &["what?"])), Some(Reason::Reply5xx));
    let helo = stage(Stage::Helo, 1, Some(reply(250, &["hello"])), None);
    let old = session("192.0.2.2", vec![ehlo, helo], None);
    assert!(offered(vec![with(&["STARTTLS"]), old]).is_empty());
}

#[test]
fn dane_is_verified_when_every_address_matches_what_every_trusted_resolver_proves() {
    let (mx, name) = (exchanger("mx1.example.com", 25), "mx1.example.com");
    let [one, two] = ["00", "11"].map(|byte| format!("3 1 1 {}", byte.repeat(32)));
    let matching = |ip: &str, records: &[&String]| {
        let shown = sample::healthy(ip);
        let mut tls = shown.tls.clone().unwrap();
        tls.dane = Some(records.iter().map(|text| TlsaRecord::parse(text).unwrap()).collect());
        Arc::new(Session { tls: Some(tls), ..Session::clone(&shown) })
    };
    let verified = |sessions: Vec<Arc<Session>>, tlsa: &[(TlsaStatus, &String)]| {
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|ip| Record::Address(ip.parse().unwrap()));
        let status = LookupStatus::Noerror;
        let a = sample::lookup(name, RecordType::A, "local", status, addresses.into());
        let report = sample::report(mx.clone(), vec![a], sessions);
        let report = tlsa.iter().fold(report, |report, (status, record)| {
            sample::with_tlsa(&report, *status, &[record.as_str()])
        });
        let exchangers = BTreeMap::from([(mx.clone(), report)]);
        let body = text(&Snapshot { exchangers, ..sample::snapshot() }, Detail::Full);
        let found = samples(&body).find(|line| line.contains("policy=\"dane\""));
        found.map(|line| line.ends_with(" 1"))
    };
    let secure = (TlsaStatus::Secure, &one);
    let (first, second) = (matching("192.0.2.1", &[&one]), matching("192.0.2.2", &[]));
    assert_eq!(verified(vec![Arc::clone(&first)], &[secure]), Some(true));
    assert_eq!(verified(vec![Arc::clone(&first), second], &[secure]), Some(false));
    let other = (TlsaStatus::Secure, &two);
    assert_eq!(verified(vec![Arc::clone(&first)], &[secure, other]), Some(false), "split view");
    let insecure = (TlsaStatus::Insecure, &one);
    assert_eq!(verified(vec![Arc::clone(&first)], &[insecure]), None, "nothing is proved");
    assert_eq!(verified(vec![sample::silent("192.0.2.1")], &[secure]), None, "it takes no mail");
    let ehlo = stage(Stage::Ehlo, 1, Some(reply(250, &["hi"])), None);
    let plain = session("192.0.2.1", vec![ehlo], None);
    assert_eq!(verified(vec![plain], &[secure]), Some(false), "without TLS nothing matches");
}

#[test]
fn a_probe_shows_one_domain_and_says_whether_it_is_reachable() {
    let shown = |name: &str| {
        let mut body = String::new();
        write_one(&sample::snapshot(), &destination(name), Detail::Full, &mut body).unwrap();
        body
    };
    let body = shown("example.com");
    assert!(body.contains("\nprobe_success 1\n"), "{body}");
    // 12 ms of lookup and the silent banner: 60 s after 11 ms.
    assert!(body.contains("\nprobe_duration_seconds 60.023\n"), "{body}");
    assert!(!body.contains("192.0.2.99") && !body.contains("_lookups_total"), "{body}");
    assert!(shown("192.0.2.99:587").contains("\nprobe_success 0\n"));
    assert!(shown("null.example").contains("\nprobe_success 0\n"));

    let mut lost = sample::snapshot();
    let mut report = (*lost.destinations[&destination("example.com")]).clone();
    let round = Arc::make_mut(report.last.as_mut().unwrap());
    round.mx[0] = sample::mx_lookup("example.com", "local", Route::Unknown);
    lost.destinations.insert(destination("example.com"), Arc::new(report));
    let mut body = String::new();
    write_one(&lost, &destination("example.com"), Detail::Full, &mut body).unwrap();
    assert!(body.contains("mx_route{domain=\"example.com\""), "the last known route stays: {body}");
    assert!(body.contains("\nprobe_success 0\n"), "but nobody could deliver by it now: {body}");
}

/// One domain with more exchangers than are probed, each of which shows all it can in both
/// families, with every finding there is and the verdicts of the senders that are judged by default.
fn worst_case() -> Snapshot {
    let names: Vec<String> = (0..MAX_EXCHANGERS).map(|n| format!("mx{n}.example.com")).collect();
    let route: Vec<_> = names.iter().map(|n| (10, n.as_str())).collect();
    let mut mx = sample::mx_lookup("example.com", "local", sample::mx_route(&route));
    if let Route::Mx { targets, null_mixed, duplicate } = &mut mx.route {
        let exchanger = String::from("192.0.2.77").try_into().unwrap();
        targets.push(MxTarget { preference: 20, exchanger });
        (*null_mixed, *duplicate) = (true, true);
    }
    let hops = route.iter().map(|(preference, name)| (*preference, exchanger(name, 25))).collect();
    let round = sample::round(vec![mx], hops);
    let report = sample::destination_report(&[("team", "mail")], Some(round));
    let policies = sample::policies(StsMode::Enforce, &["*.example.net"]);
    let report = sample::with_policies(&report, policies);
    let delivered = || sample::verdict(Outcome::Deliver, Why::Ok, None, 0);
    let standings = builtin::DEFAULT.map(|sender| sample::standing(sender, delivered(), 0));
    let report = sample::judged(&report, standings.into());
    let exchangers = names.iter().map(|name| (exchanger(name, 25), worst_exchanger(name)));
    Snapshot {
        destinations: BTreeMap::from([(destination("example.com"), report)]),
        exchangers: exchangers.collect(),
        ..Snapshot::default()
    }
}

fn worst_exchanger(name: &str) -> Arc<ExchangerReport> {
    let all = [
        "x",
        "STARTTLS",
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
        "DSN",
        "AUTH",
        "REQUIRETLS",
        "SIZE 9",
    ];
    let (mut lookups, mut sessions) = (Vec::new(), Vec::new());
    // An answer without records, for that can be remarkable; what it is about is known from before.
    let stray = "192.0.2.9".parse().unwrap();
    let mut aaaa =
        sample::lookup(name, RecordType::Aaaa, "local", LookupStatus::Nxdomain, Vec::new());
    aaaa.exchanges[0].further.get_mut().stray_addresses = vec![stray];
    aaaa.exchanges[0].further.get_mut().cname_chain = vec![name.to_owned()];
    let mut addresses = Vec::new();
    for ips in
        [["192.0.2.1", "192.0.2.2", "192.0.2.3"], ["2001:db8::1", "2001:db8::2", "2001:db8::3"]]
    {
        addresses.extend(ips.map(|ip| ip.parse::<std::net::IpAddr>().unwrap()));
        let said = |s, code, lines: &[&str]| stage(s, 1, Some(reply(code, lines)), None);
        let up = vec![
            stage(Stage::Connect, 1, None, None),
            said(Stage::Banner, 220, &["x"]),
            said(Stage::Ehlo, 250, &all),
            said(Stage::Starttls, 220, &["x"]),
            stage(Stage::TlsHandshake, 1, None, None),
            said(Stage::EhloTls, 250, &all),
            said(Stage::Quit, 221, &["x"]),
        ];
        sessions.push(sample::encrypted(&session(ips[0], up.clone(), None)));
        let refused = Failure { stage: Stage::Ehlo, reason: Reason::Reply4xx };
        sessions.push(session(ips[1], up, Some(refused)));
        sessions.push(sample::silent(ips[2]));
    }
    let records = addresses[..3].iter().copied().map(Record::Address).collect();
    lookups.push(sample::lookup(name, RecordType::A, "local", LookupStatus::Noerror, records));
    lookups.push(aaaa);
    let report = sample::report(exchanger(name, 25), lookups, sessions);
    let report = sample::with_tlsa(&report, TlsaStatus::Secure, &[]);
    let mut report = ExchangerReport::clone(&report);
    let facts = report.facts.as_deref().unwrap().clone();
    let addresses = addresses.into();
    report.facts = Some(Arc::new(mxwatch::facts::ExchangerFacts { addresses, ..facts }));
    for family in Family::ALL {
        let counts = report.counts_mut(family);
        (counts.sessions, counts.replies) = (Tallies::default(), Tallies::default());
        let reasons = [Reason::Timeout, Reason::Refused, Reason::Reset];
        assert_eq!(reasons.len() + 1, MAX_ENDINGS, "with done");
        let failed = reasons.map(|reason| Ending::Fault(Failure { stage: Stage::Connect, reason }));
        for ending in failed.into_iter().chain([Ending::Done, Ending::Other]) {
            *counts.sessions.entry(ending) += 1;
        }
        for code in (220..).take(MAX_REPLIES) {
            *counts.replies.entry(Replied::Code(Stage::Banner, code)) += 1;
        }
        *counts.replies.entry(Replied::Other) += 1;
    }
    Arc::new(report)
}

#[test]
fn the_worst_case_stays_within_the_limits_of_cardinality() {
    let snapshot = worst_case();
    let families = 2 * snapshot.exchangers.len();
    for (detail, limit) in [(Detail::Full, 60), (Detail::Lean, 20)] {
        let body = text(&snapshot, detail);
        let of_domain = |l: &&str| l.contains("domain=\"") || l.contains("name=\"example.com\"");
        let domain = samples(&body).filter(of_domain).count();
        let findings = samples(&body).filter(|l| l.starts_with("mx_domain_finding")).count();
        assert_eq!(findings, 2, "however many there are");
        let exchangers = samples(&body).count() - domain;
        assert!(exchangers <= limit * families, "{exchangers} of {families}");
        assert!(exchangers > (limit - 10) * families, "the worst case is none: {exchangers}");
        let without = 2 * usize::from(detail == Detail::Lean);
        assert_eq!(domain, 40 - without, "per domain, two senders and one resolver included");
    }
}

#[test]
fn a_destination_is_overdue_after_three_of_its_intervals() {
    let snapshot = sample::snapshot();
    let report = &snapshot.destinations[&destination("example.com")];
    let ended = report.last.as_ref().unwrap().observed_at;
    assert_eq!(report.settings.interval, Duration::from_secs(60));
    assert!(!report.overdue(ended + Duration::from_secs(180)));
    assert!(report.overdue(ended + Duration::from_secs(181)));
    let unobserved = DestinationReport::unobserved(report.settings.clone());
    assert!(!unobserved.overdue(ended + Duration::from_secs(181)), "nothing is known of it");
}

#[test]
fn a_zone_whose_servers_are_all_wrong_stays_within_its_limits() {
    let mut snapshot = sample::snapshot();
    let domain = destination("null.example");
    let count = |snapshot: &Snapshot, detail| {
        let body = text(snapshot, detail);
        samples(&body).filter(|line| line.starts_with("mx_zone_")).count()
    };
    assert_eq!(count(&snapshot, Detail::Full), 1 + 1 + 1 + 2 + 2);
    let mut report = (*snapshot.destinations[&domain]).clone();
    let mut zone = sample::zone("null.example", &(1..=40).collect::<Vec<u32>>());
    for server in &mut zone.servers {
        (server.in_parent, server.in_child) = (Some(false), Some(false));
    }
    let last = Arc::make_mut(report.last.as_mut().unwrap());
    last.mx[1].lookup.zone = Some(Arc::new(zone));
    snapshot.destinations.insert(domain, Arc::new(report));
    assert_eq!(count(&snapshot, Detail::Full), 1 + 1 + 16 + 13 + 13);
    assert_eq!(count(&snapshot, Detail::Lean), 1 + 1 + 16);
}

/// Anything a snapshot can hold, labels that clash above all.
fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let host = prop_oneof![
        Just(exchanger("mx.example.com", 25).host),
        Just(exchanger("example.com", 25).host),
        Just(Host::Address("192.0.2.1".parse().unwrap())),
        // A stranger's MX target that spells the same address.
        Just(Host::Name(String::from("192.0.2.1").try_into().unwrap())),
    ];
    let mx = (host, prop_oneof![Just(25_u16), Just(26), Just(587)])
        .prop_map(|(host, port)| Exchanger { host, port });
    let status = prop_oneof![Just(LookupStatus::Noerror), Just(LookupStatus::Timeout)];
    let resolver = prop_oneof![Just("local"), Just("other\n\"\\")];
    let rtype = prop_oneof![Just(RecordType::A), Just(RecordType::Aaaa)];
    let name = prop_oneof![Just("mx.example.com"), Just("example.com"), Just("192.0.2.1")];
    let lookups = prop::collection::vec((name, rtype, resolver.clone(), status), 0..6);
    let lookups = lookups.prop_map(|all| {
        let record = || vec![Record::Address("192.0.2.7".parse().unwrap())];
        let made = all.into_iter().map(|(n, t, r, s)| sample::lookup(n, t, r, s, record()));
        made.collect::<Vec<Lookup>>()
    });
    let one = prop_oneof![
        Just(sample::healthy("192.0.2.1")),
        Just(sample::silent("2001:db8::1")),
        Just(sample::refusing("192.0.2.2"))
    ];
    let report = (lookups, prop::collection::vec(one, 0..5), any::<bool>(), 0_i64..3);
    let exchangers = prop::collection::btree_map(mx.clone(), report, 0..8).prop_map(|all| {
        let report = |(mx, (lookups, sessions, probed, second)): (Exchanger, (_, _, bool, i64))| {
            let mut report = ExchangerReport::clone(&sample::report(mx.clone(), lookups, sessions));
            let mut facts = report.facts.as_deref().unwrap().clone();
            facts.observed_at = at(second);
            report.facts = probed.then(|| Arc::new(facts));
            (mx, Arc::new(report))
        };
        all.into_iter().map(report).collect::<BTreeMap<_, _>>()
    });
    let domain = prop_oneof![
        Just(destination("example.com")),
        Just(destination("example.net")),
        Just(destination("192.0.2.1:25")),
    ];
    let route = prop_oneof![
        Just(Route::Null),
        Just(Route::Unknown),
        Just(sample::mx_route(&[
            (1, "mx.example.com"),
            (1, "mx.example.com"),
            (2, "mx.example.com")
        ])),
    ];
    let round = (
        prop::collection::vec((resolver, route), 0..3),
        prop::collection::vec((0_u16..3, mx), 0..6),
        prop::option::of("[a-z_\"\\\\-]{0,8}"),
    );
    let report = (round, prop::collection::vec(any_standing(), 0..4));
    let report = report.prop_map(|((mx, route, label), standings)| {
        let mx = mx.into_iter().map(|(r, route)| sample::mx_lookup("example.com", r, route));
        let labels: Vec<_> = label.iter().map(|l| (l.as_str(), l.as_str())).collect();
        let report = sample::destination_report(&labels, Some(sample::round(mx.collect(), route)));
        sample::judged(&report, standings)
    });
    let destinations = prop::collection::btree_map(domain, report, 0..3);
    (destinations, exchangers).prop_map(|(destinations, exchangers)| Snapshot {
        destinations,
        exchangers,
        ..sample::snapshot()
    })
}

/// A verdict under names that nobody would give on purpose.
fn any_standing() -> impl Strategy<Value = Standing> {
    let name = prop_oneof![Just("postfix"), Just("a\"} 1\nmx_route{x=\"\\")];
    let resolver = prop_oneof![Just("local"), Just("other\n\"\\"), Just("")];
    let outcome = prop::sample::select(&Outcome::ALL);
    let why = prop::sample::select(Why::ALL);
    (name, resolver, outcome, why).prop_map(|(name, resolver, outcome, why)| {
        let via = exchanger("mx.example.com", 26);
        let given = sample::verdict(outcome, why, Some(&via), 7);
        let sender = Arc::new(sample::sender("postfix").derive(name.into()));
        Standing::first(sender, resolver.into(), given, at(1))
    })
}

#[test]
fn a_verdict_that_is_not_known_is_no_number() {
    let mut snapshot = sample::snapshot();
    let domain = destination("example.com");
    let unknown = sample::verdict(Outcome::Unknown, Why::NotProbed, None, 0);
    let standing = sample::standing("postfix", unknown, 9);
    let report = sample::judged(&snapshot.destinations[&domain], vec![standing]);
    snapshot.destinations.insert(domain, report);
    let body = text(&snapshot, Detail::Full);
    let of_domain = |l: &&str| l.starts_with("mx_delivery") && l.contains("\"example.com\"");
    let labels = "domain=\"example.com\",sender=\"postfix\",resolver=\"local\"";
    let outcome = "outcome=\"unknown\",reason=\"not_probed\",mx=\"\"";
    let want = [
        format!("mx_delivery_outcome{{{labels},{outcome}}} 1"),
        format!("mx_delivery_outcome_since_timestamp_seconds{{{labels}}} 1700000009"),
    ];
    assert_eq!(samples(&body).filter(of_domain).collect::<Vec<_>>(), want);
}

/// The samples of one family in an exposition, without its name.
fn of_family<'a>(body: &'a str, name: &str) -> Vec<&'a str> {
    samples(body).filter_map(|line| line.strip_prefix(name)).collect()
}

#[test]
fn what_resolvers_tell_apart_is_a_finding_of_one_and_a_disagreement_of_all() {
    let body = text(&sample::snapshot(), Detail::Lean);
    let finding = "{mx=\"mx2.example.com\",resolver=\"local\",finding=\"aaaa_servfail_a_ok\"} 1";
    assert_eq!(of_family(&body, "mx_exchanger_finding"), [finding]);
    assert_eq!(
        of_family(&body, "mx_resolvers_agree"),
        [
            "{name=\"example.com\",type=\"MX\"} 1",
            "{name=\"mx2.example.com\",type=\"A\"} 1",
            "{name=\"mx2.example.com\",type=\"AAAA\"} 0",
            "{name=\"null.example\",type=\"MX\"} 1",
        ],
        "what only one was asked is not compared"
    );
}

#[test]
fn a_finding_about_a_target_goes_by_the_lookups_of_the_same_resolver() {
    let mut snapshot = sample::snapshot();
    let mx = exchanger("mx2.example.com", 25);
    let report = ExchangerReport::clone(&snapshot.exchangers[&mx]);
    let mut facts = report.facts.as_deref().unwrap().clone();
    Arc::make_mut(&mut facts.lookups)[2] =
        sample::lookup("mx2.example.com", RecordType::A, "public", LookupStatus::Nodata, vec![]);
    let facts = Some(Arc::new(facts));
    snapshot.exchangers.insert(mx.clone(), Arc::new(ExchangerReport { facts, ..report }));
    let found = |snapshot: &Snapshot| {
        let body = text(snapshot, Detail::Full);
        let of_domain = of_family(&body, "mx_domain_finding");
        let own = of_domain.into_iter().filter(|line| line.contains("\"example.com\""));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    let want = "{domain=\"example.com\",resolver=\"public\",finding=\"no_address_target\"} 1";
    assert_eq!(found(&snapshot), [want]);
    // The same host as a smart host, at another port, is no target.
    let report = snapshot.exchangers.remove(&mx).unwrap();
    snapshot.exchangers.insert(exchanger("mx2.example.com", 587), report);
    assert_eq!(found(&snapshot), [] as [&str; 0]);
}

#[test]
fn an_exchanger_that_the_policy_does_not_list_is_a_finding_by_every_resolver() {
    let mut snapshot = sample::snapshot();
    let domain = destination("example.com");
    for (mode, mx, found) in [
        (StsMode::Enforce, "*.example.com", 0),
        (StsMode::Enforce, "mx1.example.com", 2),
        (StsMode::Testing, "mx1.example.com", 2),
        (StsMode::None, "mx1.example.com", 0),
    ] {
        let policies = sample::policies(mode, &[mx]);
        let report = sample::with_policies(&snapshot.destinations[&domain], policies);
        snapshot.destinations.insert(domain.clone(), report);
        let body = text(&snapshot, Detail::Lean);
        let findings = of_family(&body, "mx_domain_finding").into_iter();
        let unlisted = findings.filter(|line| line.contains("finding=\"unlisted_target\"} 1"));
        assert_eq!(unlisted.count(), found, "{mode:?} {mx}");
        let info = format!(
            "{{domain=\"example.com\",mta_sts=\"fetch_timeout\",mode=\"{}\",tls_rpt=\"valid\"}} 1",
            mode.label()
        );
        assert_eq!(of_family(&body, "mx_domain_policy_info"), [info]);
    }
}

#[test]
fn what_dnssec_proves_is_told_of_answers_at_full_detail() {
    let mut snapshot = sample::snapshot();
    let mx = exchanger("mx2.example.com", 25);
    let report = ExchangerReport::clone(&snapshot.exchangers[&mx]);
    let mut facts = report.facts.as_deref().unwrap().clone();
    Arc::make_mut(&mut facts.lookups)[0].exchanges[0].authentic_data = true;
    let facts = Some(Arc::new(facts));
    snapshot.exchangers.insert(mx, Arc::new(ExchangerReport { facts, ..report }));
    let shown = |detail| {
        let body = text(&snapshot, detail);
        let all = of_family(&body, "mx_dns_lookup_authentic_data");
        let own = all.into_iter().filter(|line| line.contains("mx2"));
        own.map(|line| line.replace("name=\"mx2.example.com\",", "")).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(Detail::Full),
        [
            "{type=\"A\",resolver=\"local\"} 1",
            "{type=\"A\",resolver=\"public\"} 0",
            "{type=\"AAAA\",resolver=\"public\"} 0"
        ],
        "one lookup failed"
    );
    assert_eq!(shown(Detail::Lean), [] as [&str; 0]);
}

proptest! {
    #[test]
    fn no_sample_comes_twice_and_no_family_in_two_pieces(snapshot in any_snapshot(), full: bool) {
        let detail = if full { Detail::Full } else { Detail::Lean };
        let body = text(&snapshot, detail);
        let mut seen = BTreeSet::new();
        for line in samples(&body) {
            prop_assert!(seen.insert(series(line)), "{} comes twice in\n{}", line, body);
            prop_assert!(line.starts_with("mx_") && !line.starts_with("mx_route{x="), "{}", line);
        }
        let mut families = BTreeSet::new();
        for line in body.lines().filter(|line| line.starts_with("# TYPE")) {
            prop_assert!(families.insert(line), "{} comes twice", line);
        }
    }
}

#[test]
fn what_this_host_cannot_try_does_not_make_an_exchanger_down() {
    let no_route = Failure { stage: Stage::Connect, reason: Reason::NoLocalFamily };
    let reason = Some(no_route.reason);
    let untried = sample::session(
        "2001:db8::1",
        vec![stage(Stage::Connect, 0, None, reason)],
        Some(no_route),
    );
    let host = exchanger("mx1.example.com", 25);
    let sessions = vec![sample::healthy("192.0.2.1"), untried];
    let mut snapshot = Snapshot { mx_port: 25, ..Snapshot::default() };
    snapshot.exchangers.insert(host.clone(), sample::report(host, Vec::new(), sessions));
    let body = text(&snapshot, Detail::Full);
    assert!(body.contains("mx_exchanger_up{mx=\"mx1.example.com\",family=\"ipv4\"} 1\n"), "{body}");
    assert!(!body.contains("mx_exchanger_up{mx=\"mx1.example.com\",family=\"ipv6\"}"), "{body}");
    assert!(body.contains("stage=\"connect\",reason=\"no_local_family\"} 1\n"), "{body}");
}
