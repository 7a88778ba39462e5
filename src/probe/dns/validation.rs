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
/// and only then, what failed was validation: one that says nothing of DNSSEC itself may just have
/// come round, so it is asked to fail again. Nobody is asked when no time is `left`.
pub(super) async fn tell_bogus(
    channel: &Channel,
    (name, rtype): (&Name, RecordType),
    exchanges: &mut Vec<Exchange>,
    left: impl Fn() -> Option<Patience>,
) {
    let Some(failed) = suspect(exchanges) else { return };
    let server = failed.server;
    let ask = async |checking_disabled| {
        let question = Question { checking_disabled, ..Question::new(name.clone(), rtype) };
        // What comes late is of no use to anybody here.
        let patience = Patience { late_window: Duration::ZERO, ..left()? };
        // Seldom needed, so no part of every lookup.
        Some(Box::pin(exchange(channel, server, &question, patience)).await)
    };
    let Some(unchecked) = ask(true).await else { return };
    if unchecked.status.answered() {
        // What a sender would have got is what came first, so this counts for nothing else.
        let fails_again = says(&failed.extended_errors, &ExtendedError::OF_DNSSEC)
            || ask(false).await.is_some_and(|again| again.status == LookupStatus::Servfail);
        if fails_again {
            failed.status = LookupStatus::Bogus;
        }
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
    says(errors, &UNREACHABLE) && !says(errors, &ExtendedError::OF_DNSSEC)
}

fn says(errors: &[ExtendedError], codes: &[u16]) -> bool {
    errors.iter().any(|error| codes.contains(&error.code))
}

/// No Reachable Authority and Network Error (RFC 8914 §4.23 and §4.24).
const UNREACHABLE: [u16; 2] = [22, 23];

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::UdpSocket;

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
        tell_bogus(&Channel::Udp, (&name, RecordType::Mx), &mut exchanges, || None).await;
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].status, LookupStatus::Servfail);
    }

    /// A server that answers queries without CD with these codes in turn, and those with it.
    async fn server(mut codes: std::vec::IntoIter<u8>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let checking_disabled = query[3] & 0x10 != 0;
                let code = if checking_disabled { 0 } else { codes.next().unwrap_or_default() };
                (query[2], query[3]) = (query[2] | 0x80, 0x80 | code);
                socket.send_to(&query[..length], from).await.unwrap();
            }
        });
        at
    }

    #[tokio::test]
    async fn a_server_that_came_round_meanwhile_has_not_failed_at_validation() {
        const SERVFAIL: u8 = 2;
        let patience = Patience { timeout: Duration::from_secs(20), late_window: Duration::ZERO };
        for (then, codes, want) in [
            (SERVFAIL, &[][..], LookupStatus::Bogus),
            (0, &[], LookupStatus::Servfail),
            (0, &[9], LookupStatus::Bogus),
        ] {
            let server = server(vec![then].into_iter()).await;
            let mut exchanges = vec![Exchange { server, ..ended(LookupStatus::Servfail, codes) }];
            let name = Name::root();
            let asked = (&name, RecordType::Mx);
            tell_bogus(&Channel::Udp, asked, &mut exchanges, || Some(patience)).await;
            assert_eq!((exchanges[0].status, exchanges.len()), (want, 2), "{then} {codes:?}");
        }
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
