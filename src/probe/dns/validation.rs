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
/// what failed was validation, unless it can now answer with it, too: a resolver that does not say
/// itself that it was DNSSEC is asked a third time. Nobody is asked when no time is `left`.
pub(super) async fn tell_bogus(
    channel: &Channel,
    (name, rtype): (&Name, RecordType),
    exchanges: &mut Vec<Exchange>,
    left: impl Fn() -> Option<Patience>,
) {
    let Some(place) = suspect(exchanges) else { return };
    let server = exchanges[place].server;
    let ask = async |checking_disabled| {
        let question = Question { checking_disabled, ..Question::new(name.clone(), rtype) };
        // What comes late is of no use to anybody here.
        let patience = Patience { late_window: Duration::ZERO, ..left()? };
        // Seldom needed, so no part of every lookup.
        Some(Box::pin(exchange(channel, server, &question, patience)).await)
    };
    let Some(unchecked) = ask(true).await else { return };
    let mut bogus = unchecked.status.answered();
    exchanges.push(Exchange { checking_disabled: true, inquiry: true, ..unchecked });
    if bogus && !says(&exchanges[place].further.extended_errors, &ExtendedError::OF_DNSSEC) {
        let Some(again) = ask(false).await else { return };
        bogus = again.status == LookupStatus::Servfail;
        // Who asked got what came first, so this counts for nothing else.
        exchanges.push(Exchange { inquiry: true, ..again });
    }
    if bogus {
        exchanges[place].status = LookupStatus::Bogus;
    }
}

/// The place of the exchange that decides, where validation may be why it failed.
fn suspect(exchanges: &[Exchange]) -> Option<usize> {
    if exchanges.iter().any(|exchange| exchange.status.answered()) {
        return None;
    }
    let place = exchanges.iter().rposition(|exchange| exchange.status.responded())?;
    let last = &exchanges[place];
    let servfail = last.status == LookupStatus::Servfail;
    (servfail && !unreachable(&last.further.extended_errors)).then_some(place)
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
    use std::net::{Ipv4Addr, SocketAddr};

    use hickory_resolver::proto::op::{Message, ResponseCode};
    use tokio::net::UdpSocket;

    use super::*;
    use crate::facts::{Further, Lookup, Transport};

    fn ended(status: LookupStatus, codes: &[u16]) -> Exchange {
        let error = |code: &u16| ExtendedError { code: *code, text: String::new() };
        let server = ([192, 0, 2, 53], 53).into();
        let extended_errors = codes.iter().map(error).collect();
        Exchange {
            further: Further { extended_errors, ..Further::default() }.into(),
            ..Exchange::empty(server, Transport::Udp, status)
        }
    }

    #[tokio::test]
    async fn without_time_left_nobody_is_asked() {
        let mut exchanges = vec![ended(LookupStatus::Servfail, &[])];
        let name = Name::root();
        tell_bogus(&Channel::Udp(Vec::new()), (&name, RecordType::Mx), &mut exchanges, || None)
            .await;
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].status, LookupStatus::Servfail);
    }

    /// A resolver that answers with these codes, one query after the other.
    async fn resolver(codes: Vec<ResponseCode>) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            for code in codes {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let mut reply = Message::from_vec(&buffer[..length]).unwrap().into_response();
                reply.metadata.response_code = code;
                reply.metadata.recursion_available = true;
                socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn what_fails_only_for_a_moment_is_not_bogus() {
        use LookupStatus::{Bogus, Nodata, Servfail};
        use ResponseCode::{NoError, ServFail};
        for (codes, explained, statuses, status) in [
            (vec![ServFail], false, vec![Servfail, Servfail], Servfail),
            (vec![NoError, NoError], false, vec![Servfail, Nodata, Nodata], Servfail),
            (vec![NoError, ServFail], false, vec![Bogus, Nodata, Servfail], Bogus),
            (vec![NoError], true, vec![Bogus, Nodata], Bogus),
        ] {
            let server = resolver(codes).await;
            let failed = ended(Servfail, if explained { &[7] } else { &[] });
            let mut exchanges = vec![Exchange { server, ..failed }];
            let name = Name::root();
            let (timeout, late_window) = (Duration::from_secs(20), Duration::ZERO);
            let left = || Some(Patience { timeout, late_window });
            tell_bogus(&Channel::Udp(Vec::new()), (&name, RecordType::Mx), &mut exchanges, left)
                .await;
            assert_eq!(exchanges.iter().map(|e| e.status).collect::<Vec<_>>(), statuses);
            let lookup = Lookup::new("r".into(), RecordType::Mx, ".".into(), exchanges);
            assert_eq!(lookup.status(), status);
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
            assert_eq!(suspect(&exchanges).is_some(), want, "{exchanges:?}");
        }
    }
}
