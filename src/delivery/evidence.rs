//! What a verdict rests on: which parameters decided, and what had to be taken for granted.

use super::{
    behaviour::Parameter,
    sender::{Confidence, Sender},
};

/// Collected on the way to a verdict.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Evidence {
    /// A bit for each parameter that decided what happens. How long it takes is another matter.
    consulted: u64,
    /// The probe was less patient than the sender.
    pub(super) censored: bool,
    /// Something that nobody observed was taken for granted.
    pub(super) assumed: bool,
}

const _: () = assert!(Parameter::ALL.len() <= u64::BITS as usize, "a bit for each parameter");

impl Evidence {
    pub(super) fn consult(&mut self, parameter: Parameter) {
        self.consulted |= 1 << parameter as u32;
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.consulted |= other.consulted;
        self.censored |= other.censored;
        self.assumed |= other.assumed;
    }

    /// The least that is known about any of it.
    pub(super) fn confidence(self, sender: &Sender) -> Confidence {
        let consulted = Parameter::ALL.iter().filter(|p| self.consulted & (1 << **p as u32) != 0);
        let least = consulted.map(|p| sender.confidence(*p)).min().unwrap_or(Confidence::High);
        if self.assumed { least.min(Confidence::Medium) } else { least }
    }
}
