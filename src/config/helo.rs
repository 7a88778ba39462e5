//! `helo_name`: the name given with EHLO.
//!
//! Servers judge a client by it, so what no server should be told is refused here.

use std::{net::IpAddr, sync::Arc};

use super::table::Table;
use crate::name::Domain;

/// The name, or what is wrong with it.
pub(super) fn read(root: &Table<'_>) -> Option<Arc<str>> {
    let Some(node) = root.get("helo_name") else {
        root.missing(
            "helo_name",
            "missing; write the full name with which this machine sends mail, as in helo_name = \"mail.example.org\"",
        );
        return None;
    };
    node.parse("a host name such as \"mail.example.org\"", parse_helo_name)
}

/// Parses a name for EHLO (RFC 5321 §4.1.1.1): a fully qualified domain, or an address literal
/// (§4.1.3) for lack of one. The error is a sentence with the cure.
pub fn parse_helo_name(text: &str) -> Result<Arc<str>, String> {
    let text = text.trim();
    if let Some(literal) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return address_literal(literal).map(Into::into);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(
            "an address stands in brackets here, as in \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\""
                .to_owned(),
        );
    }
    let first = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if first == "localhost"
        || text.to_ascii_lowercase().trim_end_matches('.').ends_with(".localhost")
    {
        return Err("servers refuse clients that call themselves localhost; write the name with which this machine sends mail".to_owned());
    }
    Domain::parse(text).map(|domain| domain.as_str().into()).map_err(|error| match error {
        crate::name::NameError::NotQualified => {
            "a single label; servers want the full name, as in \"mail.example.org\"".to_owned()
        }
        other => other.to_string(),
    })
}

fn address_literal(literal: &str) -> Result<String, String> {
    let tagged = literal.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let address = match tagged {
        Some(_) => literal[5..].parse().map(IpAddr::V6).ok(),
        None => literal.parse().map(IpAddr::V4).ok(),
    };
    match address {
        Some(IpAddr::V4(address)) => Ok(format!("[{address}]")),
        Some(IpAddr::V6(address)) => Ok(format!("[IPv6:{address}]")),
        None => {
            Err("not an address literal, such as \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\""
                .to_owned())
        }
    }
}

/// Whether the name is one that RFC 2606 reserves for documentation, and so nobody's.
pub(super) fn is_placeholder(name: &str) -> bool {
    ["example", "example.com", "example.net", "example.org", "invalid"].iter().any(|reserved| {
        name.strip_suffix(reserved).is_some_and(|r| r.is_empty() || r.ends_with('.'))
    })
}
