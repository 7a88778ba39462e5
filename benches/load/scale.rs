//! The same by size: how memory, processor time, lag and scrapes grow with the number of domains.

use std::thread;

use crate::{
    agent::{Agent, Watch, World},
    cases::{Extent, mebi, millis},
    report::Figure,
    world::{Exchangers, Manners},
};

pub(crate) fn measure(extent: &Extent) -> Vec<Figure> {
    let mut figures = vec![];
    for which in [Exchangers::Distinct, Exchangers::Shared] {
        for &domains in extent.sizes {
            figures.extend(one(domains, which, extent));
        }
    }
    figures
}

fn one(domains: usize, which: Exchangers, extent: &Extent) -> Vec<Figure> {
    let world = World::start(domains, which, Manners::Healthy);
    let mut agent = Agent::start(&Watch::domains(&world, 60));
    agent.until_observed(world.exchangers());
    // The rounds of the start go on at their own pace.
    thread::sleep(extent.long / 2);
    let stretch = agent.over(extent.long);
    let (bytes, _, took) = agent.drain();
    let of = |what: &str| format!("{domains} domains, {} exchangers: {what}", which.word());
    let cpu = millis(stretch.cpu_of_a_minute());
    #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
    let each = |number: f64| number / domains as f64;
    vec![
        Figure::of(of("memory"), "MiB", mebi(agent.process.memory())),
        Figure::of(of("memory each"), "KiB", 1024.0 * each(mebi(agent.process.memory()))),
        Figure::of(of("CPU of a round"), "ms", cpu),
        Figure::of(of("CPU of a round each"), "µs", 1e3 * each(cpu)),
        Figure::of(of("share of one core"), "%", stretch.share_of_core()),
        Figure::of(of("lag p50"), "ms", stretch.lag(0.5)),
        Figure::of(of("lag p99"), "ms", stretch.lag(0.99)),
        Figure::of(of("rounds left out"), "", stretch.grown("mxwatch_rounds_skipped_total{")),
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        Figure::of(of("series"), "", stretch.after.series() as f64),
        Figure::of(of("scrape"), "ms", millis(took)),
        Figure::of(of("scrape"), "MiB", mebi(bytes as u64)),
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        Figure::of(of("file descriptors"), "", agent.process.descriptors() as f64),
    ]
}
