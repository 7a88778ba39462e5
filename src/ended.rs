//! How a command that ends by itself ended, and the exit status that tells it.

use crate::delivery::Outcome;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It did what it was asked to; there was nothing to judge.
    Done,
    /// The command line is wrong; it was said why.
    Usage,
    /// What was to be read cannot be; it was said where.
    Data,
    /// The configuration is wrong; it was said why.
    Config,
    /// Ended by the user.
    Interrupted,
    /// The agent that was asked is not healthy; it was said why.
    Unhealthy,
    /// Everything was judged; this is the worst outcome.
    Judged(Outcome),
}

impl Ended {
    /// The exit status: of an outcome its own, of a mistake as sysexits.h has it.
    pub const fn status(self) -> u8 {
        match self {
            Self::Done | Self::Judged(Outcome::Deliver) => 0,
            // What a container's health check ends with.
            Self::Unhealthy | Self::Judged(Outcome::Defer | Outcome::Freeze) => 1,
            Self::Judged(Outcome::Bounce) => 2,
            Self::Judged(Outcome::Unknown) => 3,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Config => 78,
            // A shell's status of a command ended by SIGINT.
            Self::Interrupted => 130,
        }
    }
}
