//! MTA-STS and TLS-RPT: from the records to facts, verdicts, samples and words, with a policy host
//! that serves, fails and hangs.

use std::{fmt::Write, net::Ipv4Addr, path::Path};

use mxwatch::{
    facts::{Facts, MtaSts, StsMode, StsStatus, TlsRptStatus},
    world::{World, smtp_script::Script, zone::Zones},
};

use crate::{
    config::Config,
    harness::{ANCHORS, Agent, CONFIG, Ran, Scrape, program, run_command, wait_until},
    policy_host::{Manner, PolicyHost},
};

fn policy(mode: &str, mx: &str) -> Manner {
    let mx = if mx.is_empty() { String::new() } else { format!("mx: {mx}\r\n") };
    Manner::Serves(format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: 86400\r\n"))
}

/// A domain with one exchanger, and the records of a policy at this host where an id is given.
fn zone(net: u8, domains: &[(&str, Option<&str>)]) -> String {
    let mut zone = "$ORIGIN test.\n".to_owned();
    for (domain, id) in domains {
        let name = domain.strip_suffix(".test").unwrap();
        writeln!(zone, "{name} MX 10 mx.{name}\nmx.{name} A 127.90.{net}.1").unwrap();
        writeln!(zone, "mta-sts.{name} A 127.90.{net}.9").unwrap();
        if let Some(id) = id {
            writeln!(zone, "_mta-sts.{name} TXT \"v=STSv1; id={id};\"").unwrap();
        }
    }
    zone
}

async fn world(net: u8, zone: &str) -> World {
    let mx = [127, 90, net, 1];
    let builder = World::builder().zone(zone).unwrap();
    builder.smtp(mx, Script::healthy("mx.test")).start().await.unwrap()
}

/// Judges for Postfix, and for one that keeps to MTA-STS besides.
fn config(world: &World, host: &PolicyHost) -> Config {
    Config::of(world)
        .top("senders = [\"postfix\", \"strict\"]")
        .probe("policy_port", &host.port().to_string())
        .probe("policy_interval", "\"1s\"")
        .section("[sender.strict]\nlike = \"postfix\"\nmta_sts = true")
}

fn start(config: &Config, host: &PolicyHost) -> Agent {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CONFIG), config.text()).unwrap();
    std::fs::write(folder.path().join(ANCHORS), host.anchors()).unwrap();
    Agent::start_in(folder, &[])
}

/// Whether this is the verdict on a domain for a sender, and if it is wanted, why.
fn is(scrape: &Scrape, domain: &str, sender: &str, outcome: &str, reason: &str) -> bool {
    let labels = [("domain", domain), ("sender", sender)];
    let given = scrape.sample("mx_delivery_outcome", &labels);
    given.is_some_and(|sample| sample.has(&[("outcome", outcome), ("reason", reason)]))
}

/// Whether the last look at a domain ended like this, and this mode is in force.
fn looked(scrape: &Scrape, domain: &str, status: &str, mode: &str) -> bool {
    let wanted = [("domain", domain), ("mta_sts", status), ("mode", mode)];
    scrape.sample("mx_domain_policy_info", &wanted).is_some()
}

fn expiry(scrape: &Scrape, domain: &str) -> Option<f64> {
    scrape.value("mx_mta_sts_policy_expiry_timestamp_seconds", &[("domain", domain)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_holds_from_one_look_to_the_next_until_there_is_another() {
    const DOMAIN: &str = "policy.test";
    let of_id = |id| zone(70, &[(DOMAIN, id)]);
    let world = world(70, &of_id(Some("1"))).await;
    let set = |id| world.dns().set_zones(Zones::parse(&of_id(id)).unwrap());
    let host = PolicyHost::start(Ipv4Addr::new(127, 90, 70, 9), &[DOMAIN]).await;
    host.set(DOMAIN, policy("enforce", "*.example.com"));
    let config = config(&world, &host).domains(&[DOMAIN]);
    let agent = start(&config, &host);

    let scrape = agent.scrape_until("the exchanger is not listed", |scrape| {
        is(scrape, DOMAIN, "strict", "defer", "sts_mx")
    });
    assert!(looked(&scrape, DOMAIN, "valid", "enforce"));
    agent.scrape_until("who knows no MTA-STS delivers", |scrape| {
        is(scrape, DOMAIN, "postfix", "deliver", "ok")
    });
    let unlisted = [("domain", DOMAIN), ("finding", "unlisted_target")];
    assert_eq!(scrape.value("mx_domain_finding", &unlisted), Some(1.0));
    agent.wait_for_log(&["MTA-STS policy changed", DOMAIN, "status=valid mode=enforce"]);

    // The same id is the same policy, whatever the host has now.
    host.set(DOMAIN, policy("testing", "*.example.com"));
    let queries = || {
        world
            .dns()
            .queries(&format!("_mta-sts.{DOMAIN}"), hickory_resolver::proto::rr::RecordType::TXT)
    };
    let looks = queries();
    wait_until("two more looks", || (queries() >= looks + 2).then_some(()));
    assert_eq!(host.asked(DOMAIN), 1);
    set(Some("2"));
    let scrape = agent.scrape_until("another id brings another policy", |scrape| {
        looked(scrape, DOMAIN, "valid", "testing") && is(scrape, DOMAIN, "strict", "deliver", "ok")
    });
    assert_eq!(scrape.value("mx_domain_finding", &unlisted), Some(1.0));

    // Listed and enforced: now TLS is missing.
    host.set(DOMAIN, policy("enforce", "*.policy.test"));
    set(Some("3"));
    let scrape = agent.scrape_until("mail goes only over TLS", |scrape| {
        is(scrape, DOMAIN, "strict", "defer", "tls_not_offered")
    });
    assert_eq!(scrape.value("mx_domain_finding", &unlisted), None);

    // What cannot be fetched leaves in force what was fetched.
    host.set(DOMAIN, Manner::Says("503 Busy"));
    set(Some("4"));
    let held = expiry(&scrape, DOMAIN);
    let scrape = agent
        .scrape_until("the fetch fails", |scrape| looked(scrape, DOMAIN, "fetch_http", "enforce"));
    assert_eq!(expiry(&scrape, DOMAIN), held);
    assert!(held.is_some() && is(&scrape, DOMAIN, "strict", "defer", "tls_not_offered"));
    let page = agent.get(&format!("/domains/{DOMAIN}")).body;
    for part in ["Policies", "fetch http", "HTTP 503", "sts-policy-fetch-error", "*.policy.test"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    agent.wait_for_log(&["MTA-STS policy changed", DOMAIN, "status=fetch_http", "HTTP 503"]);

    // So does a record that is gone, beyond a reload.
    set(None);
    agent.scrape_until("the record is gone", |scrape| looked(scrape, DOMAIN, "absent", "enforce"));
    let other = config.clone().probe("command_timeout", "\"2s\"");
    agent.write(CONFIG, &other.text());
    agent.signal("HUP");
    agent.wait_for_log(&["configuration reloaded"]);
    let looks = queries();
    wait_until("two more looks", || (queries() >= looks + 2).then_some(()));
    assert!(looked(&agent.scrape(), DOMAIN, "absent", "enforce"));

    // Taken back as RFC 8461 §8.3 has it.
    host.set(DOMAIN, policy("none", ""));
    set(Some("5"));
    agent.scrape_until("there is no policy any more", |scrape| {
        looked(scrape, DOMAIN, "valid", "none") && is(scrape, DOMAIN, "strict", "deliver", "ok")
    });
    agent.write(CONFIG, &config.top("# nothing to watch").text().replace(DOMAIN, "other.test"));
    agent.signal("HUP");
    agent.scrape_until("its series are gone", |scrape| !scrape.mentions(DOMAIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_host_that_hangs_holds_back_nothing_else() {
    const DOMAIN: &str = "hangs.test";
    let world = world(71, &zone(71, &[(DOMAIN, Some("1")), ("well.test", None)])).await;
    let host = PolicyHost::start(Ipv4Addr::new(127, 90, 71, 9), &[DOMAIN]).await;
    host.set(DOMAIN, Manner::Hangs);
    let agent = start(&config(&world, &host).domains(&[DOMAIN, "well.test"]), &host);
    agent.wait_ready();
    let scrape = agent.scrape_until("all verdicts but those that go by the policy", |scrape| {
        is(scrape, DOMAIN, "postfix", "deliver", "ok")
            && is(scrape, "well.test", "postfix", "deliver", "ok")
            && is(scrape, "well.test", "strict", "deliver", "ok")
    });
    assert_eq!(scrape.matching("mx_domain_policy_info", &[("domain", DOMAIN)]), [] as [&_; 0]);
    let strict = [("domain", DOMAIN), ("sender", "strict")];
    assert_eq!(scrape.matching("mx_delivery_outcome", &strict), [] as [&_; 0]);
    let mx = || world.smtp([127, 90, 71, 1]).tally().accepted;
    let before = mx();
    wait_until("rounds go on", || (mx() >= before + 2).then_some(()));
}

/// `mxwatch check` with a configuration in a folder.
fn check(folder: &Path, args: &[&str]) -> Ran {
    let mut command = program();
    command.arg("check").arg(format!("--config.file={}", folder.join(CONFIG).display()));
    command.env("SSL_CERT_FILE", folder.join(ANCHORS)).args(args);
    run_command(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_tells_how_the_look_ended() {
    const HOST: Ipv4Addr = Ipv4Addr::new(127, 90, 72, 9);
    let served = ["enforce.test", "testing.test", "redirect.test", "invalid.test", "hangs.test"];
    let ids = served.map(|domain| (domain, Some("1")));
    let others = [("absent.test", None), ("strange.test", Some("1")), ("two.test", Some("1"))];
    let last = [("nowhere.test", Some("1")), ("refuses.test", Some("1")), ("servfail.test", None)];
    let mut text = zone(72, &[&ids[..], &others, &last].concat());
    text.push_str(
        "_mta-sts.two TXT \"v=STSv1; id=2\"\nmta-sts.nowhere A !nodata\n\
         _mta-sts.servfail TXT !servfail\n_smtp._tls.servfail TXT !servfail\n\
         _smtp._tls.enforce TXT \"v=TLSRPTv1; rua=mailto:tls@enforce.test\"\n\
         _smtp._tls.testing TXT \"v=TLSRPTv1; rua=tls@testing.test\"\n",
    );
    let text = text.replace("mta-sts.refuses A 127.90.72.9", "mta-sts.refuses A 127.90.72.8");
    let world = world(72, &text).await;
    let host = PolicyHost::start(HOST, &served).await;
    host.set("enforce.test", policy("enforce", "mail.enforce.test"));
    host.set("testing.test", policy("testing", "mail.testing.test"));
    host.set("redirect.test", Manner::Says("302 Found\r\nLocation: https://enforce.test/"));
    host.set("invalid.test", policy("enforce", ""));
    host.set("hangs.test", Manner::Hangs);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&world, &host).probe("policy_timeout", "\"3s\"");
    std::fs::write(folder.path().join(CONFIG), config.text()).unwrap();
    std::fs::write(folder.path().join(ANCHORS), host.anchors()).unwrap();

    let facts = |domain: &str| -> Facts {
        let ran = check(folder.path(), &["--json", "--sender=strict", domain]);
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        serde_json::from_value(document["facts"].clone()).unwrap()
    };
    let (fetch, absent) = (Some("sts-policy-fetch-error"), TlsRptStatus::Absent);
    for (domain, status, failure, tls_rpt, detail) in [
        ("enforce.test", StsStatus::Valid, None, TlsRptStatus::Valid, ""),
        ("testing.test", StsStatus::Valid, None, TlsRptStatus::Invalid, ""),
        ("absent.test", StsStatus::Absent, None, absent, ""),
        ("redirect.test", StsStatus::FetchHttp, fetch, absent, "HTTP 302"),
        (
            "invalid.test",
            StsStatus::PolicyInvalid,
            Some("sts-policy-invalid"),
            absent,
            "it has no mx",
        ),
        ("hangs.test", StsStatus::FetchTimeout, fetch, absent, "in time"),
        (
            "strange.test",
            StsStatus::FetchCertificate,
            Some("sts-webpki-invalid"),
            absent,
            "not valid for mta-sts.strange.test",
        ),
        ("two.test", StsStatus::RecordInvalid, None, absent, "2 records"),
        ("nowhere.test", StsStatus::HostUnresolved, fetch, absent, "A nodata, AAAA nodata"),
        ("refuses.test", StsStatus::FetchConnect, fetch, absent, "refused"),
        ("servfail.test", StsStatus::DnsError, None, TlsRptStatus::DnsError, "servfail"),
    ] {
        let facts = facts(domain);
        let sts: MtaSts = facts.mta_sts.unwrap();
        assert_eq!(sts.status, status, "{domain}: {sts:?}");
        assert_eq!(sts.failure.map(mxwatch::facts::StsFailure::word), failure, "{domain}");
        assert!(sts.detail.as_deref().unwrap_or_default().contains(detail), "{domain}: {sts:?}");
        let holds = status == StsStatus::Valid;
        assert_eq!((sts.policy.is_some(), sts.mode != StsMode::None), (holds, holds), "{domain}");
        assert_eq!(facts.tls_rpt.unwrap().status, tls_rpt, "{domain}");
    }

    for (domain, code, parts) in [
        (
            "enforce.test",
            1,
            &[
                "MTA-STS enforce",
                "mail.enforce.test; not among them: mx.enforce.test",
                "TLS-RPT reports go to mailto:tls@enforce.test",
                "✗ The MTA-STS policy of enforce.test is enforced and does not list",
                "$ dig +short TXT _mta-sts.enforce.test",
                "$ curl -sS https://mta-sts.enforce.test/.well-known/mta-sts.txt",
            ][..],
        ),
        (
            "testing.test",
            0,
            &[
                "Nothing wrong was found.",
                "is being tested and does not list",
                "The TLS-RPT record of testing.test is not valid",
            ],
        ),
        ("redirect.test", 0, &["does not give it: HTTP 302", "postmaster"]),
        ("two.test", 0, &["2 records begin with v=STSv1", "MTA-STS no policy"]),
    ] {
        let ran = check(folder.path(), &["--sender=strict", "--color=never", domain]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing in\n{}", ran.stdout);
        }
    }
}
