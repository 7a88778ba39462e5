//! Commands to copy, which show by hand what was found.

use std::net::{IpAddr, SocketAddr};

use crate::{
    delivery::Why,
    envelope::Envelope,
    explain::seen::Seen,
    facts::{Exchange, Family, Lookup, LookupStatus, RecordType, Session, Stage, Transport},
    name::{Destination, Domain},
};

/// The commands that show a reason.
pub(super) fn commands(seen: &Seen<'_>) -> Vec<String> {
    let lookups = || -> Vec<String> {
        let hosts = [RecordType::A, RecordType::Aaaa].map(|rtype| seen.lookup(rtype));
        digs(hosts.into_iter().flatten())
    };
    let mx = || digs(seen.mx().map(|answer| &answer.lookup));
    let dialogue = || seen.session.map(call).unwrap_or_default();
    let again =
        || vec![format!("mxwatch check {}", shell_word(&seen.facts.destination.to_string()))];
    let name = seen.host_name().unwrap_or_default();
    match seen.why {
        Why::Ok => Vec::new(),
        Why::MxNxdomain | Why::MxLookup(_) | Why::MxNull | Why::MxLoop => mx(),
        Why::NoUsableMx => {
            let hosts = seen.facts.exchangers.iter().take(MOST_HOSTS);
            let asked = hosts.flat_map(|host| {
                [RecordType::A, RecordType::Aaaa].map(|rtype| seen.lookup_of(host, rtype))
            });
            digs(asked.flatten())
        }
        Why::HostDnsTemp => lookups(),
        Why::ConnectTimeout
        | Why::ConnectRefused
        | Why::ConnectReset
        | Why::ConnectUnreachable
        | Why::NoLocalFamily
        | Why::BannerTimeout
        | Why::BannerClosed
        | Why::BannerReset
        | Why::BannerMalformed
        | Why::Banner4xx
        | Why::Banner5xx
        | Why::Ehlo4xx
        | Why::Helo4xx
        | Why::Helo5xx
        | Why::SessionLost
        | Why::SessionTimeout => dialogue(),
        Why::Mail4xx | Why::Mail5xx | Why::Rcpt4xx | Why::Rcpt5xx => seen
            .session
            .map(|session| {
                let asked = session.transactions.iter().find(|asked| !asked.envelope.relay_test);
                if let Some(asked) = asked {
                    return vec![transaction(session, &asked.envelope)];
                }
                let to = shell_word(&format!("postmaster@{}", seen.facts.destination));
                let last = format!("RCPT --from '<>' --to {to}");
                vec![swaks(session, &last)]
            })
            .unwrap_or_default(),
        Why::TlsNotOffered
        | Why::TlsRejected
        | Why::TlsHandshake
        | Why::TlsTimeout
        | Why::TlsCert => {
            seen.session.map(|session| s_client(session, &name)).into_iter().collect()
        }
        Why::TlsaError => seen.deciding_lookup().map_or_else(
            || {
                let asked = format!("_{}._tcp.{name}", seen.port());
                vec![format!("dig +dnssec {} TLSA", shell_word(&asked))]
            },
            dig_dnssec,
        ),
        Why::StsMx => match &seen.facts.destination {
            Destination::Domain(domain) => {
                vec![policy_record_by_hand(domain), policy_by_hand(domain)]
            }
            Destination::SmartHost(_) => Vec::new(),
        },
        Why::NotLookedUp | Why::NotProbed | Why::LocalError => again(),
    }
}

/// The handshake with the same address.
pub(super) fn s_client(session: &Session, host: &str) -> String {
    let peer = shell_word(&session.peer.to_string());
    let starttls = if implicit(session) { "" } else { " -starttls smtp" };
    // An address is no name to send along.
    let name = match host.parse::<IpAddr>() {
        Ok(_) => String::new(),
        Err(_) => format!(" -servername {}", shell_word(host)),
    };
    format!("openssl s_client{starttls} -connect {peer}{name} -showcerts")
}

/// The TXT record that announces an MTA-STS policy.
pub(super) fn policy_record_by_hand(domain: &Domain) -> String {
    format!("dig +short TXT {}", shell_word(&format!("_mta-sts.{domain}")))
}

/// The addresses of the host that serves it.
pub(super) fn policy_host_by_hand(domain: &Domain) -> String {
    let host = shell_word(&format!("mta-sts.{domain}"));
    format!("dig +short {host} A {host} AAAA")
}

/// The policy that it announces.
pub(super) fn policy_by_hand(domain: &Domain) -> String {
    let place = shell_word(&format!("mta-sts.{domain}"));
    format!("curl -sS https://{place}/.well-known/mta-sts.txt")
}

/// Exchangers whose lookups are shown.
const MOST_HOSTS: usize = 3;

/// The same questions to the same servers, and what shows why there is no answer.
pub(super) fn digs<'a>(lookups: impl IntoIterator<Item = &'a Lookup>) -> Vec<String> {
    let more = |lookup: &Lookup| match lookup.deciding()? {
        exchange if exchange.status == LookupStatus::Bogus => Some(dig_with(lookup, "+cd ")),
        // dig takes any certificate.
        Exchange { transport: Transport::Https | Transport::Tls, further, server, .. }
            if further.error.is_some() =>
        {
            Some(format!("openssl s_client -connect {}", shell_word(&server.to_string())))
        }
        _ => None,
    };
    let each = lookups.into_iter().flat_map(|lookup| [Some(dig(lookup)), more(lookup)]);
    each.flatten().collect()
}

/// The same question to the same server with signatures, and without validation where that fails.
pub(super) fn dig_dnssec(lookup: &Lookup) -> Vec<String> {
    let bogus = lookup.status() == LookupStatus::Bogus;
    let unchecked = bogus.then(|| dig_with(lookup, "+cd "));
    [dig_with(lookup, "+dnssec ")].into_iter().chain(unchecked).collect()
}

/// The same question to the same server.
pub(super) fn dig(lookup: &Lookup) -> String {
    dig_with(lookup, "")
}

fn dig_with(lookup: &Lookup, option: &str) -> String {
    // Facts written by hand name no server.
    let asked = lookup.deciding().filter(|exchange| !exchange.server.ip().is_unspecified());
    match asked {
        Some(exchange) if lookup.zone.is_some() => {
            dig_norecurse(exchange.server, &lookup.name, lookup.rtype)
        }
        Some(exchange) => {
            let (usual, via) = match exchange.transport {
                Transport::Https => (443, " +https"),
                Transport::Tcp if !exchange.truncated => (53, " +tcp"),
                Transport::Tcp | Transport::Udp => (53, ""),
                Transport::Tls => (853, " +tls"),
            };
            let at = at(exchange.server, usual);
            format!("dig {at}{via} {option}{}", question(&lookup.name, lookup.rtype))
        }
        None => format!("dig {option}{}", question(&lookup.name, lookup.rtype)),
    }
}

/// A question to a server that has authority.
pub(super) fn dig_norecurse(server: SocketAddr, name: &str, rtype: RecordType) -> String {
    format!("dig +norecurse {} {}", at(server, 53), question(name, rtype))
}

fn at(server: SocketAddr, usual: u16) -> String {
    match server.port() {
        port if port == usual => format!("@{}", server.ip()),
        port => format!("@{} -p {port}", server.ip()),
    }
}

fn question(name: &str, rtype: RecordType) -> String {
    // A name that begins with a hyphen would be taken for an option.
    let option = if name.starts_with('-') { "-q " } else { "" };
    format!("{option}{} {}", shell_word(name), rtype.label())
}

/// A call at one address.
pub(super) fn call(session: &Session) -> Vec<String> {
    let peer = session.peer;
    if implicit(session) {
        return vec![s_client(session, &peer.ip().to_string()), swaks(session, "EHLO")];
    }
    vec![format!("telnet {} {}", peer.ip(), peer.port()), swaks(session, "EHLO")]
}

/// The same envelope, up to RCPT.
pub(super) fn transaction(session: &Session, envelope: &Envelope) -> String {
    let from = shell_word(&envelope.mail_from.to_string());
    let to = shell_word(&envelope.recipient.to_string());
    let encrypted = if session.tls.is_some() && !implicit(session) { " --tls" } else { "" };
    // It asks for the name and the password.
    let login = if session.auth_mechanism.is_some() { " --auth" } else { "" };
    swaks(session, &format!("RCPT{encrypted}{login} --from {from} --to {to}"))
}

/// Whether TLS comes before the banner.
fn implicit(session: &Session) -> bool {
    let begun = |stage| session.stages.iter().position(|fact| fact.stage == stage);
    match (begun(Stage::TlsHandshake), begun(Stage::Banner)) {
        (Some(handshake), Some(banner)) => handshake < banner,
        (Some(_), None) => begun(Stage::Ehlo).is_none(),
        (None, _) => false,
    }
}

/// A dialogue with one address up to a command.
fn swaks(session: &Session, last: &str) -> String {
    let (ip, port, ehlo) = (session.peer.ip(), session.peer.port(), shell_word(&session.helo_name));
    let family = match Family::of(ip) {
        Family::Ipv4 => "-4",
        Family::Ipv6 => "-6",
    };
    let tls = if implicit(session) { " --tls-on-connect" } else { "" };
    format!(
        "swaks {family} --server {ip} --port {port}{tls} --ehlo {ehlo} --quit-after {last} \
         --timeout 300"
    )
}

/// Names come from strangers' zones; a command line to copy must not run what they wrote.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if text.chars().all(plain) && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_command_cannot_run_a_strangers_words() {
        assert_eq!(shell_word("mx1.example.com"), "mx1.example.com");
        assert_eq!(shell_word("[192.0.2.1]"), "'[192.0.2.1]'");
        assert_eq!(shell_word("$(reboot)'; x"), r"'$(reboot)'\''; x'");
        assert_eq!(shell_word(""), "''");
    }
}
