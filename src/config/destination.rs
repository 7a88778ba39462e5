//! `domains` and `[[destination]]`: what is watched, with what is set for each.
//!
//! The same two keys stand in the main file and in destination files.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    destination_list::DestinationList,
    envelope, key,
    policy::PolicySettings,
    probe::{Probe, SessionSettings, interval},
    smart_host,
    table::{Node, Table},
};
use crate::{
    envelope::{Envelope, Mailbox, ReversePath},
    name::{Destination, NameError},
};

/// What may differ from destination to destination. All set: defaults are already filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationSettings {
    /// From one round to the next.
    pub interval: Duration,
    /// Limits of the sessions with its exchangers.
    pub session: SessionSettings,
    /// How its policies are looked at; a smart host has none.
    pub policy: PolicySettings,
    /// The names of the resolvers asked about it, its primary first; empty means all of them.
    pub resolvers: Arc<[Arc<str>]>,
    /// What MAIL names, where a recipient is asked about.
    pub mail_from: ReversePath,
    /// The recipient that its exchangers are asked about, if any.
    pub recipient: Option<Mailbox>,
    /// The recipient of somebody else's that its exchangers should refuse, if they are tested.
    pub relay_recipient: Option<Mailbox>,
    /// Labels from a `file_sd` entry, for `mx_destination_info`.
    pub labels: BTreeMap<String, String>,
}

impl DestinationSettings {
    /// What holds for a destination that sets nothing itself.
    pub(super) fn default_of(probe: &Probe) -> Self {
        Self {
            interval: probe.interval,
            session: probe.session.clone(),
            policy: probe.policy.clone(),
            resolvers: Arc::default(),
            mail_from: probe.mail_from.clone(),
            recipient: None,
            relay_recipient: None,
            labels: BTreeMap::new(),
        }
    }

    /// What its exchangers are asked to take: its own recipient, and that of the relay test.
    pub fn envelopes(&self) -> impl Iterator<Item = Envelope> {
        let envelope = |recipient: &Mailbox, relay_test| Envelope {
            mail_from: self.mail_from.clone(),
            recipient: recipient.clone(),
            relay_test,
        };
        let own = self.recipient.as_ref().map(|recipient| envelope(recipient, false));
        let foreign = self.relay_recipient.as_ref().map(|recipient| envelope(recipient, true));
        own.into_iter().chain(foreign)
    }

    fn read(table: &Table<'_>, base: &Self, list: &DestinationList) -> Self {
        let mut settings = base.clone();
        table.set(&mut settings.interval, "interval", interval);
        table.set(&mut settings.resolvers, "resolvers", |node| resolvers(node, list));
        settings.session = SessionSettings::read(table, &base.session);
        settings.policy = PolicySettings::read(table, &base.policy);
        settings
    }
}

/// Adds the destinations of one TOML document.
pub(super) fn read(root: &Table<'_>, base: &DestinationSettings, list: &mut DestinationList) {
    if let Some(domains) = root.get("domains") {
        for node in domains.list("a list such as [\"example.com\"]") {
            if let Some(destination) = node.parse("a domain such as \"example.com\"", domain) {
                list.add(&node, destination, base.clone());
            }
        }
    }
    if let Some(destinations) = root.get("destination") {
        for item in destinations.list("tables, each headed [[destination]]") {
            let expected = "a table with domain or smarthost";
            if let Some(table) = item.table(key::DESTINATION, expected) {
                let mut settings = DestinationSettings::read(&table, base, list);
                if let Some((node, destination)) = one_destination(&table) {
                    let credentials = list.credentials_directory();
                    smart_host::read(&table, &destination, credentials, &mut settings.session);
                    envelope::read(&table, &destination, &mut settings);
                    list.add(&node, destination, settings);
                }
            }
        }
    }
}

/// The chosen resolvers, each of which must exist.
fn resolvers(node: &Node<'_>, list: &DestinationList) -> Option<Arc<[Arc<str>]>> {
    let mut chosen: Vec<Arc<str>> = Vec::new();
    let items = node.list("a list such as [\"lan\"]");
    if items.is_empty() && node.is_list() {
        node.refuse("is empty; leave the key out to ask all resolvers");
    }
    for item in &items {
        let known = item.parse("the name of a resolver", |name| {
            let known = list.resolvers().iter().find(|known| ***known == *name);
            known.cloned().ok_or_else(|| unknown_resolver(name, list.resolvers()))
        });
        if let Some(name) = known {
            if chosen.contains(&name) {
                item.refuse("is named twice");
            }
            chosen.push(name);
        }
    }
    (!chosen.is_empty()).then(|| chosen.into())
}

fn unknown_resolver(name: &str, known: &[Arc<str>]) -> String {
    match key::nearest(name, known.iter().map(AsRef::as_ref)) {
        Some(near) => format!("no such resolver; did you mean \"{near}\"?"),
        None => format!("no such resolver; there are {}", known.join(", ")),
    }
}

fn one_destination<'a>(table: &Table<'a>) -> Option<(Node<'a>, Destination)> {
    let (node, destination) = match (table.get("domain"), table.get("smarthost")) {
        (Some(node), None) => {
            let destination = node.parse("a domain such as \"example.com\"", domain);
            (node, destination)
        }
        (None, Some(node)) => {
            let expected = "host and port such as \"relay.example.net:587\"";
            let destination = node.parse(expected, smart_host);
            (node, destination)
        }
        (Some(_), Some(node)) => {
            node.refuse("stands beside `domain`; give each its own [[destination]]");
            return None;
        }
        (None, None) => {
            table.node.refuse("needs `domain` or `smarthost`");
            return None;
        }
    };
    Some((node, destination?))
}

fn domain(text: &str) -> Result<Destination, String> {
    match Destination::parse(text) {
        Ok(destination @ Destination::Domain(_)) => Ok(destination),
        Ok(Destination::SmartHost(exchanger)) => Err(format!(
            "not a mail domain; a smart host is configured by [[destination]] with smarthost = \"{exchanger}\""
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn smart_host(text: &str) -> Result<Destination, String> {
    match Destination::parse(text) {
        Ok(destination @ Destination::SmartHost(_)) => Ok(destination),
        Ok(Destination::Domain(_)) | Err(NameError::NotQualified) => {
            Err(format!("a smart host needs its port, as in \"{}:587\"", text.trim()))
        }
        Err(error) => Err(error.to_string()),
    }
}
