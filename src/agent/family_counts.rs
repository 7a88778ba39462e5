//! What is counted for one exchanger and family since it is watched.
//!
//! There are tens of thousands of them, so that each is small. What a session adds is said in
//! [`counting`](super::counting).

use super::tallies::Tallies;
use crate::{
    facts::{Elapsed, Failure, Stage},
    metrics::histogram::Histogram,
};

/// What is counted for one exchanger and family.
#[derive(Clone, Debug, Default)]
pub struct FamilyCounts {
    /// Sessions by how they ended.
    pub sessions: Tallies<Ending>,
    /// Replies that told something.
    pub replies: Tallies<Replied>,
    /// TCP handshakes that succeeded.
    pub connect: Histogram<u32>,
    /// Established connection to complete banner.
    pub banner: Histogram<u32>,
    /// How long the most refusing address is being left alone; zero when none is.
    pub backoff: Elapsed,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ending {
    /// Mail could have been handed over.
    Done,
    /// Something was wrong, whether or not mail could have been handed over.
    Fault(Failure),
    /// One of too many different ways.
    Other,
}

impl Ending {
    /// The values of the labels `stage` and `reason`.
    pub const fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Done => ["done", "ok"],
            Self::Fault(Failure { stage, reason }) => [stage.label(), reason.label()],
            Self::Other => [OTHER, OTHER],
        }
    }
}

/// A reply to be counted. The tail of the distribution is folded, so that a server cannot create series
/// at will.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Replied {
    /// This code at this stage.
    Code(Stage, u16),
    /// One of too many different codes.
    Other,
}

impl Replied {
    /// The value of the label `stage`.
    pub const fn stage(self) -> &'static str {
        match self {
            Self::Code(stage, _) => stage.label(),
            Self::Other => OTHER,
        }
    }

    /// The code, unless it is one of too many.
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Code(_, code) => Some(code),
            Self::Other => None,
        }
    }
}

/// The value of labels for what there is no room to count apart.
pub const OTHER: &str = "other";
