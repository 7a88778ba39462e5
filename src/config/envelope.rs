//! `recipient`, `mail_from` and the relay test of a `[[destination]]`: what its exchangers are asked to
//! take, where the user wants that.

use super::{
    destination::DestinationSettings,
    table::{Node, Table},
};
use crate::{
    envelope::{Mailbox, ReversePath},
    name::Destination,
};

/// Reads the keys into the settings of this destination.
pub(super) fn read(
    table: &Table<'_>,
    destination: &Destination,
    settings: &mut DestinationSettings,
) {
    table.set(&mut settings.mail_from, "mail_from", reverse_path);
    if let Some(node) = table.get("recipient") {
        settings.recipient = mailbox(&node);
        let foreign = settings.recipient.as_ref().filter(|own| is_foreign(own, destination));
        if let Some(recipient) = foreign {
            let domain = recipient.domain();
            node.refuse(format!(
                "is at {domain}, and this destination is {destination}; name a mailbox of \
                 {destination}, or test with expect_relay_denied = true that it takes none of others"
            ));
        }
    }
    settings.relay_recipient = relay_recipient(table, destination);
    let (recipient, relay_test) = (table.get("recipient"), table.get("expect_relay_denied"));
    if let Some(node) = table.get("mail_from").filter(|_| recipient.or(relay_test).is_none()) {
        node.warn("changes nothing without a recipient, as in recipient = \"probe@example.com\"");
    }
}

/// The recipient of the relay test, if that is wanted.
fn relay_recipient(table: &Table<'_>, destination: &Destination) -> Option<Mailbox> {
    let test = table.get("expect_relay_denied");
    let wanted = test.as_ref().and_then(Node::boolean) == Some(true);
    let named = table.get("relay_recipient");
    if let Some(node) = named.as_ref().filter(|_| !wanted) {
        node.refuse("belongs to a destination with expect_relay_denied = true");
    }
    let (test, recipient) = match (test.filter(|_| wanted)?, named) {
        (test, None) => (test, Mailbox::parse(RELAY_RECIPIENT).ok()?),
        (_, Some(node)) => {
            let recipient = mailbox(&node)?;
            (node, recipient)
        }
    };
    if table.get("username").is_some() {
        test.refuse(
            "a smart host relays for everybody who has logged in; leave out username to test what \
             it does for others",
        );
    } else if matches!(destination, Destination::Domain(_)) && !is_foreign(&recipient, destination)
    {
        test.refuse(format!(
            "asks for {recipient}, which is no foreign recipient for {destination}; name a mailbox \
             of another domain with relay_recipient"
        ));
    }
    Some(recipient)
}

/// Whether the mailbox is at another domain than this. A smart host has none of its own.
fn is_foreign(mailbox: &Mailbox, destination: &Destination) -> bool {
    matches!(destination, Destination::Domain(domain) if mailbox.domain() != domain)
}

fn mailbox(node: &Node<'_>) -> Option<Mailbox> {
    node.parse("a mailbox such as \"probe@example.com\"", Mailbox::parse)
}

/// What MAIL names.
pub(super) fn reverse_path(node: &Node<'_>) -> Option<ReversePath> {
    node.parse("a mailbox such as \"probe@example.com\", or \"\" for none", ReversePath::parse)
}

/// Nobody's: the name is reserved for documentation (RFC 2606), and no message is ever sent.
const RELAY_RECIPIENT: &str = "relay-test@example.net";
