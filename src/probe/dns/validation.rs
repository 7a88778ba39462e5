//! Whether SERVFAIL means that DNSSEC validation failed: the resolver is asked again not to validate.
//!
//! RFC 4035 §5.5 has a resolver answer SERVFAIL for what is bogus, as it does when it fails otherwise.
//! With the CD bit it hands the data over all the same (§3.2.2).

use std::time::Duration;

use hickory_resolver::proto::rr::Name;

use super::{
    Patience,
    exchange::{Channel, exchange},
    message::Question,
};
use crate::facts::{Exchange, ExtendedError, LookupStatus, RecordType};

/// Asks the server that decided with SERVFAIL once more without validation. If it can answer then,
/// what failed was validation. Nobody is asked when no time is left.
pub(super) async fn tell_bogus(
    channel: &Channel,
    (name, rtype): (&Name, RecordType),
    exchanges: &mut Vec<Exchange>,
    left: Option<Patience>,
) {
    let (Some(failed), Some(left)) = (suspect(exchanges), left) else { return };
    let question = Question { checking_disabled: true, ..Question::new(name.clone(), rtype) };
    // What comes late is of no use to anybody here.
    let patience = Patience { late_window: Duration::ZERO, ..left };
    // Seldom needed, so no part of every lookup.
    let unchecked = Box::pin(exchange(channel, failed.server, &question, patience)).await;
    if unchecked.status.answered() {
        failed.status = LookupStatus::Bogus;
    }
    exchanges.push(Exchange { checking_disabled: true, ..unchecked });
}

/// The exchange that decides, where validation may be why it failed.
fn suspect(exchanges: &mut [Exchange]) -> Option<&mut Exchange> {
    if exchanges.iter().any(|exchange| exchange.status.answered()) {
        return None;
    }
    let last = exchanges.iter_mut().rev().find(|exchange| exchange.status.responded())?;
    let servfail = last.status == LookupStatus::Servfail;
    (servfail && !unreachable(&last.extended_errors)).then_some(last)
}

/// Whether the resolver says itself that it reached nobody: one that reaches somebody the second
/// time has not failed at validation.
fn unreachable(errors: &[ExtendedError]) -> bool {
    let says = |codes: &[u16]| errors.iter().any(|error| codes.contains(&error.code));
    says(&UNREACHABLE) && !says(&ExtendedError::OF_DNSSEC)
}

/// No Reachable Authority and Network Error (RFC 8914 §4.23 and §4.24).
const UNREACHABLE: [u16; 2] = [22, 23];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Transport;

    fn ended(status: LookupStatus, codes: &[u16]) -> Exchange {
        let error = |code: &u16| ExtendedError { code: *code, text: String::new() };
        let server = ([192, 0, 2, 53], 53).into();
        Exchange {
            extended_errors: codes.iter().map(error).collect(),
            ..Exchange::empty(server, Transport::Udp, status)
        }
    }

    #[tokio::test]
    async fn without_time_left_nobody_is_asked() {
        let mut exchanges = vec![ended(LookupStatus::Servfail, &[])];
        let name = Name::root();
        tell_bogus(&Channel::Udp, (&name, RecordType::Mx), &mut exchanges, None).await;
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].status, LookupStatus::Servfail);
    }

    #[test]
    fn only_servfail_that_decides_and_is_not_explained_otherwise_is_suspect() {
        use LookupStatus::{Formerr, Noerror, Refused, Servfail, Timeout};
        for (exchanges, want) in [
            (vec![ended(Servfail, &[])], true),
            (vec![ended(Servfail, &[]), ended(Timeout, &[])], true),
            (vec![ended(Servfail, &[]), ended(Noerror, &[])], false),
            (vec![ended(Servfail, &[]), ended(Refused, &[])], false),
            (vec![ended(Formerr, &[])], false),
            (vec![ended(Timeout, &[])], false),
            (vec![ended(Servfail, &[22])], false),
            (vec![ended(Servfail, &[23, 22])], false),
            (vec![ended(Servfail, &[9, 22])], true),
            (vec![ended(Servfail, &[0])], true),
            (vec![], false),
        ] {
            let mut exchanges = exchanges;
            assert_eq!(suspect(&mut exchanges).is_some(), want, "{exchanges:?}");
        }
    }
}
