//! The world that the sender meets, and for each domain of it what Postfix has to do.
//!
//! The domains and the exchangers are in `conditions.zone`.

use std::{net::Ipv6Addr, time::Duration};

use mxwatch::world::{World, WorldBuilder, smtp_script::Script};
use serde_json::{Value, json};

use crate::verdict::{Forecast, bounce, defer, deliver};

const ZONE: &str = include_str!("conditions.zone");

/// How long the sender waits, in seconds. All differ, so that the wait tells what for, and each is
/// longer than [`crate::verdict::SLACK`].
pub(crate) const DNS: u64 = 3;
pub(crate) const CONNECT: u64 = 4;
pub(crate) const GREETING: u64 = 5;
/// How long a server may take to greet and not be given up.
const SLOW: u64 = 2;

/// The IPv6 addresses of the world: one healthy, one deaf, and those that refuse.
pub(crate) const IPV6: [Ipv6Addr; 8] =
    [ipv6(0x1), ipv6(0x8), ipv6(0x9), ipv6(0xa), ipv6(0xb), ipv6(0xc), ipv6(0xd), ipv6(0xe)];

const fn ipv6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd84, 0, 0, 0, 0, 0, 0, last)
}

/// The servers, ready to start.
pub(crate) fn world() -> WorldBuilder {
    let healthy = || Script::healthy("healthy.mx.test");
    let but = |text: &str| healthy().with(text).unwrap();
    [
        ([0, 1], healthy()),
        ([0, 2], healthy()),
        ([1, 1], Script::silent()),
        ([1, 2], Script::slow_banner(Duration::from_secs(SLOW))),
        ([1, 3], Script::banner("421 4.3.2 No greeting today")),
        ([1, 4], Script::banner("421 4.3.2 No greeting today")),
        ([1, 5], Script::banner("554 5.3.2 No greeting ever")),
        ([1, 6], Script::resets_on_accept()),
        ([1, 7], Script::closes_on_accept()),
        ([1, 8], Script::silent()),
        ([2, 1], Script::ehlo_refused()),
        ([2, 2], but("ehlo 451 4.3.0 Not now")),
        ([2, 3], but("ehlo 421 4.3.2 Shutting down !close")),
        ([2, 4], Script::helo_refused()),
        ([2, 5], but("ehlo !silent")),
        ([2, 6], but("ehlo !close")),
        ([3, 1], but("mail 451 4.3.0 Not now")),
        ([3, 2], but("mail 550 5.7.1 Not you")),
        ([3, 3], but("rcpt 450 4.2.0 Greylisted")),
        ([3, 4], but("rcpt 450 4.2.0 Greylisted")),
        ([3, 5], but("rcpt 550 5.1.1 Unknown")),
        ([3, 6], but("rcpt 552 5.2.2 Full")),
    ]
    .into_iter()
    .fold(World::builder().zone(ZONE).unwrap(), |world, ([third, last], script)| {
        world.smtp([127, 84, third, last], script)
    })
    .smtp(IPV6[0], healthy())
    .deaf([127, 84, 8, 1])
    .deaf([127, 84, 8, 2])
    .deaf(IPV6[1])
}

/// What a probe up to EHLO sees, and what Postfix may do then. Of several, chance decides: Postfix
/// shuffles equal exchangers, the families and the addresses of one exchanger.
#[rustfmt::skip]
pub(crate) fn seen_by_a_probe() -> Vec<(&'static str, Vec<Forecast>)> {
    vec![
        ("healthy", vec![deliver("healthy.mx", 4)]),
        ("equal", vec![deliver("healthy.mx", 4), deliver("second.mx", 4)]),
        ("dual", vec![deliver("dual.mx", 4), deliver("dual.mx", 6)]),
        ("v6-only", vec![deliver("v6-only.mx", 6)]),
        ("alias", vec![deliver("healthy.mx", 4)]),
        ("alias-target", vec![deliver("alias.mx", 4)]),
        ("implicit", vec![deliver("implicit", 4)]),
        ("literal", vec![deliver("127.84.0.1", 4)]),
        // In brackets it is no name, and no address either.
        ("bracket-first", vec![deliver("healthy.mx", 4)]),

        ("mx-servfail", vec![defer("mx_servfail")]),
        ("mx-refused", vec![defer("mx_refused")]),
        ("mx-notimp", vec![defer("mx_notimp")]),
        // To glibc, FORMERR is for good and no other error is.
        ("mx-formerr", vec![bounce("mx_formerr")]),
        // glibc waits for a better answer.
        ("mx-garbage", vec![defer("mx_malformed").after(DNS)]),
        ("mx-truncated", vec![deliver("healthy.mx", 4)]),
        ("mx-silent", vec![defer("mx_timeout").after(DNS)]),
        // As if there were no exchanger: it asks for the domain's own address.
        ("nowhere", vec![bounce("no_usable_mx")]),
        ("null-mx", vec![bounce("mx_null")]),
        ("null-mx-and-another", vec![bounce("mx_null")]),

        ("aaaa-servfail", vec![deliver("aaaa-servfail.mx", 4)]),
        ("aaaa-nxdomain", vec![deliver("aaaa-nxdomain.mx", 4)]),
        ("aaaa-refused", vec![deliver("aaaa-refused.mx", 4)]),
        ("aaaa-silent", vec![deliver("aaaa-silent.mx", 4).after(DNS)]),
        ("aaaa-notimp", vec![deliver("aaaa-notimp.mx", 4)]),
        ("aaaa-formerr", vec![deliver("aaaa-formerr.mx", 4)]),
        ("both-formerr", vec![bounce("no_usable_mx")]),
        ("both-formerr-first", vec![deliver("healthy.mx", 4)]),
        ("a-nodata-aaaa-formerr", vec![bounce("no_usable_mx")]),
        ("a-silent-aaaa-fine", vec![deliver("a-silent-aaaa-fine.mx", 6).after(DNS)]),
        ("both-silent", vec![defer("host_dns_temp").after(2 * DNS)]),
        ("a-nodata-aaaa-servfail", vec![defer("host_dns_temp")]),
        ("a-servfail-aaaa-fine", vec![deliver("a-servfail-aaaa-fine.mx", 6)]),
        ("both-servfail", vec![defer("host_dns_temp")]),
        ("both-servfail-first", vec![deliver("healthy.mx", 4)]),
        // The last that was tried says why.
        ("both-servfail-then-dead", vec![defer("connect_refused")]),
        ("target-gone", vec![bounce("no_usable_mx")]),
        ("target-gone-first", vec![deliver("healthy.mx", 4)]),
        ("target-gone-or-servfail", vec![defer("host_dns_temp")]),

        ("refused", vec![defer("connect_refused")]),
        ("refused-first", vec![deliver("healthy.mx", 4)]),
        ("refused-equal", vec![deliver("healthy.mx", 4)]),
        ("refused-then-unwilling", vec![defer("banner_5xx")]),
        ("refused-then-no-helo", vec![bounce("helo_5xx")]),
        ("deaf", vec![defer("connect_timeout").after(CONNECT)]),
        ("deaf-twice", vec![defer("connect_timeout").after(2 * CONNECT)]),
        ("deaf-first", vec![deliver("healthy.mx", 4).after(CONNECT)]),
        ("deaf-equal", vec![deliver("healthy.mx", 4), deliver("healthy.mx", 4).after(CONNECT)]),
        // Families and exchangers are shuffled together: both deaf addresses may come first.
        ("dual-deaf-equal", [0, CONNECT, 2 * CONNECT].into_iter().flat_map(|lost| {
            [4, 6].map(|version| deliver("dual.mx", version).after(lost))
        }).collect()),
        ("v6-refused", vec![deliver("v6-refused.mx", 4)]),
        ("v6-deaf", vec![deliver("v6-deaf.mx", 4), deliver("v6-deaf.mx", 4).after(CONNECT)]),
        // Five of the seven are tried.
        ("six-dead-one-good", vec![deliver("six-dead-one-good.mx", 4), defer("connect_refused")]),
        // Of the five, each family has its share.
        ("six-v6-dead-one-v4-good", vec![deliver("six-v6-dead-one-v4-good.mx", 4)]),

        ("silent", vec![defer("banner_timeout").after(GREETING)]),
        ("silent-first", vec![deliver("healthy.mx", 4).after(GREETING)]),
        ("silent-twice", vec![deliver("healthy.mx", 4).after(2 * GREETING)]),
        ("slow", vec![deliver("slow.mx", 4).after(SLOW)]),
        ("busy", vec![defer("banner_4xx")]),
        ("busy-first", vec![deliver("healthy.mx", 4)]),
        // A session that ends before EHLO does not count for the limit of two.
        ("busy-twice", vec![deliver("healthy.mx", 4)]),
        ("unwilling", vec![defer("banner_5xx")]),
        ("unwilling-first", vec![deliver("healthy.mx", 4)]),
        ("unwilling-then-refused", vec![defer("connect_refused")]),
        ("resets", vec![defer("banner_reset")]),
        ("resets-first", vec![deliver("healthy.mx", 4)]),
        ("closes", vec![defer("banner_closed")]),
        ("closes-first", vec![deliver("healthy.mx", 4)]),

        ("helo-only", vec![deliver("helo-only.mx", 4)]),
        ("ehlo-451", vec![deliver("ehlo-451.mx", 4)]),
        ("ehlo-421", vec![defer("ehlo_4xx")]),
        ("ehlo-421-first", vec![deliver("healthy.mx", 4)]),
        ("ehlo-silent-first", vec![deliver("healthy.mx", 4).after(GREETING)]),
        ("ehlo-closes-first", vec![deliver("healthy.mx", 4)]),
        ("no-helo", vec![bounce("helo_5xx")]),
        // Without a look at the second.
        ("no-helo-first", vec![bounce("helo_5xx")]),
    ]
}

/// What no probe sees that ends with EHLO, trusts RFC 8020 and knows nothing of the sender's own
/// address, as facts in shorthand.
#[rustfmt::skip]
pub(crate) fn seen_by_the_sender() -> Vec<(&'static str, Value, Vec<Forecast>)> {
    let own = |label: &str, exchangers: &[(&str, Value)]| {
        let mut facts = facts(label, exchangers);
        facts["self_host"] = json!("own.mx.test");
        facts
    };
    let first = |label: &str, behaviour: Value| {
        let (exchanger, _) = label.rsplit_once("-first").unwrap();
        facts(label, &[(&format!("{exchanger}.mx"), behaviour), ("healthy.mx", json!({}))])
    };
    let sole = |label: &str, behaviour: Value| facts(label, &[(&format!("{label}.mx"), behaviour)]);
    let greylisted = || json!({"rcpt": 450});
    let twice = [("rcpt-450.mx", greylisted()), ("rcpt-450-too.mx", greylisted()), ("healthy.mx", json!({}))];
    let refused = json!({"tcp": "refused"});
    let against_rfc_8020 = json!({"domain": "mx-nxdomain.test", "mx": "nxdomain",
        "hosts": {"mx-nxdomain.test": {"a": ["192.0.2.1"]}}});
    vec![
        ("mx-nxdomain", against_rfc_8020, vec![deliver("mx-nxdomain", 4)]),
        ("own", own("own", &[("own.mx", json!({}))]), vec![bounce("mx_loop")]),
        ("own-last", own("own-last", &[("healthy.mx", json!({})), ("own.mx", json!({}))]), vec![deliver("healthy.mx", 4)]),
        // Itself and what stands behind it are left out.
        ("own-after-refused", own("own-after-refused", &[("refused.mx", refused), ("own.mx", json!({})), ("healthy.mx", json!({}))]), vec![defer("connect_refused")]),
        ("mail-451", sole("mail-451", json!({"mail": 451})), vec![defer("mail_4xx")]),
        ("mail-451-first", first("mail-451-first", json!({"mail": 451})), vec![deliver("healthy.mx", 4)]),
        ("mail-550-first", first("mail-550-first", json!({"mail": 550})), vec![bounce("mail_5xx")]),
        ("rcpt-450", sole("rcpt-450", greylisted()), vec![defer("rcpt_4xx")]),
        ("rcpt-450-first", first("rcpt-450-first", greylisted()), vec![deliver("healthy.mx", 4)]),
        // Two sessions are the limit.
        ("rcpt-450-twice", facts("rcpt-450-twice", &twice), vec![defer("rcpt_4xx")]),
        ("rcpt-550-first", first("rcpt-550-first", json!({"rcpt": 550})), vec![bounce("rcpt_5xx")]),
        ("rcpt-552-first", first("rcpt-552-first", json!({"rcpt": 552})), vec![bounce("rcpt_5xx")]),
    ]
}

/// A domain below test. whose exchangers, best first, have an address each that behaves so.
fn facts(label: &str, exchangers: &[(&str, Value)]) -> Value {
    let mut facts = json!({"domain": format!("{label}.test"), "mx": [], "hosts": {}, "ips": {}});
    for (place, (exchanger, behaviour)) in exchangers.iter().enumerate() {
        let (name, address) = (format!("{exchanger}.test"), format!("192.0.2.{}", place + 1));
        facts["mx"].as_array_mut().unwrap().push(json!([10 * (place + 1), name]));
        facts["hosts"][name] = json!({"a": [address]});
        facts["ips"][address] = behaviour.clone();
    }
    facts
}
