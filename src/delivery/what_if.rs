//! Facts in shorthand, for questions such as "what if the first exchanger went silent?": what is not
//! said is healthy.
//!
//! ```json
//! {"domain": "example.com",
//!  "mx": [[10, "mx1.example.com"], [20, "mx2.example.com"]],
//!  "hosts": {"mx1.example.com": {"a": ["192.0.2.1"], "aaaa": "servfail"},
//!            "mx2.example.com": {"a": ["192.0.2.2"]}},
//!  "ips": {"192.0.2.2": {"banner": "none"}}}
//! ```
//!
//! It becomes the same [`Facts`] that a probe writes, so there is one way to judge.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hickory_resolver::proto::rr::Name;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    facts::{
        Exchange, ExchangerFacts, Facts, Failure, Heard, Lookup, LookupStatus, MtaSts, MxLookup,
        MxTarget, OwnHost, Pkix, Reason, Record, RecordType, Reply, Route, Session, Stage,
        StageFact, StsMode, StsStatus, Tls, TlsaFacts, TlsaRecord, TlsaStatus, Transport,
    },
    name::{Destination, Domain, Exchanger, ExchangerName, Host},
};

/// The resolver that such facts are said to come from.
pub const RESOLVER: &str = "what-if";

/// The shorthand of [`Facts`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatIf {
    domain: Domain,
    mx: Mx,
    #[serde(default)]
    hosts: BTreeMap<String, HostEntry>,
    #[serde(default)]
    ips: BTreeMap<IpAddr, Server>,
    /// The mode of the MTA-STS policy.
    #[serde(default)]
    sts: Option<StsMode>,
    #[serde(default)]
    sts_patterns: Vec<String>,
    /// The name of the sending host, where that is an exchanger itself.
    #[serde(default)]
    self_host: Option<String>,
    #[serde(default)]
    self_addresses: Vec<IpAddr>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "mx: expected a list of [preference, \"host\"], or one of the texts null, nodata, \
                 nxdomain, servfail, refused, notimp, formerr, timeout, bogus, malformed, network_error"
)]
enum Mx {
    Records(Vec<(u16, String)>),
    Status(MxStatus),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MxStatus {
    #[serde(alias = "nullmx")]
    Null,
    #[serde(untagged)]
    Failed(Status),
}

/// A lookup without records.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Bogus,
    Formerr,
    #[serde(alias = "other")]
    Malformed,
    NetworkError,
    Nodata,
    Notimp,
    Nxdomain,
    Refused,
    Servfail,
    Timeout,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostEntry {
    #[serde(default = "nodata")]
    a: Addresses,
    #[serde(default = "nodata")]
    aaaa: Addresses,
    #[serde(default)]
    tlsa: Option<TlsaStatus>,
    /// The answers are proved by DNSSEC.
    #[serde(default)]
    addr_secure: bool,
    /// The name is an alias.
    #[serde(default)]
    is_cname: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a or aaaa: expected a list of addresses, or one of the texts nodata, \
                 nxdomain, servfail, refused, notimp, formerr, timeout, bogus, malformed, network_error"
)]
enum Addresses {
    Some(Vec<IpAddr>),
    None(Status),
}

const fn nodata() -> Addresses {
    Addresses::None(Status::Nodata)
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Server {
    tcp: Tcp,
    banner: Option<Banner>,
    /// Seconds until the banner comes.
    banner_delay_s: f64,
    /// Seconds that were waited for it in vain.
    banner_waited_s: Option<f64>,
    ehlo: Option<Said>,
    helo: Option<Said>,
    starttls: Option<Starttls>,
    mail: Option<Said>,
    rcpt: Option<Said>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Tcp {
    #[default]
    Ok,
    Refused,
    Reset,
    Timeout,
    #[serde(alias = "unreach")]
    Unreachable,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(
    untagged,
    expecting = "banner: expected a reply code, or \"none\", \"closed\" or \"reset\""
)]
enum Banner {
    Code(u16),
    Word(NoBanner),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum NoBanner {
    Closed,
    None,
    Reset,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(
    untagged,
    expecting = "ehlo, helo, mail or rcpt: expected a reply code, or \"lost\", \"timeout\" or \
                 \"not_tested\""
)]
enum Said {
    Code(u16),
    Word(NoReply),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum NoReply {
    #[serde(alias = "closed", alias = "reset")]
    Lost,
    #[serde(alias = "nottested")]
    NotTested,
    #[serde(alias = "none")]
    Timeout,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(
    untagged,
    expecting = "starttls: expected \"absent\", or any of code, hs (ok, fail, timeout), pkix_ok and dane_ok"
)]
enum Starttls {
    Word(NoStarttls),
    Tried(Tried),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum NoStarttls {
    Absent,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Tried {
    code: u16,
    hs: Handshake,
    dane_ok: bool,
    pkix_ok: bool,
}

impl Default for Tried {
    fn default() -> Self {
        Self { code: 220, hs: Handshake::Ok, dane_ok: true, pkix_ok: true }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Handshake {
    Fail,
    #[default]
    Ok,
    Timeout,
}

/// Longer than any sender waits: what did not come by then does not come.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);
const PORT: u16 = 25;

impl WhatIf {
    /// What somebody who wrote it by hand has most likely got wrong, although it can be judged.
    pub fn slip(&self) -> Option<String> {
        let own = self.domain.implicit_exchanger();
        let no_mx = match &self.mx {
            Mx::Records(records) => records.is_empty(),
            Mx::Status(status) => matches!(status, MxStatus::Failed(Status::Nodata)),
        };
        let is_own =
            |host: &String| *host.trim_end_matches('.').to_ascii_lowercase() == *own.as_str();
        if no_mx && !self.hosts.keys().any(is_own) {
            return Some(format!(
                "hosts does not say what {own} is, which without MX takes the mail"
            ));
        }
        None
    }

    /// An address that does something and belongs to no host: a slip of the pen, or left over from
    /// another question.
    pub fn stray(&self) -> Option<IpAddr> {
        let mut addresses = BTreeSet::new();
        for entry in self.hosts.values() {
            for answer in [&entry.a, &entry.aaaa] {
                if let Addresses::Some(some) = answer {
                    addresses.extend(some);
                }
            }
        }
        if let Mx::Records(records) = &self.mx {
            addresses.extend(records.iter().filter_map(|(_, host)| host.parse::<IpAddr>().ok()));
        }
        let healthy = Server::default();
        let stray =
            self.ips.iter().find(|(ip, server)| !addresses.contains(*ip) && **server != healthy);
        stray.map(|(address, _)| *address)
    }

    /// The facts it stands for. The error says what is missing or no name.
    pub fn facts(&self) -> Result<Facts, String> {
        let name = |text: &str| {
            ExchangerName::try_from(text.trim_end_matches('.').to_ascii_lowercase())
                .map_err(|error| format!("{text}: {error}"))
        };
        let mut names = BTreeMap::new();
        for (text, entry) in &self.hosts {
            names.insert(name(text)?, entry);
        }
        for (address, server) in &self.ips {
            server.check().map_err(|reason| format!("ips: {address}: {reason}"))?;
        }
        let mut targets = Vec::new();
        let mut nulls = 0;
        if let Mx::Records(records) = &self.mx {
            for (preference, target) in records {
                if target == "." {
                    nulls += 1;
                    continue;
                }
                let exchanger = target_name(target).map_or_else(|| name(target), Ok)?;
                let described = names.contains_key(&exchanger) || exchanger.spells_address();
                if !described {
                    return Err(format!("hosts does not say what {target} is"));
                }
                targets.push(MxTarget { preference: *preference, exchanger });
            }
        }
        targets.sort();
        let (status, route) = self.route(targets, nulls);
        let answers = u16::from(status == LookupStatus::Noerror);
        let exchange = Exchange { answers, ..imagined(status) };
        let lookup = lookup(RecordType::Mx, self.domain.as_str(), exchange);
        let mut listed: Vec<ExchangerName> =
            route.targets().iter().map(|target| target.exchanger.clone()).collect();
        listed.extend(names.keys().cloned());
        let mut exchangers: Vec<Arc<ExchangerFacts>> = Vec::new();
        for listed in listed {
            let exchanger = Exchanger { host: Host::Name(listed.clone()), port: PORT };
            if !exchangers.iter().any(|known| known.exchanger == exchanger) {
                let entry = names.get(&listed).copied();
                exchangers.push(Arc::new(self.exchanger(exchanger, &listed, entry)));
            }
        }
        let own_names = self.self_host.iter().map(|own| name(own)).collect::<Result<_, _>>()?;
        let own = OwnHost { names: own_names, addresses: self.self_addresses.clone() };
        let (status, mode) = match self.sts {
            Some(mode) => (StsStatus::Valid, mode),
            None => (StsStatus::Absent, StsMode::None),
        };
        let mx = self.sts_patterns.clone();
        let mta_sts = MtaSts { mode, mx, ..MtaSts::without_policy(status, None) };
        let destination = Destination::Domain(self.domain.clone());
        let mx = vec![MxLookup { lookup, route }];
        Ok(Facts {
            mta_sts: Some(mta_sts),
            own_host: Some(own),
            answers_in_order: true,
            ..Facts::observed(destination, Timestamp::UNIX_EPOCH, mx, exchangers)
        })
    }

    fn route(&self, targets: Vec<MxTarget>, nulls: usize) -> (LookupStatus, Route) {
        let implicit = || Route::Implicit { exchanger: self.domain.implicit_exchanger() };
        match self.mx {
            Mx::Records(_) if targets.is_empty() && nulls > 0 => {
                (LookupStatus::Noerror, Route::Null)
            }
            Mx::Records(_) if targets.is_empty() => (LookupStatus::Nodata, implicit()),
            Mx::Records(_) => {
                let (null_mixed, duplicate) = (nulls > 0, false);
                (LookupStatus::Noerror, Route::Mx { targets, null_mixed, duplicate })
            }
            Mx::Status(MxStatus::Null) => (LookupStatus::Noerror, Route::Null),
            Mx::Status(MxStatus::Failed(status)) => {
                let route = match status {
                    Status::Nodata => implicit(),
                    Status::Nxdomain => Route::NoDomain,
                    _ => Route::Unknown,
                };
                (status.into(), route)
            }
        }
    }

    fn exchanger(
        &self,
        exchanger: Exchanger,
        name: &ExchangerName,
        entry: Option<&HostEntry>,
    ) -> ExchangerFacts {
        let unobserved = ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH);
        let mut addresses: Vec<IpAddr> = name.bare_address().into_iter().collect();
        let mut lookups = Vec::new();
        // What spells an address is no name that could be looked up.
        let missing = || Addresses::None(Status::Nxdomain);
        let nameless = HostEntry {
            a: missing(),
            aaaa: missing(),
            tlsa: None,
            addr_secure: false,
            is_cname: false,
        };
        if let Some(entry) = entry.or_else(|| name.spells_address().then_some(&nameless)) {
            for (rtype, answer) in [(RecordType::A, &entry.a), (RecordType::Aaaa, &entry.aaaa)] {
                let (status, records) = match answer {
                    Addresses::Some(records) => (LookupStatus::Noerror, records.as_slice()),
                    Addresses::None(status) => ((*status).into(), &[][..]),
                };
                let found = records.iter().copied().map(Record::Address);
                let mut exchange = imagined(status).with_records(found);
                exchange.authentic_data = entry.addr_secure;
                if entry.is_cname {
                    exchange.further.get_mut().cname_chain =
                        vec![format!("alias-of.{}", name.as_str())];
                }
                addresses.extend(records);
                lookups.push(lookup(rtype, name.as_str(), exchange));
            }
        }
        addresses.sort();
        addresses.dedup();
        let healthy = Server::default();
        let sessions = addresses
            .iter()
            .map(|address| Arc::new(self.ips.get(address).unwrap_or(&healthy).session(*address)));
        ExchangerFacts {
            sessions: sessions.collect(),
            tlsa: entry.map(|entry| tlsa(name, entry.tlsa)).into_iter().collect(),
            lookups: lookups.into(),
            addresses: addresses.into(),
            ..unobserved
        }
    }
}

/// An MX target that spells an address, as DNS would hold it.
fn target_name(text: &str) -> Option<ExchangerName> {
    let address: IpAddr = text.parse().ok()?;
    let text = address.to_string();
    let labels = if address.is_ipv4() { text.split('.').collect() } else { vec![text.as_str()] };
    ExchangerName::from_dns(&Name::from_labels(labels.into_iter().map(str::as_bytes)).ok()?)
}

impl From<Status> for LookupStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Bogus => Self::Bogus,
            Status::Formerr => Self::Formerr,
            Status::Malformed => Self::Malformed,
            Status::NetworkError => Self::NetworkError,
            Status::Nodata => Self::Nodata,
            Status::Notimp => Self::Notimp,
            Status::Nxdomain => Self::Nxdomain,
            Status::Refused => Self::Refused,
            Status::Servfail => Self::Servfail,
            Status::Timeout => Self::Timeout,
        }
    }
}

/// An exchange with nobody.
fn imagined(status: LookupStatus) -> Exchange {
    Exchange::empty(([0, 0, 0, 0], 53).into(), Transport::Udp, status)
}

fn lookup(rtype: RecordType, name: &str, exchange: Exchange) -> Lookup {
    Lookup::new(RESOLVER.into(), rtype, name.into(), vec![exchange])
}

/// The TLSA record that certificates match that match any.
fn record() -> TlsaRecord {
    TlsaRecord { usage: 3, selector: 1, matching: 1, data: [0; 32].into() }
}

/// The records of a host, as a status tells them; none without a status.
fn tlsa(name: &ExchangerName, status: Option<TlsaStatus>) -> Arc<TlsaFacts> {
    let status = status.unwrap_or(TlsaStatus::Absent);
    let record = match status {
        TlsaStatus::Absent | TlsaStatus::Error => None,
        TlsaStatus::Insecure | TlsaStatus::Secure => Some(record()),
        // PKIX-EE (RFC 7672 §3.1.3).
        TlsaStatus::Unusable => TlsaRecord::new(1, 1, 1, &[0; 256 / 8]),
    };
    Arc::new(TlsaFacts {
        resolver: RESOLVER.into(),
        status,
        base: name.clone(),
        records: record.into_iter().collect(),
        lookups: Vec::new(),
    })
}

/// A dialogue while it is being written down.
struct Writing {
    stages: Vec<StageFact>,
    failure: Option<Failure>,
    tls: Option<Box<Tls>>,
}

impl Writing {
    fn stage(
        &mut self,
        stage: Stage,
        duration: Duration,
        code: Option<u16>,
        reason: Option<Reason>,
    ) {
        let lines = match stage {
            Stage::Ehlo if reason.is_none() => "what.if\nSTARTTLS",
            _ => "what if",
        };
        let lines = || lines.to_owned().into();
        let reply = code.map(|code| Reply { code, enhanced: None, lines: lines() });
        self.stages.push(StageFact {
            stage,
            duration: duration.into(),
            heard: reply.into(),
            reason,
        });
    }

    /// Writes a reply down; whether the dialogue goes on.
    fn said(&mut self, stage: Stage, said: Option<Said>) -> Option<u16> {
        match said.unwrap_or(Said::Code(250)) {
            Said::Code(code) => {
                let reason = refusal(code);
                self.stage(stage, Duration::ZERO, Some(code), reason);
                Some(code)
            }
            Said::Word(NoReply::NotTested) => Some(0),
            Said::Word(word) => {
                let (took, reason) = match word {
                    NoReply::Timeout => (FOR_EVER, Reason::Timeout),
                    _ => (Duration::ZERO, Reason::Closed),
                };
                self.fails(stage, took, None, reason);
                None
            }
        }
    }

    fn fails(&mut self, stage: Stage, took: Duration, code: Option<u16>, reason: Reason) {
        self.stage(stage, took, code, Some(reason));
        self.failure.get_or_insert(Failure { stage, reason });
    }
}

const fn refusal(code: u16) -> Option<Reason> {
    match code {
        200..=399 => None,
        400..=499 => Some(Reason::Reply4xx),
        _ => Some(Reason::Reply5xx),
    }
}

impl Server {
    /// Whether the times are some.
    fn check(&self) -> Result<(), String> {
        let times = [
            ("banner_delay_s", Some(self.banner_delay_s)),
            ("banner_waited_s", self.banner_waited_s),
        ];
        let most = FOR_EVER.as_secs_f64();
        match times.iter().find(|(_, time)| time.is_some_and(|time| !(0.0..=most).contains(&time)))
        {
            Some((key, _)) => Err(format!("{key} must be from 0 to {most}")),
            None => Ok(()),
        }
    }

    fn session(&self, address: IpAddr) -> Session {
        let mut writing = Writing { stages: Vec::new(), failure: None, tls: None };
        self.write(&mut writing);
        let Writing { stages, failure, tls } = writing;
        Session {
            peer: (address, PORT).into(),
            source: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration: stages.iter().map(|stage| stage.duration.get()).sum::<Duration>().into(),
            helo_name: "what.if".into(),
            stages: stages.into(),
            failure,
            tls,
            auth_mechanism: None,
            transactions: Box::default(),
        }
    }

    /// Writes the dialogue down as far as it goes; `None` is its end.
    fn write(&self, to: &mut Writing) -> Option<()> {
        let (took, failed) = match self.tcp {
            Tcp::Ok => (Duration::ZERO, None),
            Tcp::Refused => (Duration::ZERO, Some(Reason::Refused)),
            Tcp::Reset => (Duration::ZERO, Some(Reason::Reset)),
            Tcp::Timeout => (FOR_EVER, Some(Reason::Timeout)),
            Tcp::Unreachable => (Duration::ZERO, Some(Reason::Unreachable)),
        };
        if let Some(reason) = failed {
            to.fails(Stage::Connect, took, None, reason);
            return None;
        }
        to.stage(Stage::Connect, took, None, None);
        let seconds = |seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_or(FOR_EVER, |d| d.min(FOR_EVER))
        };
        let delay = seconds(self.banner_delay_s);
        match self.banner.unwrap_or(Banner::Code(220)) {
            Banner::Code(code) => match refusal(code) {
                None => to.stage(Stage::Banner, delay, Some(code), None),
                Some(reason) => {
                    to.fails(Stage::Banner, delay, Some(code), reason);
                    return None;
                }
            },
            Banner::Word(word) => {
                let (took, reason) = match word {
                    NoBanner::Closed => (delay, Reason::Closed),
                    NoBanner::None => {
                        (self.banner_waited_s.map_or(FOR_EVER, seconds), Reason::Timeout)
                    }
                    NoBanner::Reset => (delay, Reason::Reset),
                };
                to.fails(Stage::Banner, took, None, reason);
                return None;
            }
        }
        let code = to.said(Stage::Ehlo, self.ehlo)?;
        let extended = (200..300).contains(&code);
        if code == 421 {
            to.failure = Some(Failure { stage: Stage::Ehlo, reason: Reason::Reply4xx });
            return None;
        }
        if !extended {
            let code = to.said(Stage::Helo, self.helo)?;
            if let Some(reason) = refusal(code) {
                to.failure = Some(Failure { stage: Stage::Helo, reason });
                return None;
            }
        }
        self.write_tls(to, extended);
        to.said(Stage::Mail, self.mail)?;
        to.said(Stage::Rcpt, self.rcpt)?;
        Some(())
    }

    fn write_tls(&self, to: &mut Writing, extended: bool) {
        let tried = match &self.starttls {
            _ if !extended => None,
            Some(Starttls::Word(NoStarttls::Absent)) => None,
            Some(Starttls::Tried(tried)) => Some(tried.clone()),
            None => Some(Tried::default()),
        };
        let Some(tried) = tried else {
            let ehlo = to.stages.iter_mut().find(|fact| fact.stage == Stage::Ehlo);
            if let Some(StageFact { heard: Heard::Reply(reply), .. }) = ehlo {
                reply.lines = reply.lines.iter().take(1).collect();
            }
            return;
        };
        let reason = (tried.code != 220).then(|| refusal(tried.code)).flatten();
        to.stage(Stage::Starttls, Duration::ZERO, Some(tried.code), reason);
        if tried.code != 220 {
            return;
        }
        let (took, reason) = match tried.hs {
            Handshake::Ok => (Duration::ZERO, None),
            Handshake::Fail => (Duration::ZERO, Some(Reason::Malformed)),
            Handshake::Timeout => (FOR_EVER, Some(Reason::Timeout)),
        };
        to.stage(Stage::TlsHandshake, took, None, reason);
        if reason.is_none() {
            to.tls = Some(Box::new(Tls {
                server_name: None,
                version: None,
                cipher: None,
                key_exchange: None,
                pkix: if tried.pkix_ok { Pkix::Trusted } else { Pkix::UnknownIssuer },
                dane: Some(tried.dane_ok.then(record).into_iter().collect()),
                chain: Arc::from([]),
            }));
        }
    }
}
