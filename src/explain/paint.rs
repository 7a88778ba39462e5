//! Colour for terminals: a handful of ANSI styles, or none.

use std::fmt::Display;

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Off: text stays as it is.
    pub on: bool,
}

impl Paint {
    /// What is well.
    pub fn good(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// What is wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.wrap("1;31", text)
    }

    /// What is well, but not as it should be.
    pub fn warn(self, text: impl Display) -> String {
        self.wrap("1;33", text)
    }

    /// What the eye should find first.
    pub fn strong(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// What it may skip.
    pub fn faint(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, style: &str, text: impl Display) -> String {
        if self.on { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}
