//! The same by size: how memory, processor time, lag and scrapes grow with the number of domains.

use std::thread;

use crate::{
    agent::{Agent, Watch, World, quantile},
    cases::{Extent, LAG, mebi, millis},
    process::Stretch,
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
    let before = agent.scrape();
    let stretch = Stretch::begin(&agent.process);
    thread::sleep(extent.long);
    let (cpu, wall) = stretch.end(&agent.process);
    let after = agent.scrape();
    let (bytes, _, took) = agent.drain();
    let lag = |share| 1e3 * quantile(share, &before.buckets(LAG), &after.buckets(LAG));
    let skipped =
        |samples: &crate::agent::Samples| samples.sum("mxwatch_rounds_skipped_total{", &[]);
    let of = |what: &str| format!("{domains} domains, {} exchangers: {what}", which.word());
    let minutes = wall.as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
    let each = |number: f64| number / domains as f64;
    vec![
        Figure::of(of("memory"), "MiB", mebi(agent.process.memory())),
        Figure::of(of("memory each"), "KiB", 1024.0 * each(mebi(agent.process.memory()))),
        Figure::of(of("CPU of a round"), "ms", millis(cpu) / minutes),
        Figure::of(of("CPU of a round each"), "µs", 1e3 * each(millis(cpu) / minutes)),
        Figure::of(of("share of one core"), "%", 100.0 * cpu.as_secs_f64() / wall.as_secs_f64()),
        Figure::of(of("lag p50"), "ms", lag(0.5)),
        Figure::of(of("lag p99"), "ms", lag(0.99)),
        Figure::of(of("rounds left out"), "", skipped(&after) - skipped(&before)),
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        Figure::of(of("series"), "", after.series() as f64),
        Figure::of(of("scrape"), "ms", millis(took)),
        Figure::of(of("scrape"), "MiB", mebi(bytes as u64)),
        #[expect(clippy::cast_precision_loss, reason = "it is not that many")]
        Figure::of(of("file descriptors"), "", agent.process.descriptors() as f64),
    ]
}
