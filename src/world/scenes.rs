//! The world of the demo: one domain per failure, each with what to look for in `/metrics`.
//!
//! Every domain lies under `.test` (RFC 2606) and every address in 127.83.0.0/16. Nothing listens
//! in 127.83.255.0/24.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    World, WorldBuilder, WorldError,
    dns::DnsServer,
    smtp_script::Script,
    zone::{ZoneError, Zones},
};

/// One domain of the demo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scene {
    /// The mail domain.
    pub domain: &'static str,
    /// What is wrong with it, in one line.
    pub what: &'static str,
    /// The begin of the line in `/metrics` that shows it.
    pub look_for: &'static str,
}

/// The demo's world, ready to start. Without IPv6 the healthy domain is IPv4 only.
pub fn world(ipv6: bool) -> Result<WorldBuilder, WorldError> {
    let mut builder = World::builder().zone(ZONES)?.zone(CALLER)?;
    for (last, script) in servers() {
        builder = builder.smtp([127, 83, 0, last], script);
    }
    if ipv6 {
        builder = builder
            .zone(HEALTHY_IPV6)?
            .smtp(Ipv6Addr::LOCALHOST, Script::healthy("mx1.healthy.test"));
    }
    Ok(builder)
}

/// Starts the name server that others ask, who are not in this network: where the one of the world
/// fails it answers, and of one domain it tells another story.
pub async fn external(ipv6: bool) -> Result<DnsServer, WorldError> {
    let addr = (Ipv4Addr::LOCALHOST, 0).into();
    let zones = external_zones(ipv6)?;
    DnsServer::start(addr, zones).await.map_err(|source| WorldError::Dns { addr, source })
}

fn external_zones(ipv6: bool) -> Result<Zones, ZoneError> {
    // What stands there takes the place of all that the world knows of the same name and type.
    fn key(line: &str) -> Option<(&str, &str)> {
        let mut words = line.split_whitespace().filter(|_| !line.starts_with('$'));
        Some((words.next()?, words.next()?))
    }
    let instead: BTreeSet<_> = EXTERNAL.lines().filter_map(key).collect();
    let stays = |line: &&str| key(line).is_none_or(|key| !instead.contains(&key));
    let mut text: Vec<&str> = ZONES.lines().filter(stays).collect();
    text.extend(EXTERNAL.lines());
    let zones = Zones::parse(&text.join("\n"))?;
    if ipv6 { zones.with(HEALTHY_IPV6) } else { Ok(zones) }
}

/// What there is where this host has IPv6.
const HEALTHY_IPV6: &str = "$ORIGIN healthy.test.\nmx1 AAAA ::1\nmx2 AAAA ::1";

/// The SMTP servers by the last part of their address.
fn servers() -> [(u8, Script); 28] {
    let healthy = Script::healthy;
    [
        (1, healthy("mx1.healthy.test")),
        (2, healthy("mx2.healthy.test")),
        (3, healthy("mx1.aaaa-servfail.test")),
        (4, healthy("mx1.aaaa-silent.test")),
        (5, Script::silent()),
        (6, healthy("mx2.silent-banner.test")),
        (7, Script::slow_banner(Duration::from_secs(4))),
        (8, Script::banner("421 4.3.2 Service shutting down, try again later")),
        (9, Script::banner("554 5.7.1 No SMTP service for your address")),
        (10, Script::banner("220-mx1.multiline.test ESMTP\n220-Be nice\n220 and speak slowly")),
        (11, Script::resets_on_accept()),
        (12, Script::closes_on_accept()),
        (13, Script::ehlo_refused()),
        (14, Script::endless()),
        (15, Script::long_line()),
        (16, Script::not_smtp()),
        (17, Script::drip()),
        (18, healthy("implicit.test")),
        (19, healthy("mx1.provider.test")),
        (20, healthy("mx2.provider.test")),
        (21, Script::helo_refused()),
        (22, healthy("mx1.v6-dead.test")),
        (23, healthy("mx.split-view.test")),
        (24, healthy("mx.split-view.test")),
        (25, Script::silent()),
        (26, Script::starttls("454 4.7.0 TLS not available due to local problem", None)),
        (27, Script::starttls("220 2.0.0 Ready to start TLS", Some("500 5.5.2 What?"))),
        (28, Script::starttls("220 2.0.0 Ready to start TLS\n250 2.0.0 You are welcome", None)),
    ]
}

/// The scenes, the healthy one first.
pub fn scenes() -> &'static [Scene] {
    &SCENES
}

const fn scene(domain: &'static str, what: &'static str, look_for: &'static str) -> Scene {
    Scene { domain, what, look_for }
}

const SCENES: [Scene; 33] = [
    scene(
        "healthy.test",
        "nothing is wrong: two exchangers, both families",
        r#"mx_exchanger_up{mx="mx1.healthy.test",family="ipv4"} 1"#,
    ),
    scene(
        "aaaa-servfail.test",
        "the AAAA lookup of its only exchanger fails, so some senders defer although IPv4 works; another resolver cures it",
        r#"mx_exchanger_finding{mx="mx1.aaaa-servfail.test",resolver="demo",finding="aaaa_servfail_a_ok"} 1"#,
    ),
    scene(
        "aaaa-silent.test",
        "the AAAA lookup of its only exchanger is never answered, but by another resolver",
        r#"mx_exchanger_finding{mx="mx1.aaaa-silent.test",resolver="demo",finding="aaaa_timeout_a_ok"} 1"#,
    ),
    scene(
        "silent-banner.test",
        "the preferred exchanger accepts connections and never greets; the second is healthy",
        r#"mx_exchanger_failure{mx="mx1.silent-banner.test",family="ipv4",stage="banner",reason="timeout"} 1"#,
    ),
    scene(
        "slow-banner.test",
        "the greeting takes four seconds",
        r#"mx_stage_duration_seconds{mx="mx1.slow-banner.test",family="ipv4",stage="banner"} 4."#,
    ),
    scene(
        "banner-421.test",
        "the exchanger greets with 421: try again later",
        r#"mx_exchanger_failure{mx="mx1.banner-421.test",family="ipv4",stage="banner",reason="reply_4xx"} 1"#,
    ),
    scene(
        "banner-554.test",
        "the exchanger greets with 554: it refuses us",
        r#"mx_exchanger_failure{mx="mx1.banner-554.test",family="ipv4",stage="banner",reason="reply_5xx"} 1"#,
    ),
    scene(
        "multiline.test",
        "nothing is wrong: the greeting has three lines",
        r#"mx_exchanger_up{mx="mx1.multiline.test",family="ipv4"} 1"#,
    ),
    scene(
        "refused.test",
        "nothing listens at the exchanger's address",
        r#"mx_exchanger_failure{mx="mx1.refused.test",family="ipv4",stage="connect",reason="refused"} 1"#,
    ),
    scene(
        "reset.test",
        "the exchanger resets every connection",
        r#"mx_exchanger_failure{mx="mx1.reset.test",family="ipv4",stage="banner",reason="reset"} 1"#,
    ),
    scene(
        "closed.test",
        "the exchanger closes every connection without a word",
        r#"mx_exchanger_failure{mx="mx1.closed.test",family="ipv4",stage="banner",reason="closed"} 1"#,
    ),
    scene(
        "ehlo-refused.test",
        "nothing is wrong: the exchanger knows HELO only",
        r#"mx_exchanger_up{mx="mx1.ehlo-refused.test",family="ipv4"} 1"#,
    ),
    scene(
        "helo-refused.test",
        "the exchanger greets, then refuses EHLO and HELO",
        r#"mx_exchanger_failure{mx="mx1.helo-refused.test",family="ipv4",stage="helo",reason="reply_5xx"} 1"#,
    ),
    scene(
        "starttls-refused.test",
        "the exchanger offers STARTTLS and refuses it, so that mail goes in plain text or not at all",
        r#"mx_exchanger_failure{mx="mx1.starttls-refused.test",family="ipv4",stage="starttls",reason="reply_4xx"} 1"#,
    ),
    scene(
        "tls-broken.test",
        "the exchanger agrees to STARTTLS and speaks no TLS: some senders hold mail back for minutes, some for ever",
        r#"mx_exchanger_failure{mx="mx1.tls-broken.test",family="ipv4",stage="tls_handshake",reason="tls_error"} 1"#,
    ),
    scene(
        "tls-injected.test",
        "somebody puts plain text behind the reply to STARTTLS",
        r#"mx_exchanger_failure{mx="mx1.tls-injected.test",family="ipv4",stage="starttls",reason="injected"} 1"#,
    ),
    scene(
        "endless.test",
        "the answer to EHLO has no end",
        r#"mx_exchanger_failure{mx="mx1.endless.test",family="ipv4",stage="ehlo",reason="too_long"} 1"#,
    ),
    scene(
        "long-line.test",
        "the greeting is one line of a mebibyte",
        r#"mx_exchanger_failure{mx="mx1.long-line.test",family="ipv4",stage="banner",reason="too_long"} 1"#,
    ),
    scene(
        "not-smtp.test",
        "a web server answers at the exchanger's port",
        r#"mx_exchanger_failure{mx="mx1.not-smtp.test",family="ipv4",stage="banner",reason="malformed"} 1"#,
    ),
    scene(
        "drip.test",
        "the greeting comes at one byte per second",
        r#"mx_exchanger_failure{mx="mx1.drip.test",family="ipv4",stage="banner",reason="timeout"} 1"#,
    ),
    scene(
        "null-mx.test",
        "the domain takes no mail (RFC 7505)",
        r#"mx_domain_finding{domain="null-mx.test",resolver="demo",finding="null"} 1"#,
    ),
    scene(
        "implicit.test",
        "no MX record: the domain's own address takes the mail",
        r#"mx_domain_finding{domain="implicit.test",resolver="demo",finding="implicit"} 1"#,
    ),
    scene(
        "no-such-domain.test",
        "the domain does not exist",
        r#"mx_dns_lookup_status{name="no-such-domain.test",type="MX",resolver="demo",status="nxdomain"} 1"#,
    ),
    scene(
        "mx-servfail.test",
        "the MX lookup fails, and works through another resolver",
        r#"mx_dns_lookup_status{name="mx-servfail.test",type="MX",resolver="demo",status="servfail"} 1"#,
    ),
    scene(
        "mx-gone.test",
        "the MX record names a host that does not exist",
        r#"mx_domain_finding{domain="mx-gone.test",resolver="demo",finding="no_address_target"} 1"#,
    ),
    scene(
        "mx-alias.test",
        "the MX record names an alias, which RFC 2181 §10.3 forbids and most senders follow",
        r#"mx_domain_finding{domain="mx-alias.test",resolver="demo",finding="cname_target"} 1"#,
    ),
    scene(
        "v6-dead.test",
        "IPv4 works, nothing listens at the IPv6 address",
        r#"mx_exchanger_failure{mx="mx1.v6-dead.test",family="ipv6",stage="connect",reason="refused"} 1"#,
    ),
    scene(
        "split-view.test",
        "another resolver tells of another address and of a second exchanger, which is silent",
        r#"mx_resolvers_agree{name="split-view.test",type="MX"} 0"#,
    ),
    scene(
        "truncated.test",
        "the MX answer comes over TCP only",
        r#"mx_dns_lookup_status{name="truncated.test",type="MX",resolver="demo",status="noerror"} 1"#,
    ),
    scene(
        "garbage.test",
        "the name server answers with bytes that are no DNS message",
        r#"mx_dns_lookup_status{name="garbage.test",type="MX",resolver="demo",status="malformed"} 1"#,
    ),
    scene(
        "shared-a.test",
        "shares two exchangers with two other domains; they are probed once",
        r#"mx_route{domain="shared-a.test",mx="mx1.provider.test",family="ipv4",preference="10",provider="provider.test"} 1"#,
    ),
    scene(
        "shared-b.test",
        "shares two exchangers with two other domains; they are probed once",
        r#"mx_route{domain="shared-b.test",mx="mx1.provider.test",family="ipv4",preference="10",provider="provider.test"} 1"#,
    ),
    scene(
        "shared-c.test",
        "shares two exchangers with two other domains; they are probed once",
        r#"mx_route{domain="shared-c.test",mx="mx1.provider.test",family="ipv4",preference="10",provider="provider.test"} 1"#,
    ),
];

/// The DNS of the scenes.
const ZONES: &str = include_str!("scenes.zone");

/// What the external name server says instead.
const EXTERNAL: &str = include_str!("external.zone");
/// Who calls, as the servers of the scenes see it: names and addresses of the demo's agent.
const CALLER: &str = "\
$ORIGIN mxwatch.demo.test.
@ A 127.0.0.1
@ AAAA ::1
$ORIGIN 127.in-addr.arpa.
1.0.0 PTR mxwatch.demo.test.
$ORIGIN ip6.arpa.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mxwatch.demo.test.
";

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use hickory_resolver::proto::{
        op::{Message, MessageType, OpCode, Query, ResponseCode},
        rr::{RData, RecordType},
    };
    use tokio::{io::AsyncReadExt, net::TcpStream};

    use super::*;
    use crate::world::{
        answer::{Transport, answer},
        zone::{Zones, dns_name},
    };

    fn look_up(zones: &Zones, name: &str, rtype: RecordType) -> Option<Message> {
        let mut query = Message::new(1, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(dns_name(&format!("{name}."), None).unwrap(), rtype));
        let reply = answer(zones, &query.to_vec().unwrap(), Transport::Tcp).reply?;
        Message::from_vec(&reply).ok()
    }

    #[test]
    fn every_domain_is_in_the_dns_with_the_fault_it_stands_for() {
        let zones = Zones::parse(ZONES).unwrap();
        for Scene { domain, look_for, .. } in scenes() {
            let name = look_for.split('"').nth(1).unwrap();
            assert!(name.ends_with(domain) || name.ends_with("provider.test"), "{look_for}");
            let Some(mx) = look_up(&zones, domain, RecordType::MX) else {
                assert_eq!(*domain, "garbage.test");
                continue;
            };
            let want = match *domain {
                "no-such-domain.test" => (ResponseCode::NXDomain, false),
                "mx-servfail.test" => (ResponseCode::ServFail, false),
                "implicit.test" => (ResponseCode::NoError, false),
                _ => (ResponseCode::NoError, true),
            };
            assert_eq!((mx.metadata.response_code, !mx.answers.is_empty()), want, "{domain}");
        }
    }

    #[test]
    fn the_external_name_server_answers_where_the_other_fails_and_else_says_the_same() {
        let (inside, outside) = (Zones::parse(ZONES).unwrap(), external_zones(false).unwrap());
        let code = |zones: &Zones, name: &str, rtype| {
            Some(look_up(zones, name, rtype)?.metadata.response_code)
        };
        for (name, rtype) in [
            ("mx1.aaaa-servfail.test", RecordType::AAAA),
            ("mx1.aaaa-silent.test", RecordType::AAAA),
            ("mx-servfail.test", RecordType::MX),
        ] {
            assert_ne!(code(&inside, name, rtype), Some(ResponseCode::NoError), "{name}");
            assert_eq!(code(&outside, name, rtype), Some(ResponseCode::NoError), "{name}");
        }
        let answers = |zones: &Zones, name| look_up(zones, name, RecordType::MX).unwrap().answers;
        for name in ["healthy.test", "null-mx.test", "shared-a.test"] {
            assert_eq!(answers(&inside, name), answers(&outside, name));
        }
        assert_eq!(answers(&inside, "split-view.test").len(), 1);
        assert_eq!(answers(&outside, "split-view.test").len(), 2);
    }

    #[test]
    fn every_address_has_its_server_and_every_server_its_name() {
        let mut named: Vec<IpAddr> = Vec::new();
        let lines = ZONES.lines().chain(EXTERNAL.lines()).filter(|line| line.contains("  "));
        let owners: BTreeSet<&str> =
            lines.filter_map(|line| line.split_whitespace().next()).collect();
        for zones in [Zones::parse(ZONES).unwrap(), external_zones(false).unwrap()] {
            let replies = owners
                .iter()
                .filter_map(|owner| look_up(&zones, &format!("{owner}.test"), RecordType::A));
            for reply in replies {
                named.extend(reply.answers.iter().filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    _ => None,
                }));
            }
        }
        named.sort_unstable();
        named.dedup();
        let nowhere = IpAddr::from([127, 83, 255, 1]);
        let mut served: Vec<IpAddr> =
            servers().iter().map(|(last, _)| IpAddr::from([127, 83, 0, *last])).collect();
        served.push(nowhere);
        assert_eq!(named, served);
    }

    #[tokio::test]
    async fn it_starts_with_and_without_ipv6() {
        let world = world(World::ipv6_available()).unwrap().start().await.unwrap();
        let port = world.smtp_port();
        let dead = TcpStream::connect((Ipv4Addr::new(127, 83, 255, 1), port)).await;
        assert_eq!(dead.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        for (ip, script) in servers().map(|(last, script)| ([127, 83, 0, last], script)) {
            let mut stream = TcpStream::connect((IpAddr::from(ip), port)).await.unwrap();
            if script == Script::healthy("mx1.provider.test") {
                assert_eq!(stream.read_u8().await.unwrap(), b'2');
            }
            drop(stream);
        }
        world.stop().await;
        super::world(false).unwrap().start().await.unwrap();
    }
}
