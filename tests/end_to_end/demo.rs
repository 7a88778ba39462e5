//! `mxwatch demo`: what it promises to show can be seen.

use std::collections::BTreeSet;

use mxwatch::world::{World, scenes::scenes};

use crate::harness::{Agent, Scrape, run, wait_until};

/// What no exchanger of the demo fails with but these: mx, family, stage, reason.
const FAILURES: [(&str, &str, &str, &str); 16] = [
    ("backup.split-view.test", "ipv4", "banner", "timeout"),
    ("mx1.banner-421.test", "ipv4", "banner", "reply_4xx"),
    ("mx1.banner-554.test", "ipv4", "banner", "reply_5xx"),
    ("mx1.closed.test", "ipv4", "banner", "closed"),
    ("mx1.drip.test", "ipv4", "banner", "timeout"),
    ("mx1.endless.test", "ipv4", "ehlo", "too_long"),
    ("mx1.helo-refused.test", "ipv4", "helo", "reply_5xx"),
    ("mx1.long-line.test", "ipv4", "banner", "too_long"),
    ("mx1.not-smtp.test", "ipv4", "banner", "malformed"),
    ("mx1.refused.test", "ipv4", "connect", "refused"),
    ("mx1.reset.test", "ipv4", "banner", "reset"),
    ("mx1.silent-banner.test", "ipv4", "banner", "timeout"),
    ("mx1.starttls-refused.test", "ipv4", "starttls", "reply_4xx"),
    ("mx1.tls-broken.test", "ipv4", "tls_handshake", "tls_error"),
    ("mx1.tls-injected.test", "ipv4", "starttls", "injected"),
    ("mx1.v6-dead.test", "ipv6", "connect", "refused"),
];

/// Every lookup of the demo that gives neither records nor "none of that type".
const LOOKUPS: [(&str, &str, &str); 9] = [
    ("backup.split-view.test", "A", "nxdomain"),
    ("backup.split-view.test", "AAAA", "nxdomain"),
    ("garbage.test", "MX", "malformed"),
    ("mx-servfail.test", "MX", "servfail"),
    ("mx1.aaaa-servfail.test", "AAAA", "servfail"),
    ("mx1.aaaa-silent.test", "AAAA", "timeout"),
    ("no-such-domain.test", "MX", "nxdomain"),
    ("old.mx-gone.test", "A", "nxdomain"),
    ("old.mx-gone.test", "AAAA", "nxdomain"),
];

/// The failures of a scrape, as in [`FAILURES`].
fn failures(scrape: &Scrape) -> BTreeSet<(&str, &str, &str, &str)> {
    let samples = scrape.matching("mx_exchanger_failure", &[]);
    let of = |sample| ["mx", "family", "stage", "reason"].map(|l| label(sample, l)).into();
    samples.into_iter().map(of).collect()
}

fn label<'a>(sample: &'a crate::harness::Sample, name: &str) -> &'a str {
    sample.label(name)
}

/// The lookups of a scrape, as in [`LOOKUPS`].
fn lookups(scrape: &Scrape) -> BTreeSet<(&str, &str, &str)> {
    let samples = scrape.matching("mx_dns_lookup_status", &[]);
    let of = |sample| ["name", "type", "status"].map(|l| label(sample, l)).into();
    let remarkable = |(_, _, status): &(&str, &str, &str)| !["noerror", "nodata"].contains(status);
    samples.into_iter().map(of).filter(remarkable).collect()
}

#[test]
fn every_scene_shows_what_it_stands_for() {
    let mut demo = Agent::demo(&["--interval=2s"]);
    let ipv6 = World::ipv6_available();
    let here = |failure: &&(&str, &str, &str, &str)| ipv6 || failure.1 == "ipv4";
    let expected: BTreeSet<_> = FAILURES.iter().filter(here).copied().collect();
    let expected_lookups = BTreeSet::from(LOOKUPS);
    let scrape = demo.scrape_until("every failure of the scenes", |scrape| {
        failures(scrape).is_superset(&expected) && lookups(scrape) == expected_lookups
    });
    let found: BTreeSet<_> =
        failures(&scrape).into_iter().filter(|f| ipv6 || f.1 == "ipv4").collect();
    assert_eq!(found, expected);

    for scene in scenes() {
        let what = format!("{}: {}", scene.domain, scene.look_for);
        wait_until(&what, || {
            let shown = demo.get("/metrics").body.lines().any(|l| l.starts_with(scene.look_for));
            shown.then_some(())
        });
        let page = demo.get(&format!("/domains/{}", scene.domain));
        assert!(page.body.contains(scene.domain), "{} {}", page.status, page.head);
    }

    // What works beside what fails.
    let scrape = demo.scrape();
    let up = |mx, family| scrape.value("mx_exchanger_up", &[("mx", mx), ("family", family)]);
    for mx in [
        "mx1.healthy.test",
        "mx2.healthy.test",
        "mx1.aaaa-servfail.test",
        "mx1.aaaa-silent.test",
        "mx2.silent-banner.test",
        "mx1.slow-banner.test",
        "mx1.multiline.test",
        "mx1.ehlo-refused.test",
        "implicit.test",
        "mx1.provider.test",
        "mx2.provider.test",
        "mx1.v6-dead.test",
        "mx.split-view.test",
    ] {
        assert_eq!(up(mx, "ipv4"), Some(1.0), "{mx}");
    }
    assert_eq!(up("mx1.healthy.test", "ipv6"), ipv6.then_some(1.0));
    for (mx, family, stage, _) in &expected {
        // Mail may still go in plain text where opportunistic TLS fails.
        let plain = ["starttls", "tls_handshake"].contains(stage);
        assert_eq!(up(mx, family), Some(f64::from(u8::from(plain))), "{mx}");
    }
    let reply = |mx, stage| scrape.value("mx_smtp_reply_code", &[("mx", mx), ("stage", stage)]);
    assert_eq!(reply("mx1.banner-554.test", "banner"), Some(554.0));
    assert_eq!(reply("mx1.banner-421.test", "banner"), Some(421.0));
    assert_eq!(reply("mx1.ehlo-refused.test", "helo"), Some(250.0));
    // A domain that takes no mail leads nowhere; a shared exchanger is on three routes and more.
    assert!(scrape.matching("mx_route", &[("domain", "null-mx.test")]).is_empty());
    let shared = [("mx", "mx2.provider.test"), ("family", "ipv4")];
    let routes = scrape.matching("mx_route", &shared);
    assert_eq!(routes.len(), 4, "shared-a, shared-b, shared-c and truncated");

    let (status, _) = demo.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_commands_it_prints_work() {
    let demo = Agent::demo(&["--interval=2s"]);
    let line = wait_until("the printed command", || {
        demo.output().into_iter().find(|line| line.contains("mxwatch check "))
    });
    let args: Vec<&str> = line.split_whitespace().skip(1).collect();
    let checked = run(&args);
    // Late, and delivered.
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("! postfix        delivers via mx2.silent-banner.test"));
    assert!(checked.stdout.contains("accepts the TCP connection and then does not greet"));
    assert!(checked.stdout.contains("Connected to 127.83.0.5."), "a transcript: {checked:?}");
    let shown = demo.output().join("\n");
    for scene in scenes() {
        assert!(shown.contains(scene.look_for), "{}", scene.look_for);
    }
    let page = format!("http://{}/metrics", demo.address());
    assert!(shown.contains(&page), "{page}");
}
