//! Extended DNS errors (RFC 8914) in words: the names of IANA's registry, and the server's text.

use crate::{
    facts::{Exchange, ExtendedError},
    shown::one_line,
};

/// Each of an exchange, as in `EDE 7 Signature Expired: "validation failure"`.
pub(super) fn each(exchange: &Exchange) -> impl Iterator<Item = String> + '_ {
    exchange.further.extended_errors.iter().take(MOST).map(|error| {
        let name = name(error.code).map_or(String::new(), |name| format!(" {name}"));
        format!("EDE {}{name}{}", error.code, text(error))
    })
}

/// The one that says most, as in `Signature Expired (EDE 7)`, with the server's text.
pub(super) fn foremost(exchange: &Exchange) -> Option<String> {
    let error =
        exchange.further.extended_errors.iter().min_by_key(|error| vagueness(error.code))?;
    let text = text(error);
    Some(match name(error.code) {
        Some(name) => format!("{name} (EDE {}){text}", error.code),
        None => format!("EDE {}{text}", error.code),
    })
}

fn text(error: &ExtendedError) -> String {
    match error.text.as_str() {
        "" => String::new(),
        text => format!(": \"{}\"", one_line(text, LONGEST)),
    }
}

/// What is wrong with signatures says more than that something is.
fn vagueness(code: u16) -> u8 {
    match code {
        5 | 6 => 1,
        code if ExtendedError::OF_DNSSEC.contains(&code) => 0,
        0 => 3,
        _ => 2,
    }
}

/// The purpose of an INFO-CODE in IANA's registry "Extended DNS Error Codes".
const fn name(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => "Other Error",
        1 => "Unsupported DNSKEY Algorithm",
        2 => "Unsupported DS Digest Type",
        3 => "Stale Answer",
        4 => "Forged Answer",
        5 => "DNSSEC Indeterminate",
        6 => "DNSSEC Bogus",
        7 => "Signature Expired",
        8 => "Signature Not Yet Valid",
        9 => "DNSKEY Missing",
        10 => "RRSIGs Missing",
        11 => "No Zone Key Bit Set",
        12 => "NSEC Missing",
        13 => "Cached Error",
        14 => "Not Ready",
        15 => "Blocked",
        16 => "Censored",
        17 => "Filtered",
        18 => "Prohibited",
        19 => "Stale NXDomain Answer",
        20 => "Not Authoritative",
        21 => "Not Supported",
        22 => "No Reachable Authority",
        23 => "Network Error",
        24 => "Invalid Data",
        25 => "Signature Expired before Valid",
        26 => "Too Early",
        27 => "Unsupported NSEC3 Iterations Value",
        28 => "Unable to conform to policy",
        29 => "Synthesized",
        30 => "Invalid Query Type",
        _ => return None,
    })
}

/// Facts may come from anybody's file.
const MOST: usize = 4;

/// Characters of a server's text in a sentence.
const LONGEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Further, LookupStatus, Transport};

    fn exchange(errors: &[(u16, &str)]) -> Exchange {
        let error =
            |(code, text): &(u16, &str)| ExtendedError { code: *code, text: (*text).into() };
        let server = ([192, 0, 2, 53], 53).into();
        let extended_errors = errors.iter().map(error).collect();
        Exchange {
            further: Further { extended_errors, ..Further::default() }.into(),
            ..Exchange::empty(server, Transport::Udp, LookupStatus::Bogus)
        }
    }

    #[test]
    fn of_several_the_one_that_says_most_is_foremost() {
        for (errors, want) in [
            (&[(6, ""), (7, "")][..], Some("Signature Expired (EDE 7)")),
            (&[(22, ""), (6, "a\nb")], Some("DNSSEC Bogus (EDE 6): \"a\u{fffd}b\"")),
            (&[(0, "x"), (49152, "y")], Some("EDE 49152: \"y\"")),
            (&[], None),
        ] {
            assert_eq!(foremost(&exchange(errors)).as_deref(), want);
        }
    }

    #[test]
    fn each_has_its_code_name_and_text() {
        let seen: Vec<_> = each(&exchange(&[(9, ""), (49152, "own")])).collect();
        assert_eq!(seen, ["EDE 9 DNSKEY Missing", "EDE 49152: \"own\""]);
    }
}
