//! `[metrics]`: how much `/metrics` holds.

use super::table::Table;

/// `[metrics]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// How much is exposed.
    pub detail: Detail,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { detail: Detail::Full }
    }
}

impl Metrics {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let mut metrics = Self::default();
        if let Some(table) = root.section("metrics") {
            table.set(&mut metrics.detail, "detail", |node| {
                node.parse("\"full\" or \"lean\"", |text| match text {
                    "full" => Ok(Detail::Full),
                    "lean" => Ok(Detail::Lean),
                    _ => Err("not \"full\" or \"lean\""),
                })
            });
        }
        metrics
    }
}

/// How many series an exchanger has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// All: at most 60 series per exchanger and family.
    Full,
    /// States, failures and last durations: at most 20.
    Lean,
}
