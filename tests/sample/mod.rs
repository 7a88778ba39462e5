//! A fixed picture of a small mail world: what the tests of exposition and pages show.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use mxwatch::{
    agent::{
        family_counts::{Ending, Replied},
        health::ResolverReport,
        standing::Standing,
        state::{
            DestinationReport, DestinationRound, ExchangerReport, LookupCounts, LookupKey, Snapshot,
        },
    },
    config::{DestinationSettings, Dns, PolicySettings, Resolver, SessionSettings},
    delivery::{Confidence, Outcome, Possible, Sender, Verdict, Via, Why, builtin},
    envelope::{Mailbox, ReversePath},
    facts::{
        Certificate, DomainPolicies, Exchange, ExchangerFacts, Failure, Family, FamilyVantage,
        Lookup, LookupStatus, MtaSts, MxLookup, MxTarget, NameServer, Pkix, Reason, Record,
        RecordType, Reply, ResolverFacts, Route, ServerFacts, Session, Stage, StageFact, StsMode,
        StsPolicy, StsStatus, Tls, TlsRpt, TlsRptStatus, TlsVersion, TlsaFacts, TlsaRecord,
        TlsaStatus, Transaction, Transport, Vantage, Way, Zone,
    },
    name::{Destination, Exchanger, ExchangerName, Host},
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn destination(text: &str) -> Destination {
    Destination::parse(text).unwrap()
}

pub(crate) fn exchanger(name: &str, port: u16) -> Exchanger {
    Exchanger { host: Host::Name(ExchangerName::parse(name).unwrap()), port }
}

pub(crate) fn settings(labels: &[(&str, &str)]) -> Arc<DestinationSettings> {
    Arc::new(DestinationSettings {
        interval: Duration::from_secs(60),
        session: SessionSettings {
            families: Family::ALL.to_vec(),
            addresses_per_family: 2,
            connect_timeout: Duration::from_secs(30),
            banner_timeout: Duration::from_secs(60),
            command_timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(120),
            ..SessionSettings::default()
        },
        policy: PolicySettings::default(),
        resolvers: Arc::default(),
        mail_from: ReversePath::Null,
        recipient: None,
        relay_recipient: None,
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    })
}

pub(crate) fn lookup(
    name: &str,
    rtype: RecordType,
    resolver: &str,
    status: LookupStatus,
    records: Vec<Record>,
) -> Lookup {
    let server = "127.0.0.1:53".parse().unwrap();
    let exchange = Exchange {
        duration: millis(12).into(),
        ttl: status.answered().then_some(300),
        ..Exchange::empty(server, Transport::Udp, status).with_records(records)
    };
    Lookup::new(resolver.into(), rtype, name.into(), vec![exchange])
}

/// A zone with one server for each serial.
pub(crate) fn zone(name: &str, serials: &[u32]) -> Zone {
    let server = |(n, serial): (usize, &u32)| {
        let at: IpAddr = [192, 0, 2, u8::try_from(n).unwrap()].into();
        let empty = Exchange::empty((at, 53).into(), Transport::Udp, LookupStatus::Noerror);
        let records = [Record::Serial(*serial)];
        NameServer {
            name: format!("ns{n}.{name}").into(),
            in_parent: Some(true),
            in_child: Some(true),
            addresses: vec![at],
            no_route: Vec::new(),
            missing: None,
            soa: vec![Exchange { duration: millis(12).into(), ..empty.with_records(records) }],
        }
    };
    let servers = serials.iter().enumerate().map(server).collect();
    Zone { name: name.into(), asked_at: at(5), walk: Vec::new(), servers }
}

/// The lookup a route would have come from.
pub(crate) fn mx_lookup(domain: &str, resolver: &str, route: Route) -> MxLookup {
    let record =
        |t: MxTarget| Record::Mx { preference: t.preference, exchanger: Some(t.exchanger) };
    let records: Vec<_> = match &route {
        Route::Mx { targets, .. } => targets.iter().cloned().map(record).collect(),
        Route::Null => vec![Record::Mx { preference: 0, exchanger: None }],
        _ => Vec::new(),
    };
    let status = match &route {
        Route::Unknown => LookupStatus::Servfail,
        Route::NoDomain => LookupStatus::Nxdomain,
        Route::Implicit { .. } => LookupStatus::Nodata,
        _ => LookupStatus::Noerror,
    };
    MxLookup { lookup: lookup(domain, RecordType::Mx, resolver, status, records), route }
}

pub(crate) fn mx_route(targets: &[(u16, &str)]) -> Route {
    let target = |&(preference, name): &(u16, &str)| MxTarget {
        preference,
        exchanger: ExchangerName::parse(name).unwrap(),
    };
    Route::Mx { targets: targets.iter().map(target).collect(), null_mixed: false, duplicate: false }
}

pub(crate) fn reply(code: u16, lines: &[&str]) -> Reply {
    Reply { code, enhanced: None, lines: lines.iter().collect() }
}

pub(crate) fn stage(
    stage: Stage,
    ms: u64,
    reply: Option<Reply>,
    reason: Option<Reason>,
) -> StageFact {
    StageFact { stage, duration: millis(ms).into(), heard: reply.into(), reason }
}

pub(crate) fn session(
    address: &str,
    stages: Vec<StageFact>,
    failure: Option<Failure>,
) -> Arc<Session> {
    let ip: IpAddr = address.parse().unwrap();
    Arc::new(Session {
        peer: (ip, 25).into(),
        source: None,
        started_at: at(0),
        duration: stages.iter().map(|s| s.duration.get()).sum::<Duration>().into(),
        helo_name: "probe.example.org".into(),
        stages: stages.into(),
        failure,
        tls: None,
        auth_mechanism: None,
        transactions: Box::default(),
    })
}

/// A recipient, and one of a relay test.
fn asking(settings: &DestinationSettings) -> DestinationSettings {
    let mailbox = |text| Some(Mailbox::parse(text).unwrap());
    DestinationSettings {
        recipient: mailbox("probe@example.com"),
        relay_recipient: mailbox("relay-test@example.net"),
        ..settings.clone()
    }
}

/// The same session with what the server said to those, and to what another destination asked.
fn asked(session: &Session) -> Arc<Session> {
    let own = asking(&settings(&[]));
    let others = Mailbox::parse("probe@example.org").ok();
    let others = DestinationSettings { recipient: others, relay_recipient: None, ..own.clone() };
    let refusals = [reply(450, &["Greylisted"]), reply(554, &["Relay access denied"])];
    let said = own.envelopes().zip(refusals).map(|(envelope, refusal)| {
        let mail = stage(Stage::Mail, 3, Some(reply(250, &["Ok"])), None);
        let reason = Reason::of_refusal(&refusal);
        Transaction::new(envelope, vec![mail, stage(Stage::Rcpt, 5, Some(refusal), Some(reason))])
    });
    let others = others.envelopes().map(|envelope| {
        let taken = |at| stage(at, 3, Some(reply(250, &["Ok"])), None);
        Transaction::new(envelope, vec![taken(Stage::Mail), taken(Stage::Rcpt)])
    });
    let transactions = said.chain(others).collect();
    Arc::new(Session { transactions, ..session.clone() })
}

/// The same session with what a TLS handshake showed in it.
pub(crate) fn encrypted(session: &Session) -> Arc<Session> {
    let certificate = |subject: &str, issuer: &str, not_after| Certificate {
        subject: subject.into(),
        issuer: issuer.into(),
        names: vec!["mx1.example.com".into()],
        serial: "0a1b".into(),
        not_before: Some(at(-1_000_000)),
        not_after: Some(at(not_after)),
        key: "EC P-256".into(),
        signature: "ecdsa-with-SHA256".into(),
        sha256: "00".repeat(32),
        spki_sha256: "11".repeat(32),
    };
    let tls = Tls {
        server_name: Some("mx1.example.com".into()),
        version: Some(TlsVersion::Tls13),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        key_exchange: Some("X25519".into()),
        pkix: Pkix::NameMismatch,
        dane: None,
        chain: [
            certificate("CN=mx1.example.com", "CN=Example CA", 2_000_000),
            certificate("CN=Example CA", "CN=Example Root", 90_000_000),
        ]
        .into(),
    };
    Arc::new(Session { tls: Some(Box::new(tls)), ..session.clone() })
}

pub(crate) fn healthy(address: &str) -> Arc<Session> {
    let ehlo = ["mx1.example.com greets you", "PIPELINING", "SIZE 10240000", "STARTTLS"];
    let stages = vec![
        stage(Stage::Connect, 8, None, None),
        stage(Stage::Banner, 25, Some(reply(220, &["mx1.example.com ESMTP"])), None),
        stage(Stage::Ehlo, 9, Some(reply(250, &ehlo)), None),
        stage(Stage::Starttls, 6, Some(reply(220, &["go ahead"])), None),
        stage(Stage::TlsHandshake, 21, None, None),
        stage(Stage::EhloTls, 8, Some(reply(250, &ehlo[..3])), None),
        stage(Stage::Quit, 7, Some(reply(221, &["bye"])), None),
    ];
    encrypted(&session(address, stages, None))
}

pub(crate) fn silent(address: &str) -> Arc<Session> {
    session(
        address,
        vec![
            stage(Stage::Connect, 11, None, None),
            stage(Stage::Banner, 60_000, None, Some(Reason::Timeout)),
        ],
        Some(Failure { stage: Stage::Banner, reason: Reason::Timeout }),
    )
}

pub(crate) fn refusing(address: &str) -> Arc<Session> {
    let text = "no <b>thanks</b> & \"goodbye\"";
    session(
        address,
        vec![
            stage(Stage::Connect, 5, None, None),
            stage(Stage::Banner, 6, Some(reply(554, &[text])), Some(Reason::Reply5xx)),
        ],
        Some(Failure { stage: Stage::Banner, reason: Reason::Reply5xx }),
    )
}

/// An exchanger after its first round, with what was counted in it.
pub(crate) fn report(
    exchanger: Exchanger,
    lookups: Vec<Lookup>,
    sessions: Vec<Arc<Session>>,
) -> Arc<ExchangerReport> {
    let mut addresses: Vec<IpAddr> = lookups.iter().flat_map(Lookup::addresses).collect();
    if lookups.is_empty() {
        addresses = sessions.iter().map(|s| s.peer.ip()).collect();
    }
    addresses.sort_unstable();
    addresses.dedup();
    let mut report = ExchangerReport::default();
    for session in &sessions {
        let counts = report.counts_mut(session.family());
        let end = session.failure.map_or(Ending::Done, Ending::Fault);
        *counts.sessions.entry(end) += 1;
        for fact in &session.stages {
            if let Some(reply) = fact.reply() {
                *counts.replies.entry(Replied::Code(fact.stage, reply.code)) += 1;
            }
            match fact.stage {
                Stage::Connect => counts.connect.observe(fact.duration.get()),
                Stage::Banner if fact.reply().is_some() => {
                    counts.banner.observe(fact.duration.get());
                }
                _ => {}
            }
        }
    }
    let facts = ExchangerFacts {
        lookups: lookups.into(),
        addresses: addresses.into(),
        sessions: sessions.into(),
        ..ExchangerFacts::unobserved(exchanger, at(30))
    };
    report.completed_at = Some(facts.observed_at);
    report.facts = Some(Arc::new(facts));
    Arc::new(report)
}

/// The same with TLSA records as `local` gives them.
pub(crate) fn with_tlsa(
    report: &Arc<ExchangerReport>,
    status: TlsaStatus,
    records: &[&str],
) -> Arc<ExchangerReport> {
    let mut report = ExchangerReport::clone(report);
    let facts = Arc::make_mut(report.facts.as_mut().unwrap());
    let Host::Name(base) = facts.exchanger.host.clone() else { panic!("{facts:?}") };
    let records = records.iter().map(|text| TlsaRecord::parse(text).unwrap()).collect();
    let (resolver, lookups) = ("local".into(), Vec::new());
    let tlsa = Arc::new(TlsaFacts { resolver, status, base, records, lookups });
    facts.tlsa = facts.tlsa.iter().cloned().chain([tlsa]).collect();
    Arc::new(report)
}

pub(crate) fn round(mx: Vec<MxLookup>, route: Vec<(u16, Exchanger)>) -> DestinationRound {
    let (also, chosen) = (Vec::new(), Vec::new());
    DestinationRound { observed_at: at(10), mx, route, also, chosen }
}

pub(crate) fn destination_report(
    labels: &[(&str, &str)],
    last: Option<DestinationRound>,
) -> Arc<DestinationReport> {
    let (last, standings) = (last.map(Arc::new), Arc::default());
    Arc::new(DestinationReport { settings: settings(labels), last, standings, policies: None })
}

/// The policies of a domain whose policy host hangs, while one that names these exchangers holds.
pub(crate) fn policies(mode: StsMode, mx: &[&str]) -> Arc<DomainPolicies> {
    let detail = "192.0.2.80:443 does not answer completely in time".to_owned();
    let policy = StsPolicy {
        id: "20231114".into(),
        max_age_seconds: 604_800,
        fetched_at: at(0),
        expires_at: at(604_800),
        cached: true,
    };
    let mta_sts = MtaSts {
        mode,
        mx: mx.iter().map(|&pattern| pattern.to_owned()).collect(),
        id: Some("20231114".into()),
        policy: Some(policy),
        ..MtaSts::without_policy(StsStatus::FetchTimeout, Some(detail))
    };
    let rua = vec!["mailto:tls@example.com".to_owned()];
    let tls_rpt = TlsRpt { status: TlsRptStatus::Valid, detail: None, rua };
    Arc::new(DomainPolicies { mta_sts, tls_rpt })
}

/// The same destination with these policies.
pub(crate) fn with_policies(
    report: &Arc<DestinationReport>,
    policies: Arc<DomainPolicies>,
) -> Arc<DestinationReport> {
    let report = DestinationReport::clone(report);
    Arc::new(DestinationReport { policies: Some(policies), ..report })
}

/// A built-in sender.
pub(crate) fn sender(name: &str) -> Arc<Sender> {
    Arc::new(builtin::get(name).unwrap().clone())
}

pub(crate) fn verdict(outcome: Outcome, why: Why, via: Option<&Exchanger>, wait: u64) -> Verdict {
    let wait = Duration::from_secs(wait);
    let via = via.map(|mx| Via { exchanger: mx.clone(), family: Some(Family::Ipv4) });
    Verdict {
        outcome,
        why,
        via: via.clone(),
        at: via.clone(),
        wait_best: wait,
        wait_worst: wait,
        usable_exchangers: usize::from(outcome == Outcome::Deliver),
        confidence: Confidence::High,
        censored: false,
        cut_short: false,
        delivered_after: None,
        possible: vec![Possible { outcome, why, via, wait }],
    }
}

/// A verdict by the answers of `local`, given at this second.
pub(crate) fn standing(name: &str, verdict: Verdict, second: i64) -> Standing {
    Standing::first(sender(name), "local".into(), verdict, at(second))
}

/// The same destination with these verdicts.
pub(crate) fn judged(
    report: &Arc<DestinationReport>,
    standings: Vec<Standing>,
) -> Arc<DestinationReport> {
    let report = DestinationReport::clone(report);
    Arc::new(DestinationReport { standings: standings.into(), ..report })
}

/// Postfix delivers through the first exchanger, once it has waited for IPv6; Exchange holds the
/// message because of the AAAA lookup of the second, after it had delivered before.
fn domain_standings(first: &Exchanger, second: &Exchanger) -> Vec<Standing> {
    let delivered = |wait| verdict(Outcome::Deliver, Why::Ok, Some(first), wait);
    let mut slow = delivered(300);
    slow.wait_best = Duration::ZERO;
    let quick = Possible { wait: Duration::ZERO, ..slow.possible[0].clone() };
    slow.possible.push(quick);
    let mut held = verdict(Outcome::Defer, Why::HostDnsTemp, Some(second), 0);
    held.censored = true;
    let exchange = standing("exchange-2010", delivered(0), 5);
    let exchange = exchange.next(sender("exchange-2010"), held, at(30));
    vec![standing("postfix", slow, 30), exchange]
}

fn addresses(of: &[&str]) -> Vec<Record> {
    of.iter().map(|a| Record::Address(a.parse().unwrap())).collect()
}

/// A resolver whose servers answered its last control query like this; down when none responded.
fn resolver(name: &str, servers: &[(&str, LookupStatus)]) -> Arc<ResolverReport> {
    let server = |&(ip, status): &(&str, LookupStatus)| ServerFacts {
        server: (ip.parse::<IpAddr>().unwrap(), 53).into(),
        control: lookup(".", RecordType::Ns, name, status, vec![]),
    };
    let facts = ResolverFacts {
        resolver: name.into(),
        of: name.into(),
        observed_at: at(20),
        servers: servers.iter().map(server).collect(),
    };
    let config = Resolver::of_servers(name, Vec::new(), Dns::default());
    let unknown = ResolverReport::new(&config.kind, name == "local");
    Arc::new(unknown.next(facts.clone()).next(facts))
}

/// In IPv4 the address leads elsewhere, in IPv6 receivers see another one.
fn vantage() -> Vantage {
    let [ipv4, ipv6] = Family::ALL.map(FamilyVantage::unknown);
    let own = "198.51.100.1".parse().ok();
    let ipv4 = FamilyVantage {
        way: Way::Open,
        source: own,
        seen_as: own,
        forward: Some(true),
        reverse: Some(false),
        confirmed: Some(true),
        ..ipv4
    };
    let ipv6 = FamilyVantage { way: Way::Open, source: "fd00::1".parse().ok(), ..ipv6 };
    let (helo_name, observed_at) = ("probe.example.org".into(), at(20));
    Vantage { helo_name, observed_at, families: [ipv4, ipv6] }
}

/// One domain whose first exchanger is silent on IPv6 and has TLSA records of no use, and whose second fails its AAAA lookup, but not
/// through another resolver, one domain that takes no mail, one smart host that refuses us, one not
/// probed yet.
pub(crate) fn snapshot() -> Snapshot {
    use LookupStatus::{Nodata, Noerror, Servfail, Timeout};
    use RecordType::{A, Aaaa};
    let (mx1, mx2) = (exchanger("mx1.example.com", 25), exchanger("mx2.example.com", 25));
    let relay = Exchanger { host: Host::Address("192.0.2.99".parse().unwrap()), port: 587 };
    let route = mx_route(&[(10, "mx1.example.com"), (20, "mx2.example.com")]);
    let domain = round(
        vec![
            mx_lookup("example.com", "local", route.clone()),
            mx_lookup("example.com", "public", route),
        ],
        vec![(10, mx1.clone()), (20, mx2.clone())],
    );
    let mut at_servers = mx_lookup("null.example", "authoritative", Route::Null);
    at_servers.lookup.zone = Some(Arc::new(zone("null.example", &[7, 5])));
    let null = round(vec![mx_lookup("null.example", "local", Route::Null), at_servers], vec![]);
    let first = report(
        mx1.clone(),
        vec![
            lookup("mx1.example.com", A, "local", Noerror, addresses(&["192.0.2.1", "192.0.2.2"])),
            lookup("mx1.example.com", Aaaa, "local", Noerror, addresses(&["2001:db8::1"])),
        ],
        vec![healthy("192.0.2.1"), refusing("192.0.2.2"), silent("2001:db8::1")],
    );
    let first = with_tlsa(&first, TlsaStatus::Unusable, &["0 0 1 ab", "1 1 1 cd"]);
    let second = report(
        mx2.clone(),
        vec![
            lookup("mx2.example.com", A, "local", Noerror, addresses(&["198.51.100.2"])),
            lookup("mx2.example.com", Aaaa, "local", Servfail, vec![]),
            lookup("mx2.example.com", A, "public", Noerror, addresses(&["198.51.100.2"])),
            lookup("mx2.example.com", Aaaa, "public", Nodata, vec![]),
        ],
        vec![asked(&healthy("198.51.100.2"))],
    );
    let mut third =
        ExchangerReport::clone(&report(relay.clone(), vec![], vec![refusing("192.0.2.99")]));
    third.counts_mut(Family::Ipv4).backoff = Duration::from_secs(240).into();
    let by_status = BTreeMap::from([(Noerror, 3), (Nodata, 1), (Servfail, 1)]);
    let mut counts = LookupCounts { by_status, ..LookupCounts::default() };
    counts.duration.observe(millis(12));
    let key = LookupKey { rtype: Aaaa, resolver: "local".into() };
    let refused = verdict(Outcome::Bounce, Why::Banner5xx, Some(&relay), 1);
    let null_mx = |outcome| verdict(outcome, Why::MxNull, None, 0);
    let domain = destination_report(&[("team", "a\\b \"mail\"")], Some(domain));
    let domain = with_policies(&domain, policies(StsMode::Enforce, &["*.example.com"]));
    let mut domain = DestinationReport::clone(&domain);
    domain.settings = Arc::new(asking(&domain.settings));
    let domain = Arc::new(domain);
    let null = destination_report(&[], Some(null));
    let smart_host = destination_report(&[], Some(round(vec![], vec![(0, relay.clone())])));
    let mut by_address = standing("postfix", refused, 30);
    by_address.resolver = "".into();
    Snapshot {
        destinations: BTreeMap::from([
            (destination("example.com"), judged(&domain, domain_standings(&mx1, &mx2))),
            (
                destination("null.example"),
                judged(&null, vec![standing("postfix", null_mx(Outcome::Bounce), 10)]),
            ),
            (destination("192.0.2.99:587"), judged(&smart_host, vec![by_address])),
            (destination("new.example"), destination_report(&[], None)),
        ]),
        exchangers: BTreeMap::from([(mx1, first), (mx2, second), (relay, Arc::new(third))]),
        resolvers: BTreeMap::from([
            ("backup".into(), resolver("backup", &[("192.0.2.54", Timeout)])),
            ("local".into(), resolver("local", &[("192.0.2.53", Noerror), ("::1", Timeout)])),
        ]),
        vantage: Some(Arc::new(vantage())),
        lookups: Arc::new(BTreeMap::from([(key, counts)])),
        mx_port: 25,
        terms: Arc::default(),
    }
}
