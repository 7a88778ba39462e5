//! Figures, as a table for people and as JSON for everything else.

use std::fmt::Write as _;

use serde::Serialize;

/// One figure: what was measured in each repetition, and beside what it stands.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What of, with the circumstances.
    pub(crate) what: String,
    /// Of all numbers.
    pub(crate) unit: &'static str,
    /// The median of the runs.
    pub(crate) median: f64,
    /// Each repetition, in order.
    pub(crate) runs: Vec<f64>,
    /// What it may be at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<f64>,
    /// The floor of the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    /// The peer in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<f64>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, runs: Vec<f64>) -> Self {
        let median = median(&runs);
        Self { what: what.into(), unit, median, runs, budget: None, floor: None, peer: None }
    }

    pub(crate) fn of(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self::new(what, unit, vec![value])
    }

    pub(crate) fn budget(self, budget: f64) -> Self {
        Self { budget: Some(budget), ..self }
    }

    pub(crate) fn floor(self, runs: &[f64]) -> Self {
        Self { floor: (!runs.is_empty()).then(|| median(runs)), ..self }
    }

    pub(crate) fn peer(self, runs: &[f64]) -> Self {
        Self { peer: (!runs.is_empty()).then(|| median(runs)), ..self }
    }
}

/// The middle of several numbers; of an even number of them the upper of both.
pub(crate) fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The table's head.
pub(crate) fn head() -> String {
    format!(
        "{:<58} {:>10} {:<5} {:>8} {:>8} {:>7} {:>9} {:>7}\n",
        "", "median", "", "budget", "floor", "×floor", "blackbox", "×faster"
    )
}

/// One line of it.
pub(crate) fn line(figure: &Figure) -> String {
    let shown = |number: Option<f64>| number.map_or_else(String::new, short);
    let mut line = String::new();
    let over = figure.floor.filter(|floor| *floor > 0.0).map(|floor| figure.median / floor);
    let faster = figure.peer.filter(|_| figure.median > 0.0).map(|peer| peer / figure.median);
    let over_budget = figure.budget.is_some_and(|budget| figure.median > budget);
    writeln!(
        line,
        "{:<58} {:>10} {:<5} {:>8}{} {:>7} {:>7} {:>9} {:>7}",
        figure.what,
        short(figure.median),
        figure.unit,
        shown(figure.budget),
        if over_budget { "!" } else { " " },
        shown(figure.floor),
        shown(over),
        shown(figure.peer),
        shown(faster),
    )
    .expect("a string takes all");
    line
}

/// Three digits that matter.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        n if n < 1.0 => format!("{number:.3}"),
        n if n < 10.0 => format!("{number:.2}"),
        n if n < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
