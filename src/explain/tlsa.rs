//! TLSA records in words: what there are, and what is wrong with them. Whether a server keeps what they
//! promise is told with its sessions.

use std::sync::Arc;

use super::{
    answers::{seen, through},
    by_hand::dig_dnssec,
    several::grouped,
    trouble::Trouble,
};
use crate::facts::{
    ExchangerFacts, Facts, Lookup, RecordType, TlsFailure, TlsaFacts, TlsaRecord, TlsaStatus,
};

/// What a resolver gives, in a line.
pub(super) fn line(exchanger: &ExchangerFacts, tlsa: &TlsaFacts) -> String {
    let shown = records(tlsa);
    let what = match tlsa.status {
        TlsaStatus::Absent => "none".to_owned(),
        TlsaStatus::Error => {
            let lookup = tlsa.lookups.last();
            let status = lookup.map(|lookup| lookup.status().label().to_uppercase());
            format!("lookup failed: {}", status.unwrap_or_default())
        }
        TlsaStatus::Insecure if shown.is_empty() => {
            "not looked up: DNSSEC does not prove the addresses".to_owned()
        }
        TlsaStatus::Insecure => format!("{shown}: none counts, for DNSSEC does not prove them"),
        TlsaStatus::Secure => shown,
        TlsaStatus::Unusable => format!("{shown}: none is usable"),
    };
    // Of an alias there are two names under which they may stand.
    let elsewhere = tlsa.base.as_str() != exchanger.exchanger.host.to_string();
    if elsewhere { format!("{what}, at {}", tlsa.base) } else { what }
}

/// The records, in the same order however name servers turn them.
fn records(tlsa: &TlsaFacts) -> String {
    let mut records: Vec<String> = tlsa.records.iter().map(shortened).collect();
    records.sort_unstable();
    let more = records.len().saturating_sub(MOST_SHOWN);
    records.truncate(MOST_SHOWN);
    let shown = records.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The beginning of a record tells it from others; all of it stands in the JSON.
fn shortened(record: &TlsaRecord) -> String {
    let text = record.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Records that a line shows.
const MOST_SHOWN: usize = 4;

/// Characters of a record in it: three numbers, and eight bytes of a digest.
const LONGEST: usize = "3 1 1 ".len() + 16;

/// What DANE senders stumble over at an exchanger.
pub(super) fn troubles(facts: &Facts, exchanger: &ExchangerFacts) -> Vec<Trouble> {
    let host = &exchanger.exchanger.host;
    let asked = last_asked(exchanger, TlsaStatus::Error);
    // Not every resolver need have come to the same question.
    let same = asked.map(|lookup| (lookup, (lookup.rtype, &lookup.name)));
    let trouble = |((rtype, name), lookups): ((RecordType, &Arc<str>), Vec<&Lookup>)| Trouble {
        what: format!(
            "The {} lookup of {name} fails{}: {}. A sender that goes by DANE takes {host} for \
             unreachable (RFC 7672 §2.1.2), and reports {}: its name servers must answer, if only \
             that there is none.",
            rtype.label(),
            through(facts, &lookups),
            seen(&lookups),
            reported(TlsaStatus::Error)
        ),
        by_hand: lookups.first().map(|lookup| dig_dnssec(lookup)).unwrap_or_default(),
    };
    grouped(same).into_iter().map(trouble).collect()
}

/// What costs a sender authentication, and nobody mail.
pub(super) fn notes(facts: &Facts) -> Vec<String> {
    let note = |exchanger: &Arc<ExchangerFacts>| {
        let lookups: Vec<&Lookup> = last_asked(exchanger, TlsaStatus::Unusable).collect();
        let (first, host) = (lookups.first()?, &exchanger.exchanger.host);
        Some(format!(
            "No TLSA record at {}{} is of use for SMTP (RFC 7672 §3.1): a sender that goes by DANE \
             insists on TLS with {host}, with whatever certificate, and reports {}.",
            first.name,
            through(facts, &lookups),
            reported(TlsaStatus::Unusable)
        ))
    };
    facts.exchangers.iter().filter_map(note).collect()
}

/// The word for it in reports to the domain.
fn reported(status: TlsaStatus) -> &'static str {
    TlsFailure::of_tlsa(status).map(TlsFailure::word).unwrap_or_default()
}

/// The lookups that decided for a status.
fn last_asked(exchanger: &ExchangerFacts, status: TlsaStatus) -> impl Iterator<Item = &Lookup> {
    let those = exchanger.tlsa.iter().filter(move |tlsa| tlsa.status == status);
    those.filter_map(|tlsa| tlsa.lookups.last())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        facts::{Exchange, LookupStatus, Transport},
        name::{Destination, Exchanger, ExchangerName, Host},
    };

    fn name(text: &str) -> ExchangerName {
        ExchangerName::parse(text).unwrap()
    }

    fn tlsa(
        resolver: &str,
        (status, lookup): (TlsaStatus, LookupStatus),
        base: &str,
        records: &[&str],
    ) -> Arc<TlsaFacts> {
        let exchange = Exchange::empty(([192, 0, 2, 53], 53).into(), Transport::Udp, lookup);
        let asked = format!("_25._tcp.{base}").into();
        let lookup = Lookup::new(resolver.into(), RecordType::Tlsa, asked, vec![exchange]);
        Arc::new(TlsaFacts {
            resolver: resolver.into(),
            status,
            base: name(base),
            records: records.iter().map(|text| TlsaRecord::parse(text).unwrap()).collect(),
            lookups: vec![lookup],
        })
    }

    fn facts(tlsa: Vec<Arc<TlsaFacts>>) -> Facts {
        let exchanger = Exchanger { host: Host::Name(name("mx.example.test")), port: 25 };
        let unobserved = ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH);
        let exchangers = vec![Arc::new(ExchangerFacts { tlsa: tlsa.into(), ..unobserved })];
        let domain = Destination::parse("example.test").unwrap();
        Facts::observed(domain, Timestamp::UNIX_EPOCH, Vec::new(), exchangers)
    }

    #[test]
    fn a_line_says_what_there_is_and_whether_it_counts() {
        use LookupStatus::{Nodata, Noerror, Servfail};
        let digest = "0b9fa5a59ddc21c4".repeat(4);
        let [key, old] = ["3 1 1", "0 0 1"].map(|kind| format!("{kind} {digest}"));
        let here = "mx.example.test";
        for ((status, lookup), base, records, want) in [
            ((TlsaStatus::Absent, Nodata), here, &[][..], "none"),
            ((TlsaStatus::Error, Servfail), here, &[], "lookup failed: SERVFAIL"),
            (
                (TlsaStatus::Secure, Noerror),
                here,
                &[&*key, "2 0 1 ab"],
                "2 0 1 ab, 3 1 1 0b9fa5a59ddc21c4…",
            ),
            (
                (TlsaStatus::Secure, Noerror),
                "host.example.net",
                &["3 1 1 ab"],
                "3 1 1 ab, at host.example.net",
            ),
            (
                (TlsaStatus::Unusable, Noerror),
                here,
                &[&*old],
                "0 0 1 0b9fa5a59ddc21c4…: none is usable",
            ),
            (
                (TlsaStatus::Insecure, Noerror),
                here,
                &["3 1 1 ab"],
                "3 1 1 ab: none counts, for DNSSEC does not prove them",
            ),
            (
                (TlsaStatus::Insecure, Noerror),
                here,
                &[],
                "not looked up: DNSSEC does not prove the addresses",
            ),
            (
                (TlsaStatus::Secure, Noerror),
                here,
                &["3 1 1 01", "3 1 1 02", "3 1 1 03", "3 1 1 04", "3 1 1 05", "3 1 1 06"],
                "3 1 1 01, 3 1 1 02, 3 1 1 03, 3 1 1 04 and 2 more",
            ),
        ] {
            let facts = facts(vec![tlsa("lan", (status, lookup), base, records)]);
            let exchanger = &facts.exchangers[0];
            assert_eq!(line(exchanger, &exchanger.tlsa[0]), want);
        }
    }

    #[test]
    fn a_failing_lookup_is_told_once_for_all_who_see_it() {
        let failed = (TlsaStatus::Error, LookupStatus::Bogus);
        let facts = facts(vec![
            tlsa("lan", failed, "mx.example.test", &[]),
            tlsa("isp", failed, "mx.example.test", &[]),
            tlsa("far", (TlsaStatus::Absent, LookupStatus::Nodata), "mx.example.test", &[]),
        ]);
        let troubles = troubles(&facts, &facts.exchangers[0]);
        let [Trouble { what, by_hand }] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert!(
            what.starts_with(
                "The TLSA lookup of _25._tcp.mx.example.test fails through lan and isp: BOGUS. "
            ),
            "{what}"
        );
        assert_eq!(
            *by_hand,
            [
                "dig @192.0.2.53 +dnssec _25._tcp.mx.example.test TLSA",
                "dig @192.0.2.53 +cd _25._tcp.mx.example.test TLSA"
            ]
        );
        assert!(notes(&facts).is_empty());
    }

    #[test]
    fn records_of_no_use_are_worth_a_note() {
        let unusable = (TlsaStatus::Unusable, LookupStatus::Noerror);
        let facts = facts(vec![tlsa("lan", unusable, "mx.example.test", &["1 1 1 ab"])]);
        assert!(troubles(&facts, &facts.exchangers[0]).is_empty());
        assert_eq!(
            notes(&facts),
            ["No TLSA record at _25._tcp.mx.example.test is of use for SMTP (RFC 7672 §3.1): a \
              sender that goes by DANE insists on TLS with mx.example.test, with whatever \
              certificate, and reports tlsa-invalid."]
        );
    }
}
