//! Reloading: what is gone stops, what is new starts, the rest does not notice.

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use hickory_resolver::proto::rr::RecordType;
use mxwatch::world::{World, smtp_script::Script, zone::Zones};

use crate::{
    config::Config,
    harness::{Agent, CONFIG, Scrape, wait_until},
};

/// The sessions counted for one exchanger.
fn sessions(scrape: &Scrape, mx: &str) -> f64 {
    scrape.sum("mx_sessions_total", &[("mx", mx)])
}

/// Three domains with an exchanger each, at 127.90.NET.1 to 3.
async fn three_domains(net: u8) -> World {
    let mut builder = World::builder()
        .zone(&format!(
            "$ORIGIN test.\nkeep MX 10 mx.keep\ngone MX 10 mx.gone\nnew MX 10 mx.new\n\
             mx.keep A 127.90.{net}.1\nmx.gone A 127.90.{net}.2\nmx.new A 127.90.{net}.3"
        ))
        .unwrap();
    for n in 1..=3 {
        builder = builder.smtp([127, 90, net, n], Script::healthy("mx.test"));
    }
    builder.start().await.unwrap()
}

/// Swaps a domain for another and brings that about with `reload`.
fn swaps(world: &World, net: u8, agent: &Agent, begun: Instant, reload: impl FnOnce()) {
    let before = agent.scrape_until("two rounds of both exchangers", |scrape| {
        sessions(scrape, "mx.keep.test") >= 2.0 && sessions(scrape, "mx.gone.test") >= 2.0
    });
    reload();
    let after = agent.scrape();
    for name in ["gone.test", "mx.gone.test"] {
        assert!(!after.mentions(name), "{name} is still shown");
    }
    assert!(sessions(&after, "mx.keep.test") >= sessions(&before, "mx.keep.test"));
    assert_eq!(after.value("mxwatch_config_last_reload_successful", &[]), Some(1.0));
    assert_eq!(after.value("mxwatch_destinations", &[]), Some(2.0));

    let gone = world.smtp([127, 90, net, 2]);
    wait_until("the end of the last session", || (gone.tally().open == 0).then_some(()));
    let calls = gone.tally().accepted;
    let later = agent.scrape_until("three rounds more", |scrape| {
        let kept = sessions(scrape, "mx.keep.test") >= sessions(&after, "mx.keep.test") + 3.0;
        kept && sessions(scrape, "mx.new.test") >= 2.0
    });
    assert!(!later.mentions("mx.gone.test"));
    assert_eq!(gone.tally().accepted, calls, "nobody is called who is not configured");
    // Its schedule is the old one: still no more than one call a second.
    let kept = world.smtp([127, 90, net, 1]).tally();
    assert!(kept.accepted <= begun.elapsed().as_secs() + 2, "{kept:?} in {:?}", begun.elapsed());
    assert_eq!(kept.peak, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sighup() {
    let world = three_domains(10).await;
    let config = Config::of(&world);
    let begun = Instant::now();
    let agent = Agent::start(&config.clone().domains(&["keep.test", "gone.test"]).text());
    swaps(&world, 10, &agent, begun, || {
        agent.write(CONFIG, &config.domains(&["keep.test", "new.test"]).text());
        agent.signal("HUP");
        agent.wait_for_log(&["configuration reloaded", "why=SIGHUP", "destinations=2"]);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_request() {
    let world = three_domains(11).await;
    let config = Config::of(&world);
    let begun = Instant::now();
    let text = config.clone().domains(&["keep.test", "gone.test"]).text();
    let agent = Agent::start_with(&text, &["--web.enable-lifecycle"]);
    assert_eq!(agent.get("/-/reload").status, 405);
    swaps(&world, 11, &agent, begun, || {
        agent.write(CONFIG, &config.domains(&["keep.test", "new.test"]).text());
        let reply = agent.post("/-/reload");
        assert_eq!(reply.status, 200, "{reply:?}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_changed_destination_file() {
    let world = three_domains(12).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("destinations.d")).unwrap();
    let own = folder.path().join("destinations.d/own.toml");
    std::fs::write(own, "domains = [\"gone.test\"]").unwrap();
    let config = Config::of(&world).domains(&["keep.test"]);
    let config = config.top("destination_files = [\"destinations.d/*.toml\"]");
    std::fs::write(folder.path().join(CONFIG), config.text()).unwrap();
    let begun = Instant::now();
    let agent = Agent::start_in(folder, &[]);
    swaps(&world, 12, &agent, begun, || {
        agent.write("destinations.d/own.toml", "domains = [\"new.test\"]");
        agent.wait_for_log(&["configuration reloaded", "why=\"destination files\""]);
    });
    // A second change is noticed as well, also one of a file that is new.
    agent.write("destinations.d/more.toml", "domains = [\"gone.test\"]");
    agent.scrape_until("a domain from the new file", |scrape| {
        scrape.mentions("mx.gone.test") && scrape.mentions("mx.new.test")
    });
}

/// What the control query and the look at this host ask about, answered in this manner.
fn answering(manner: &str) -> Zones {
    let text = format!("$ORIGIN .\n@ * {manner}\n$ORIGIN example.org.\nprobe * {manner}");
    Zones::parse(&text).unwrap()
}

/// What is known of the resolver and of this host.
fn known(scrape: &Scrape) -> (Option<f64>, Option<f64>) {
    let up = scrape.value("mx_resolver_up", &[("resolver", "world")]);
    (up, scrape.value("mx_vantage_helo_resolves", &[("family", "ipv4")]))
}

/// An agent that looks at its resolver once, and the way to give it another one beside.
fn with_one_resolver(world: &World) -> (Agent, impl Fn(&Agent)) {
    let config = Config::of(world).dns("health_interval", "\"1h\"").dns("timeout", "\"10s\"");
    let agent = Agent::start_with(&config.text(), &["--web.enable-lifecycle"]);
    let section = format!("[[resolver]]\nname = \"other\"\nservers = [\"{}\"]", world.dns_addr());
    let more = config.section(&section).text();
    let reload = move |agent: &Agent| {
        agent.write(CONFIG, &more);
        assert_eq!(agent.post("/-/reload").status, 200);
    };
    (agent, reload)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_resolver_makes_nothing_forgotten_of_the_first_or_of_this_host() {
    let world = World::builder().zone("").unwrap().start().await.unwrap();
    world.dns().set_zones(answering("!nodata"));
    let (agent, reload) = with_one_resolver(&world);
    let looked = (Some(1.0), Some(0.0));
    agent.scrape_until("both are known", |scrape| known(scrape) == looked);
    // Who asks again will not know for long.
    world.dns().set_zones(answering("!silent"));
    reload(&agent);
    assert_eq!(known(&agent.scrape()), looked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_found_out_counts_after_another_resolver_came() {
    let world = World::builder().zone("").unwrap().start().await.unwrap();
    world.dns().set_zones(answering("!delay=2s !nodata"));
    let (agent, reload) = with_one_resolver(&world);
    let asked = |name, rtype| (world.dns().queries(name, rtype) > 0).then_some(());
    wait_until("the control query", || asked(".", RecordType::NS));
    wait_until("a look at this host", || asked("probe.example.org.", RecordType::A));
    // Who asks anew is not told.
    world.dns().set_zones(answering("!silent"));
    reload(&agent);
    agent.scrape_until("both are known", |scrape| known(scrape) == (Some(1.0), Some(0.0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_changes_nothing() {
    let world = three_domains(13).await;
    let good = Config::of(&world).domains(&["keep.test"]).text();
    let agent = Agent::start_with(&good, &["--web.enable-lifecycle"]);
    let before = agent.scrape_until("two rounds", |scrape| sessions(scrape, "mx.keep.test") >= 2.0);
    let success = "mxwatch_config_last_reload_success_timestamp_seconds";

    agent.write(CONFIG, &format!("domans = []\n{good}"));
    let reply = agent.post("/-/reload");
    assert_eq!(reply.status, 500, "{reply:?}");
    let problem = "mxwatch.toml:1:1: domans: unknown key `domans`, did you mean `domains`?";
    assert!(reply.body.contains("The configuration in force stays"), "{reply:?}");
    assert!(reply.body.contains(problem), "{reply:?}");
    let line = agent.wait_for_log(&["level=error", "configuration not reloaded", "domans"]);
    assert!(line.contains("mxwatch.toml:1:1"), "{line}");
    let after = agent.scrape();
    assert_eq!(after.value("mxwatch_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(after.value(success, &[]), before.value(success, &[]));
    assert!(sessions(&after, "mx.keep.test") >= sessions(&before, "mx.keep.test"));

    agent.write(CONFIG, "this is no TOML");
    agent.signal("HUP");
    agent.wait_for_log(&["level=error", "why=SIGHUP", "mxwatch.toml:1:"]);
    agent.scrape_until("two more rounds", |scrape| {
        sessions(scrape, "mx.keep.test") >= sessions(&after, "mx.keep.test") + 2.0
    });
    agent.write(CONFIG, &good);
    assert_eq!(agent.post("/-/reload").status, 200);
    let mended = agent.scrape();
    assert_eq!(mended.value("mxwatch_config_last_reload_successful", &[]), Some(1.0));
    assert!(mended.value(success, &[]) > before.value(success, &[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_allows_it_is_reloaded_by_request() {
    let world = World::builder().start().await.unwrap();
    let agent = Agent::start(&Config::of(&world).domains(&["a.test"]).text());
    let reply = agent.post("/-/reload");
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("--web.enable-lifecycle"), "{reply:?}");
    assert!(agent.log_with(&["reloaded"]).is_empty());
}

/// The domains that have a route.
fn routed(scrape: &Scrape) -> BTreeSet<&str> {
    scrape.matching("mx_route", &[]).into_iter().map(|route| route.label("domain")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_reloads_under_load_lose_nothing() {
    let domains: Vec<String> = (0..200).map(|n| format!("d{n}.test")).collect();
    let mut zone = "$ORIGIN test.\n".to_owned();
    let mut builder = World::builder();
    for mx in 1..=3 {
        writeln!(zone, "mx{mx} A 127.90.14.{mx}").unwrap();
        builder = builder.smtp([127, 90, 14, mx], Script::healthy("mx.test"));
        for n in 0..200 {
            writeln!(zone, "d{n} MX {mx}0 mx{mx}").unwrap();
        }
    }
    for n in 0..20 {
        writeln!(zone, "extra{n} MX 10 mx1").unwrap();
    }
    let world = builder.zone(&zone).unwrap().start().await.unwrap();
    let config = |extra: Option<usize>| {
        let mut all = domains.clone();
        all.extend(extra.map(|n| format!("extra{n}.test")));
        // Every second time the settings of all domains change as well.
        let patience = if extra.is_some_and(|n| n % 2 == 0) { "\"3s\"" } else { "\"4s\"" };
        Config::of(&world).domains(&all).probe("banner_timeout", patience).text()
    };
    let begun = Instant::now();
    let agent = Agent::start_with(&config(None), &["--web.enable-lifecycle"]);
    // On a busy host it is ready before that: an interval has passed.
    agent.scrape_until("a route of each domain", |scrape| {
        let shown = routed(scrape);
        domains.iter().all(|domain| shown.contains(domain.as_str()))
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Scrapes refuse duplicates by themselves.
        let scraper = scope.spawn(|| {
            let mut counted = 0.0;
            while !over.load(Ordering::Relaxed) {
                let scrape = agent.scrape();
                let shown = routed(&scrape);
                for domain in &domains {
                    assert!(shown.contains(domain.as_str()), "{domain} is lost");
                }
                let now = scrape.sum("mx_sessions_total", &[]);
                assert!(now >= counted, "{now} sessions after {counted}");
                counted = now;
            }
            counted
        });
        for n in 0..20 {
            agent.write(CONFIG, &config(Some(n)));
            let reply = agent.post("/-/reload");
            assert_eq!(reply.status, 200, "{reply:?}");
            let extra = format!("extra{n}.test");
            agent.scrape_until(&extra, |scrape| scrape.mentions(&extra) || scraper.is_finished());
        }
        over.store(true, Ordering::Relaxed);
        assert!(scraper.join().unwrap() > 0.0);
    });
    let last = agent.scrape();
    assert_eq!(last.value("mxwatch_destinations", &[]), Some(201.0));
    for n in 0..19 {
        assert!(!last.mentions(&format!("extra{n}.test")), "extra{n} is gone");
    }
    assert_eq!(last.value("mxwatch_probe_panics_total", &[]), Some(0.0));
    for mx in 1..=3 {
        let tally = world.smtp([127, 90, 14, mx]).tally();
        assert_eq!(tally.peak, 1, "{tally:?}");
        assert!(tally.accepted <= begun.elapsed().as_secs() + 2, "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_is_no_longer_asked_takes_its_series_along() {
    let world = three_domains(17).await;
    // A second view of the same world, asked beside the first.
    let second = format!("[[resolver]]\nname = \"second\"\nservers = [\"{}\"]", world.dns_addr());
    let config = Config::of(&world).domains(&["keep.test"]).probe("interval", "\"30s\"");
    let agent = Agent::start(&config.clone().section(&second).text());
    let lookup = |resolver| [("name", "mx.keep.test"), ("type", "A"), ("resolver", resolver)];
    agent.scrape_until("both views", |scrape| {
        ["world", "second"]
            .iter()
            .all(|resolver| scrape.value("mx_dns_lookup_success", &lookup(resolver)) == Some(1.0))
    });
    agent.write(CONFIG, &config.text());
    agent.signal("HUP");
    agent.wait_for_log(&["configuration reloaded", "why=SIGHUP"]);
    let scrape = agent.scrape();
    assert!(!scrape.mentions("second"), "long before the next round");
    assert_eq!(scrape.value("mx_dns_lookup_success", &lookup("world")), Some(1.0));
    let counted = [("type", "MX"), ("resolver", "world"), ("status", "noerror")];
    assert_eq!(scrape.value("mx_dns_lookups_total", &counted), Some(1.0), "nothing starts anew");
}
