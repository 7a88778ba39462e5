//! Configurations for an agent that watches a world: short intervals, short patience.

use std::{collections::BTreeMap, fmt::Write, net::SocketAddr};

use mxwatch::world::World;

/// A configuration to be.
#[derive(Clone)]
pub(crate) struct Config {
    top: String,
    probe: BTreeMap<&'static str, String>,
    dns: BTreeMap<&'static str, String>,
    resolver: SocketAddr,
    rest: String,
}

impl Config {
    /// Looks up at this world's name server, calls at its port, every second.
    pub(crate) fn of(world: &World) -> Self {
        let probe = [
            ("port", world.smtp_port().to_string()),
            ("interval", "\"1s\"".to_owned()),
            ("connect_timeout", "\"3s\"".to_owned()),
            ("banner_timeout", "\"3s\"".to_owned()),
            ("command_timeout", "\"3s\"".to_owned()),
            ("session_timeout", "\"10s\"".to_owned()),
        ];
        let dns = [("timeout", "\"2s\"".to_owned()), ("attempts", "1".to_owned())];
        Self {
            top: "helo_name = \"probe.example.org\"\n".to_owned(),
            probe: probe.into(),
            dns: dns.into(),
            resolver: world.dns_addr(),
            rest: String::new(),
        }
    }

    /// The domains to watch.
    pub(crate) fn domains(self, domains: &[impl AsRef<str>]) -> Self {
        let list: Vec<_> = domains.iter().map(|domain| format!("{:?}", domain.as_ref())).collect();
        self.top(&format!("domains = [{}]", list.join(", ")))
    }

    /// A line above the first section.
    pub(crate) fn top(mut self, line: &str) -> Self {
        writeln!(self.top, "{line}").unwrap();
        self
    }

    /// A key of `[probe]`.
    pub(crate) fn probe(mut self, key: &'static str, value: &str) -> Self {
        self.probe.insert(key, value.to_owned());
        self
    }

    /// A key of `[dns]`.
    pub(crate) fn dns(mut self, key: &'static str, value: &str) -> Self {
        self.dns.insert(key, value.to_owned());
        self
    }

    /// Another name server.
    pub(crate) fn resolver(mut self, server: SocketAddr) -> Self {
        self.resolver = server;
        self
    }

    /// Further sections.
    pub(crate) fn section(mut self, text: &str) -> Self {
        writeln!(self.rest, "{text}").unwrap();
        self
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let table = |keys: &BTreeMap<&str, String>| {
            let lines: Vec<_> =
                keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            lines.join("\n")
        };
        let (probe, dns) = (table(&self.probe), table(&self.dns));
        let Self { top, resolver, rest, .. } = self;
        format!(
            "{top}[probe]\n{probe}\n[dns]\n{dns}\n[[resolver]]\nname = \"world\"\nservers = \
             [\"{resolver}\"]\n{rest}"
        )
    }
}
