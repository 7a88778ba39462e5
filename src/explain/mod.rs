//! Facts and verdicts in words: what an admin reads at a glance, the dialogue as telnet would show
//! it, what is wrong, what a sender would make of it, and the commands to see it by hand.
//!
//! Pure: facts in, text out. Server text arrives free of control characters (`probe` saw to it);
//! what may also come from a file, the words about a verdict, is made so here.

mod answers;
pub mod authority;
mod because;
mod by_hand;
mod cure;
mod detour;
mod extended_error;
pub mod judged;
pub mod meaning;
pub mod paint;
mod plain;
pub mod policies;
pub mod recipient;
pub mod report;
pub mod resolver;
mod seen;
mod sender_log;
pub(crate) mod several;
mod side_by_side;
pub mod tls;
mod tlsa;
pub mod trace;
pub mod traits;
pub mod transcript;
pub mod trouble;
pub mod vantage;
pub mod verdict;
pub mod verdicts;
pub mod weak_points;

use std::{net::SocketAddr, time::Duration};

/// A name server's address, with its port where that is not the usual one.
pub(crate) fn place(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

/// A duration as people say it: `0.8 ms`, `12 ms`, `1.5 s`, `2 min 5 s`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (micros, want) in [
            (40, "0.0 ms"),
            (800, "0.8 ms"),
            (12_300, "12 ms"),
            (1_500_000, "1.5 s"),
            (60_000_000, "60.0 s"),
            (125_000_000, "2 min 5 s"),
        ] {
            assert_eq!(spoken(Duration::from_micros(micros)), want);
        }
    }
}
