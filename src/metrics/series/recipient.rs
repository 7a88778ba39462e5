//! Families about recipients, by destination, exchanger and address family: what the exchanger says to
//! the envelopes that the destination asks about. A destination that asks about none has none of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    facts::{Family, RecipientClass, Stage, Transaction},
    metrics::{
        labels::Block,
        names,
        sink::Gone,
        text::{self, Text},
        view::View,
    },
};

/// All that the addresses of one family of an exchanger said to one destination.
struct Part<'a> {
    labels: Block,
    transactions: Vec<&'a Transaction>,
}

impl<'a> Part<'a> {
    /// What was said about the recipient of the destination itself.
    fn own(&self) -> impl Iterator<Item = &'a Transaction> {
        self.transactions.iter().copied().filter(|asked| !asked.envelope.relay_test)
    }
}

/// All families.
pub(in crate::metrics) fn write(view: &View<'_>, out: &mut Text<'_>) -> Result<(), Gone> {
    let parts = parts(view);
    let mut family = text::Family::new(out, &names::RECIPIENT_CLASS);
    for part in &parts {
        let classes: BTreeSet<RecipientClass> =
            part.own().filter_map(|asked| asked.class).collect();
        for class in classes {
            family.sample(&part.labels, &[("class", class.label())], 1)?;
        }
    }
    let mut family = text::Family::new(out, &names::RECIPIENT_REPLY_CODE);
    for part in &parts {
        let mut highest: BTreeMap<Stage, u16> = BTreeMap::new();
        for fact in part.own().flat_map(|asked| &asked.stages) {
            if let Some(reply) = fact.reply() {
                let kept = highest.entry(fact.stage).or_default();
                *kept = reply.code.max(*kept);
            }
        }
        for (stage, code) in highest {
            family.sample(&part.labels, &[("stage", stage.label())], code)?;
        }
    }
    let mut family = text::Family::new(out, &names::RELAY_DENIED);
    for part in &parts {
        // One address that relays is enough.
        let tests = part.transactions.iter().filter_map(|asked| asked.relay_denied());
        if let Some(denied) = tests.min() {
            family.sample(&part.labels, &[], u8::from(denied))?;
        }
    }
    Ok(())
}

fn parts<'a>(view: &'a View<'a>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for domain in &view.domains {
        let wanted: Vec<_> = domain.report.settings.envelopes().collect();
        let Some(round) = domain.round.filter(|_| !wanted.is_empty()) else { continue };
        let hosts: BTreeSet<_> = round.exchangers().map(|mx| view.label(mx)).collect();
        for host in &hosts {
            let Some(facts) = view.exchanger(host).and_then(|known| known.facts) else { continue };
            for family in Family::ALL {
                let sessions = facts.sessions_of(family);
                let transactions = sessions
                    .flat_map(|session| &session.transactions)
                    .filter(|asked| wanted.contains(&asked.envelope))
                    .collect();
                let labels = Block::new([
                    ("domain", &*domain.name),
                    ("mx", &**host),
                    ("family", family.label()),
                ]);
                parts.push(Part { labels, transactions });
            }
        }
    }
    parts
}
