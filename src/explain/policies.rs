//! What a domain asks of those who send to it: its MTA-STS policy and its TLS-RPT record, what is wrong
//! with them and with exchangers that do not keep to them, and who can put that right.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    by_hand::{policy_by_hand, policy_host_by_hand, policy_record_by_hand, s_client},
    several::listed,
    tls,
    trouble::Trouble,
};
use crate::{
    facts::{
        Facts, MtaSts, Session, StsFailure, StsMode, StsStatus, TlsFailure, TlsRpt, TlsRptStatus,
    },
    name::{Destination, Domain, ExchangerName, Host},
    shown::one_line,
};

/// What the policy and the record say, each under its name; nothing of what a domain does not have, as
/// most do not.
pub(super) fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    let sts = facts
        .mta_sts
        .iter()
        .filter(|sts| sts.status != StsStatus::Absent || sts.mode != StsMode::None);
    let of_sts = sts.flat_map(|sts| mta_sts(facts, sts));
    let names = ["MTA-STS"].into_iter().chain(std::iter::repeat(""));
    let rpt = facts.tls_rpt.iter().filter(|rpt| rpt.status != TlsRptStatus::Absent);
    let of_rpt = rpt.map(|rpt| ("TLS-RPT", tls_rpt(rpt)));
    names.zip(of_sts).chain(of_rpt).collect()
}

/// What the MTA-STS policy says, in a line or two.
pub fn mta_sts(facts: &Facts, sts: &MtaSts) -> Vec<String> {
    let mut lines = vec![in_force(sts)];
    if sts.mode != StsMode::None {
        let missing = left_out(facts, sts);
        let others = match missing.as_slice() {
            [] => "every exchanger is among them".to_owned(),
            missing => format!("not among them: {}", listed(missing)),
        };
        lines.push(format!("{}; {others}", patterns(sts)));
    }
    lines
}

/// Who wants reports.
pub fn tls_rpt(rpt: &TlsRpt) -> String {
    match rpt.status {
        TlsRptStatus::Absent => "no record: nobody asks for reports".to_owned(),
        TlsRptStatus::DnsError => "the lookup of its record failed".to_owned(),
        TlsRptStatus::Invalid => "its record is not valid".to_owned(),
        TlsRptStatus::Valid => {
            let rua: Vec<_> = rpt.rua.iter().map(|uri| one_line(uri, MOST)).collect();
            format!("reports go to {}", listed(&rua))
        }
    }
}

/// Which policy holds, and how long.
fn in_force(sts: &MtaSts) -> String {
    let mode = match (sts.mode, sts.status) {
        (StsMode::Enforce, _) => "enforce: mail goes only to what the policy names, over TLS",
        (StsMode::Testing, _) => "testing: what the policy does not allow is only reported",
        (StsMode::None, StsStatus::Absent) => return "no policy".to_owned(),
        (StsMode::None, StsStatus::Valid) => "none: the policy asks for nothing",
        (StsMode::None, _) => return "no policy that could be had".to_owned(),
    };
    let Some(policy) = &sts.policy else { return mode.to_owned() };
    let kept = if policy.cached { "fetched earlier, " } else { "" };
    format!("{mode} ({kept}holds until {})", moment(policy.expires_at))
}

fn patterns(sts: &MtaSts) -> String {
    let shown = sts.mx.iter().take(MOST_PATTERNS).map(|pattern| one_line(pattern, MOST));
    let mut shown: Vec<_> = shown.collect();
    if sts.mx.len() > MOST_PATTERNS {
        shown.push(format!("{} more", sts.mx.len() - MOST_PATTERNS));
    }
    listed(&shown)
}

/// The exchangers that a policy in force does not list.
fn left_out<'a>(facts: &'a Facts, sts: &MtaSts) -> Vec<&'a str> {
    let hosts = facts.exchangers.iter().filter_map(|exchanger| match &exchanger.exchanger.host {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    });
    hosts.filter(|name| sts.leaves_out(name)).map(ExchangerName::as_str).collect()
}

/// What is wrong with the policy, or with exchangers that it does not list.
pub(super) fn troubles(facts: &Facts) -> Vec<Trouble> {
    let (Destination::Domain(domain), Some(sts)) = (&facts.destination, &facts.mta_sts) else {
        return Vec::new();
    };
    let troubles = [failed(facts, domain, sts), unlisted(facts, domain, sts)];
    troubles.into_iter().flatten().chain(unfit(facts, domain, sts)).collect()
}

fn failed(facts: &Facts, domain: &Domain, sts: &MtaSts) -> Option<Trouble> {
    let why = sts.detail.as_deref().map(|detail| one_line(detail, MOST)).unwrap_or_default();
    let host = format!("mta-sts.{domain}");
    let record = || policy_record_by_hand(domain);
    let (what, by_hand) = match sts.status {
        StsStatus::Valid => return None,
        StsStatus::Absent => {
            sts.policy.as_ref()?;
            let what = format!(
                "The MTA-STS record of {domain} is gone. To take a policy back, its postmaster has \
                 to publish one of mode none first (RFC 8461 §8.3)."
            );
            (what, vec![record()])
        }
        // Where the route could not be looked up either, that is said.
        StsStatus::DnsError => {
            facts.mx.first().filter(|mx| mx.lookup.status().answered())?;
            (format!("The lookup of TXT of _mta-sts.{domain} failed: {why}."), vec![record()])
        }
        StsStatus::RecordInvalid => {
            let what = format!(
                "The MTA-STS record of {domain} is not valid, which its postmaster can cure: {why}."
            );
            (what, vec![record()])
        }
        StsStatus::HostUnresolved => {
            let what = format!(
                "{domain} announces an MTA-STS policy, and {host}, which has to serve it, has no \
                 address: {why}. Its postmaster can cure that."
            );
            (what, vec![record(), policy_host_by_hand(domain)])
        }
        StsStatus::PolicyInvalid => {
            let what = format!(
                "The MTA-STS policy of {domain} is not valid, which its postmaster can cure: {why}."
            );
            (what, vec![policy_by_hand(domain)])
        }
        StsStatus::FetchCertificate
        | StsStatus::FetchConnect
        | StsStatus::FetchHttp
        | StsStatus::FetchTimeout
        | StsStatus::FetchTls => {
            let what = format!(
                "{domain} announces an MTA-STS policy, and {host} does not give it: {why}. Its \
                 postmaster can cure that."
            );
            (what, vec![record(), policy_by_hand(domain)])
        }
    };
    let word = sts.failure.map(StsFailure::word);
    let word = word.map(|word| format!(" Reports call it {word}.")).unwrap_or_default();
    Some(Trouble { what: format!("{what}{word} {}", meanwhile(sts)), by_hand })
}

/// What senders go by while there is no newer policy.
fn meanwhile(sts: &MtaSts) -> String {
    match &sts.policy {
        Some(policy) => format!(
            "Until {} senders that know it go by the policy of {}, mode {}; to others there is none.",
            moment(policy.expires_at),
            moment(policy.fetched_at),
            sts.mode.label()
        ),
        None => "Senders that have no older policy send as if there were none.".to_owned(),
    }
}

fn unlisted(facts: &Facts, domain: &Domain, sts: &MtaSts) -> Option<Trouble> {
    let missing = left_out(facts, sts);
    if sts.mode != StsMode::Enforce || missing.is_empty() {
        return None;
    }
    let what = format!(
        "The MTA-STS policy of {domain} is enforced and does not list {}: senders that keep to it \
         pass that over. Its postmaster has to add what is missing to the mx lines, and then to \
         change the id of the record (RFC 8461 §3).",
        listed(&missing)
    );
    Some(Trouble { what, by_hand: vec![policy_record_by_hand(domain), policy_by_hand(domain)] })
}

/// Listed exchangers that do not do what the policy promises: TLS with a trusted certificate (§4.2).
fn unfit(facts: &Facts, domain: &Domain, sts: &MtaSts) -> Vec<Trouble> {
    if sts.mode != StsMode::Enforce {
        return Vec::new();
    }
    let sessions = facts.exchangers.iter().flat_map(|exchanger| {
        let host = &exchanger.exchanger.host;
        exchanger.sessions.iter().map(move |session| (host.to_string(), session))
    });
    let trouble = |(host, session): (String, &Arc<Session>)| {
        let (why, failure) = unfitness(session).filter(|_| sts.lists(&host))?;
        let what = format!(
            "The MTA-STS policy of {domain} is enforced, and {host} at {} {why}: senders that keep to \
             it pass that over, and report {}. Its postmaster can cure that.",
            session.peer,
            failure.word()
        );
        Some(Trouble { what, by_hand: vec![s_client(session, &host)] })
    };
    sessions.filter_map(trouble).collect()
}

fn unfitness(session: &Session) -> Option<(String, TlsFailure)> {
    let failure = TlsFailure::of_session(session)?;
    let what = match (&session.tls, session.tls_failure()) {
        (_, Some(fault)) => {
            format!("fails at {} ({})", fault.stage.label(), fault.reason.label())
        }
        (Some(shown), None) => format!("shows {}", tls::trust(shown)),
        (None, None) => "does not offer STARTTLS".to_owned(),
    };
    Some((what, failure))
}

/// What does not stop mail.
pub(super) fn notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let domain = &facts.destination;
    if let Some(sts) = facts.mta_sts.as_ref().filter(|sts| sts.mode == StsMode::Testing) {
        let missing = left_out(facts, sts);
        if !missing.is_empty() {
            notes.push(format!(
                "The MTA-STS policy of {domain} is being tested and does not list {}: once it is \
                 enforced, that is passed over.",
                listed(&missing)
            ));
        }
    }
    if let Some(rpt) = facts.tls_rpt.as_ref().filter(|rpt| rpt.status == TlsRptStatus::Invalid) {
        let why = rpt.detail.as_deref().map(|detail| one_line(detail, MOST)).unwrap_or_default();
        notes.push(format!(
            "The TLS-RPT record of {domain} is not valid, so that nobody sends reports: {why}."
        ));
    }
    notes
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Characters of what a server or record says.
const MOST: usize = 200;

/// Patterns that are shown.
const MOST_PATTERNS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::what_if::WhatIf,
        facts::{StsPolicy, TlsRpt},
    };

    /// A domain with two exchangers, and what a look at its policy came to; one that lists the first
    /// was fetched before where a mode is given.
    fn facts(mode: Option<StsMode>, status: StsStatus) -> Facts {
        let text = r#"{"domain": "example.com",
            "mx": [[10, "mx1.example.com"], [20, "mx2.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]},
                      "mx2.example.com": {"a": ["192.0.2.2"]}}}"#;
        let facts = serde_json::from_str::<WhatIf>(text).unwrap().facts().unwrap();
        let policy = StsPolicy {
            id: "1".into(),
            max_age_seconds: 86_400,
            fetched_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::from_second(86_400).unwrap(),
            cached: true,
        };
        let sts = MtaSts {
            mode: mode.unwrap_or(StsMode::None),
            mx: vec!["mx1.example.com".into()],
            policy: mode.map(|_| policy),
            ..MtaSts::without_policy(status, Some("the \u{1b}detail".into()))
        };
        Facts { mta_sts: Some(sts), ..facts }
    }

    fn said(facts: &Facts) -> String {
        troubles(facts).into_iter().map(|trouble| trouble.what).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_does_not_apply_is_no_trouble() {
        for (mode, status) in [
            (None, StsStatus::Absent),
            (None, StsStatus::Valid),
            (Some(StsMode::None), StsStatus::Valid),
            (Some(StsMode::Testing), StsStatus::Valid),
        ] {
            assert_eq!(said(&facts(mode, status)), "", "{mode:?} {status:?}");
        }
        let mut lost = facts(None, StsStatus::DnsError);
        assert!(said(&lost).contains("failed: the \u{fffd}detail."), "{}", said(&lost));
        lost.mx.clear();
        assert_eq!(said(&lost), "", "without the route there is nothing else to say");
    }

    #[test]
    fn a_policy_that_holds_is_told_beside_what_failed() {
        let all = StsStatus::ALL.into_iter();
        for status in all.filter(|status| *status != StsStatus::Valid) {
            let told = said(&facts(Some(StsMode::Testing), status));
            let holds = "Until 1970-01-02 00:00 UTC senders that know it go by the policy of \
                         1970-01-01 00:00 UTC, mode testing; to others there is none.";
            assert!(told.ends_with(holds), "{status:?}: {told}");
            if let Some(failure) = status.failure() {
                assert!(told.contains(failure.word()), "{status:?}: {told}");
            }
            let told = said(&facts(None, status));
            let none = "Senders that have no older policy send as if there were none.";
            assert_eq!(told.ends_with(none), status != StsStatus::Absent, "{status:?}: {told}");
            assert!(!told.contains(char::is_control), "{told:?}");
        }
    }

    #[test]
    fn an_exchanger_that_is_left_out_is_named() {
        let enforced = facts(Some(StsMode::Enforce), StsStatus::Valid);
        assert!(said(&enforced).contains("enforced and does not list mx2.example.com:"));
        let tested = facts(Some(StsMode::Testing), StsStatus::Valid);
        assert!(notes(&tested)[0].contains("is being tested and does not list mx2.example.com:"));
        for (name, text) in lines(&enforced) {
            assert!(
                name == "MTA-STS" || text == "mx1.example.com; not among them: mx2.example.com"
            );
        }
    }

    #[test]
    fn an_exchanger_without_trusted_tls_breaks_what_the_policy_promises() {
        let text = r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]}}, "sts": "MODE",
            "sts_patterns": ["mx1.example.com"], "ips": {"192.0.2.1": {"starttls": HOW}}}"#;
        for (mode, how, want) in [
            ("enforce", "\"absent\"", "mx1.example.com at 192.0.2.1:25 does not offer STARTTLS:"),
            (
                "enforce",
                "{\"pkix_ok\": false}",
                "mx1.example.com at 192.0.2.1:25 shows a certificate ",
            ),
            ("enforce", "{\"pkix_ok\": true}", ""),
            ("testing", "\"absent\"", ""),
        ] {
            let text = text.replace("MODE", mode).replace("HOW", how);
            let facts = serde_json::from_str::<WhatIf>(&text).unwrap().facts().unwrap();
            let said = said(&facts);
            assert!(said.contains(want) && said.is_empty() == want.is_empty(), "{text}: {said}");
        }
    }

    #[test]
    fn reports_that_go_nowhere_are_noted() {
        let why = Some("it has no rua".to_owned());
        let tls_rpt = Some(TlsRpt::unusable(TlsRptStatus::Invalid, why));
        let facts = Facts { tls_rpt, ..facts(None, StsStatus::Absent) };
        assert!(notes(&facts)[0].ends_with("nobody sends reports: it has no rua."));
    }
}
