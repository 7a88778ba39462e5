//! Why an exchange brought no response: its status, and in words what the network, TLS or HTTP said.

use std::io;

use crate::{facts::LookupStatus, probe::words, shown::one_line};

/// An exchange that brought no response.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// One of those that are no response.
    pub(super) status: LookupStatus,
    /// A clause, where there is more to say than the status does.
    pub(super) error: Option<Box<str>>,
}

impl Failed {
    /// Nothing came in time.
    pub(super) const SILENT: Self = Self { status: LookupStatus::Timeout, error: None };

    /// Not even the connection came about in time.
    pub(super) fn unconnected() -> Self {
        Self::because(LookupStatus::Timeout, "the connection does not come about in time")
    }

    /// What came is not what was asked for.
    pub(super) fn malformed(why: &str) -> Self {
        Self::because(LookupStatus::Malformed, why)
    }

    /// No way to ask.
    pub(super) fn network(why: &str) -> Self {
        Self::because(LookupStatus::NetworkError, why)
    }

    fn because(status: LookupStatus, why: &str) -> Self {
        Self { status, error: Some(one_line(why, words::MOST).into()) }
    }
}

impl From<LookupStatus> for Failed {
    fn from(status: LookupStatus) -> Self {
        Self { status, error: None }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::network(&words::of_io(&error))
    }
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        Self::network(&format!("HTTP/2 ends: {}", words::of_http(&error)))
    }
}
