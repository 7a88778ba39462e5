//! `[probe]`: how exchangers are probed, and what a destination may set otherwise.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    envelope,
    key::nearest,
    leaf::shown,
    policy::PolicySettings,
    table::{Node, Table},
};
use crate::{envelope::ReversePath, facts::Family, secret::Login};

/// `[probe]`: the defaults of every destination, and what holds for all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The port of every MX.
    pub port: u16,
    /// The default interval.
    pub interval: Duration,
    /// The default session settings.
    pub session: SessionSettings,
    /// How policies are looked at by default.
    pub policy: PolicySettings,
    /// The port of every MTA-STS policy host.
    pub policy_port: u16,
    /// What MAIL names where a destination says nothing else.
    pub mail_from: ReversePath,
    /// The own IPv4 address that sessions leave from.
    pub source_ipv4: Option<Ipv4Addr>,
    /// The own IPv6 address that sessions leave from.
    pub source_ipv6: Option<Ipv6Addr>,
    /// The IPv4 address that receivers see, where that is another than the source.
    pub public_ipv4: Option<Ipv4Addr>,
    /// The IPv6 address that receivers see.
    pub public_ipv6: Option<Ipv6Addr>,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            port: 25,
            interval: Duration::from_secs(60),
            session: SessionSettings::default(),
            policy: PolicySettings::default(),
            policy_port: 443,
            mail_from: ReversePath::Null,
            source_ipv4: None,
            source_ipv6: None,
            public_ipv4: None,
            public_ipv6: None,
        }
    }
}

impl Probe {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let mut probe = Self::default();
        let Some(table) = root.section("probe") else {
            return probe;
        };
        table.set(&mut probe.port, "port", |node| node.number(1..=u16::MAX));
        table.set(&mut probe.interval, "interval", interval);
        probe.session = SessionSettings::read(&table, &probe.session);
        probe.policy = PolicySettings::read(&table, &probe.policy);
        table.set(&mut probe.policy_port, "policy_port", |node| node.number(1..=u16::MAX));
        table.set(&mut probe.mail_from, "mail_from", envelope::reverse_path);
        table.set(&mut probe.source_ipv4, "source_ipv4", |node| ipv4(node).map(Some));
        table.set(&mut probe.source_ipv6, "source_ipv6", |node| ipv6(node).map(Some));
        table.set(&mut probe.public_ipv4, "public_ipv4", |node| ipv4(node).map(Some));
        table.set(&mut probe.public_ipv6, "public_ipv6", |node| ipv6(node).map(Some));
        probe
    }
}

fn ipv4(node: &Node<'_>) -> Option<Ipv4Addr> {
    let parse = |text: &str| text.parse().map_err(|_| "not an IPv4 address");
    node.parse("an IPv4 address such as \"192.0.2.1\"", parse)
}

fn ipv6(node: &Node<'_>) -> Option<Ipv6Addr> {
    let parse = |text: &str| text.parse().map_err(|_| "not an IPv6 address");
    node.parse("an IPv6 address such as \"2001:db8::1\"", parse)
}

/// How the sessions with an exchanger go. Where several destinations share an exchanger, it is
/// probed with the shortest interval, the longest patience, the most addresses and the strictest
/// STARTTLS of them.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSettings {
    /// The families to connect to; looked up are always both.
    pub families: Vec<Family>,
    /// How many addresses of each family are probed in a round.
    pub addresses_per_family: usize,
    /// For the TCP handshake.
    pub connect_timeout: Duration,
    /// From the established connection to the complete banner.
    pub banner_timeout: Duration,
    /// For each later reply.
    pub command_timeout: Duration,
    /// For the whole session, whatever the server drips.
    pub session_timeout: Duration,
    /// Whether to go over to TLS.
    pub starttls: Starttls,
    /// TLS from the first octet on (RFC 8314 §3.3); where nothing is set, on port 465 alone.
    pub implicit_tls: Option<bool>,
    /// Whom a smart host knows this host as.
    pub login: Option<Login>,
}

/// When a session goes over to TLS (RFC 3207), the more demanding after the less.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Starttls {
    /// Not even where it is offered.
    Never,
    /// Where it is offered; without it, mail would go in plain text.
    #[default]
    Opportunistic,
    /// A server without it gets no mail.
    Always,
}

impl Starttls {
    const ALL: [Self; 3] = [Self::Never, Self::Opportunistic, Self::Always];

    /// The word of the configuration for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Opportunistic => "opportunistic",
            Self::Always => "always",
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            families: Family::ALL.to_vec(),
            addresses_per_family: 8,
            connect_timeout: Duration::from_secs(30),
            banner_timeout: Duration::from_secs(60),
            command_timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(120),
            starttls: Starttls::default(),
            implicit_tls: None,
            login: None,
        }
    }
}

impl SessionSettings {
    /// Whether a session with this port begins with the TLS handshake.
    pub fn is_tls_implicit(&self, port: u16) -> bool {
        self.implicit_tls.unwrap_or(port == SUBMISSIONS_PORT)
    }

    /// What the table sets, the rest from `base`.
    pub(super) fn read(table: &Table<'_>, base: &Self) -> Self {
        let mut session = base.clone();
        table.set(&mut session.families, "families", families);
        table.set(&mut session.addresses_per_family, "addresses_per_family", |node| {
            node.number(1..=MAX_ADDRESSES)
        });
        let timeout = |target: &mut Duration, name| {
            table.set(target, name, |node| node.duration(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT));
        };
        timeout(&mut session.connect_timeout, "connect_timeout");
        timeout(&mut session.banner_timeout, "banner_timeout");
        timeout(&mut session.command_timeout, "command_timeout");
        timeout(&mut session.session_timeout, "session_timeout");
        table.set(&mut session.starttls, "starttls", starttls);
        if session != *base {
            session.warn_of_short_session(table);
        }
        session
    }

    /// A session that must end before one of its stages may is allowed, but hides that stage.
    fn warn_of_short_session(&self, table: &Table<'_>) {
        let stages = [
            ("connect_timeout", self.connect_timeout),
            ("banner_timeout", self.banner_timeout),
            ("command_timeout", self.command_timeout),
        ];
        for (name, stage) in stages {
            if stage > self.session_timeout {
                let node = table.get("session_timeout").or_else(|| table.get(name));
                node.as_ref().unwrap_or(&table.node).warn(&format!(
                    "session_timeout {} ends a session before {name} {} can",
                    humantime::format_duration(self.session_timeout),
                    humantime::format_duration(stage),
                ));
            }
        }
    }
}

/// The time from one round to the next.
pub(super) fn interval(node: &Node<'_>) -> Option<Duration> {
    node.duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL)
}

fn starttls(node: &Node<'_>) -> Option<Starttls> {
    node.parse("\"never\", \"opportunistic\" or \"always\"", |text| {
        Starttls::ALL
            .into_iter()
            .find(|word| word.label() == text)
            .ok_or("not \"never\", \"opportunistic\" or \"always\"")
    })
}

fn families(node: &Node<'_>) -> Option<Vec<Family>> {
    let items = node.list("a list such as [\"ipv4\", \"ipv6\"]");
    let mut families = Vec::new();
    for item in &items {
        let family = item.parse("\"ipv4\" or \"ipv6\"", |text| {
            Family::ALL.into_iter().find(|family| family.label() == text).ok_or_else(|| {
                let near = nearest(text, Family::ALL.map(Family::label));
                near.map_or("not \"ipv4\" or \"ipv6\"".to_owned(), |near| {
                    format!("not a family, did you mean {}?", shown(near))
                })
            })
        })?;
        if families.contains(&family) {
            item.refuse("stands here twice");
            return None;
        }
        families.push(family);
    }
    if families.is_empty() {
        if items.is_empty() && node.is_list() {
            node.refuse("is empty; name \"ipv4\", \"ipv6\" or both");
        }
        return None;
    }
    Some(families)
}

/// Where mail is submitted with implicit TLS (RFC 8314 §7.3).
const SUBMISSIONS_PORT: u16 = 465;

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

/// More than any exchanger has; a typo beyond it would cost real connections.
const MAX_ADDRESSES: usize = 1000;
