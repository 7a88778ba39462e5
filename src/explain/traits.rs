//! What tells a sender from others, in the words of a postmaster.

use super::plain::roundly;
use crate::{
    delivery::{Behaviour, HostTempScope, Ipv4BesideIpv6, PlainFallback, Step, Tls},
    facts::Family,
};

/// What is worth knowing of a sender, the most deciding first.
pub fn of(behaviour: &Behaviour) -> Vec<String> {
    let mut all: Vec<String> =
        [families(behaviour), lookups(behaviour)].into_iter().flatten().collect();
    all.extend([silence(behaviour), greeting(behaviour)]);
    all.extend(attempts(behaviour));
    all.extend([tls(behaviour), queue(behaviour)]);
    all
}

fn families(behaviour: &Behaviour) -> Option<String> {
    match behaviour.families.as_slice() {
        [Family::Ipv4] => Some("uses IPv4 only".to_owned()),
        [Family::Ipv6] => Some("uses IPv6 only".to_owned()),
        _ if behaviour.ipv4_beside_ipv6 == Ipv4BesideIpv6::Never => {
            Some("does not try IPv4 where there is IPv6".to_owned())
        }
        _ => None,
    }
}

fn lookups(behaviour: &Behaviour) -> Option<String> {
    if !behaviour.aaaa_temp_fatal || !behaviour.families.contains(&Family::Ipv6) {
        return None;
    }
    Some(match behaviour.host_temp_scope {
        HostTempScope::SkipHost => {
            "passes over an exchanger whose AAAA lookup fails, although A works".to_owned()
        }
        HostTempScope::DropGePref => {
            "passes over an exchanger whose AAAA lookup fails, although A \
                                      works, and over all that are not better"
                .to_owned()
        }
        HostTempScope::DeferDomain => {
            "holds mail when the AAAA lookup of any exchanger fails, although A works".to_owned()
        }
    })
}

fn silence(behaviour: &Behaviour) -> String {
    let waits = format!(
        "waits {} for a connection and {} for a greeting",
        roundly(behaviour.connect_patience()),
        roundly(behaviour.banner_timeout.0)
    );
    match behaviour.on_no_banner {
        Step::Defer => format!("{waits}, and never passes over a server that keeps silent"),
        Step::Bounce => format!("{waits}, and returns mail when there is none"),
        Step::NextAddr | Step::NextHost => waits,
    }
}

fn greeting(behaviour: &Behaviour) -> String {
    if behaviour.banner_5xx_nonfinal == Step::Bounce {
        return "returns mail at the first 5yz greeting".to_owned();
    }
    match behaviour.banner_5xx_final {
        Step::Bounce => "returns mail when the last server greets with 5yz".to_owned(),
        _ => "keeps mail when the last server greets with 5yz".to_owned(),
    }
}

fn attempts(behaviour: &Behaviour) -> Option<String> {
    match behaviour.max_addrs {
        0 => None,
        most => Some(format!("tries {most} addresses in one attempt")),
    }
}

fn tls(behaviour: &Behaviour) -> String {
    let mut parts = vec![match (behaviour.tls, behaviour.plain_fallback) {
        (Tls::None, _) => "uses no TLS".to_owned(),
        (Tls::Encrypt, _) => "insists on TLS".to_owned(),
        (Tls::May, PlainFallback::Never) => "uses TLS where offered, and then insists".to_owned(),
        (Tls::May, PlainFallback::Now) => {
            "uses TLS where offered, and plain text when that fails".to_owned()
        }
        (Tls::May, PlainFallback::IfAge) => format!(
            "uses TLS where offered, and plain text when that fails for {}",
            roundly(behaviour.plain_min_age.0)
        ),
    }];
    parts.extend(behaviour.dane.then(|| "keeps to DANE".to_owned()));
    parts.extend(behaviour.mta_sts.then(|| "keeps to MTA-STS".to_owned()));
    parts.join(", ")
}

fn queue(behaviour: &Behaviour) -> String {
    let first = behaviour.retry.first().unwrap_or(&behaviour.retry_last);
    format!(
        "tries again after {}, returns mail after {}",
        roundly(first.0),
        roundly(behaviour.expire.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::builtin;

    #[test]
    fn the_deciding_differences_are_said() {
        for (name, wanted) in [
            ("exchange-2010", "AAAA lookup fails, although A works"),
            ("sendmail", "AAAA lookup fails, although A works"),
            ("ims-5.5", "never passes over a server that keeps silent"),
            ("postfix", "waits 30 s for a connection and 5 min for a greeting"),
            ("ipv6-only", "uses IPv6 only"),
            ("exim", "keeps to DANE"),
        ] {
            let all = of(&builtin::get(name).unwrap().behaviour);
            assert!(all.iter().any(|words| words.contains(wanted)), "{name}: {all:?}");
        }
        let postfix = of(&builtin::get("postfix").unwrap().behaviour);
        assert!(!postfix.iter().any(|words| words.contains("AAAA")), "{postfix:?}");
    }
}
