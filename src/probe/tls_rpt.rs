//! The TXT record at `_smtp._tls.<domain>` (RFC 8460 §3).

use tokio::time::Instant;

use super::{
    dns::View,
    tagged::{Sole, WSP, fields, sole},
    text,
};
use crate::{
    facts::{Lookup, MAX_RUA, TlsRpt, TlsRptStatus},
    name::Domain,
};

/// Looks the record of a domain up through `view` and reads it; the lookup, too, where there can be
/// such a name.
pub async fn look(domain: &Domain, view: &View, until: Instant) -> (TlsRpt, Option<Lookup>) {
    let Some(lookup) = text::look_up(&["_smtp", "_tls"], domain, view, Some(until)).await else {
        return (TlsRpt::unusable(TlsRptStatus::Absent, None), None);
    };
    let status = lookup.status();
    let facts = if status.answered() {
        read(lookup.texts())
    } else {
        TlsRpt::unusable(TlsRptStatus::DnsError, Some(status.label().to_owned()))
    };
    (facts, Some(lookup))
}

/// Reads the records of the name, each put together from its strings.
fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> TlsRpt {
    let invalid = |why: String| TlsRpt::unusable(TlsRptStatus::Invalid, Some(why));
    let record = match sole(texts, VERSION) {
        Sole::None => return TlsRpt::unusable(TlsRptStatus::Absent, None),
        Sole::One(record) => record,
        Sole::Several(several) => {
            return invalid(format!(
                "{several} records begin with {VERSION}, and several count as none"
            ));
        }
    };
    let fields = match fields(record, VERSION) {
        Ok(fields) => fields,
        Err(why) => return invalid(why),
    };
    let Some((_, value)) = fields.into_iter().find(|(name, _)| *name == "rua") else {
        return invalid("it has no rua".to_owned());
    };
    let uris = value.split(',').map(|uri| uri.trim_matches(WSP));
    let rua: Vec<_> = uris.filter(|uri| is_uri(uri)).take(MAX_RUA).map(str::to_owned).collect();
    if rua.is_empty() {
        return invalid("its rua names no mailto: or https: URI".to_owned());
    }
    TlsRpt { status: TlsRptStatus::Valid, detail: None, rua }
}

/// The schemes that reports can go by (§3).
fn is_uri(uri: &str) -> bool {
    let rest = ["mailto:", "https://"].iter().find_map(|scheme| {
        let (head, rest) = uri.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    uri.len() <= MAX_URI && rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(WSP))
}

const VERSION: &str = "v=TLSRPTv1";

/// Octets of an URI that is kept.
const MAX_URI: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_record_with_addresses_is_valid() {
        for (text, rua) in [
            ("v=TLSRPTv1; rua=mailto:tls@example.com", &["mailto:tls@example.com"][..]),
            (
                "v=TLSRPTv1;rua=https://example.com/tls?a=b , MAILTO:t@example.com;",
                &["https://example.com/tls?a=b", "MAILTO:t@example.com"],
            ),
            ("v=TLSRPTv1; x=1; rua=ftp://example.com,mailto:a@b", &["mailto:a@b"]),
        ] {
            let read = read([text, "v=spf1 -all"]);
            assert_eq!((read.status, read.detail), (TlsRptStatus::Valid, None), "{text}");
            assert_eq!(read.rua, rua);
        }
    }

    #[test]
    fn what_is_no_record_and_what_is_a_wrong_one_are_told_apart() {
        assert_eq!(read(["v=TLSRPTv2; rua=mailto:a@b"]).status, TlsRptStatus::Absent);
        for (texts, why) in [
            (
                &["v=TLSRPTv1; rua=mailto:a@b", "v=TLSRPTv1;"][..],
                "2 records begin with v=TLSRPTv1, and several count as none",
            ),
            (&["v=TLSRPTv1;"], "it has no rua"),
            (&["v=TLSRPTv1; rua=a@b"], "its rua names no mailto: or https: URI"),
            (&["v=TLSRPTv1; rua=mailto:"], "its rua names no mailto: or https: URI"),
            (&["v=TLSRPTv1; rua"], "\"rua\" is no name and value"),
        ] {
            let read = read(texts.iter().copied());
            assert_eq!(read.status, TlsRptStatus::Invalid);
            assert_eq!(read.detail.as_deref(), Some(why));
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded(uris in prop::collection::vec("(mailto:|https://)?\\PC{0,300}", 0..30)) {
            let text = format!("v=TLSRPTv1; rua={}", uris.join(","));
            let read = read([text.as_str()]);
            prop_assert!(read.rua.len() <= MAX_RUA);
            prop_assert!(read.rua.iter().all(|uri| uri.len() <= MAX_URI && !uri.contains(char::is_control)));
        }
    }
}
