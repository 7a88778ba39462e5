//! Several agents share one list: together they watch all of it, and nothing twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    process::Command,
};

use mxwatch::{
    name::Destination,
    shard::Shard,
    world::{World, smtp_script::Script},
};

use crate::{
    config::Config,
    harness::{Agent, CONFIG, run, run_command, wait_until},
};

const DOMAINS: usize = 24;

/// So many domains, each with an exchanger of its own name, at 127.90.NET.1.
async fn world(net: u8) -> World {
    let mut zone = format!("$ORIGIN test.\nrelay A 127.90.{net}.1\n");
    for n in 0..DOMAINS {
        writeln!(zone, "d{n} MX 10 mx.d{n}\nmx.d{n} A 127.90.{net}.1").unwrap();
    }
    let builder = World::builder().zone(&zone).unwrap();
    builder.smtp([127, 90, net, 1], Script::healthy("mx.test")).start().await.unwrap()
}

/// Their names.
fn domains() -> Vec<String> {
    (0..DOMAINS).map(|n| format!("d{n}.test")).collect()
}

/// A configuration of them all and of a smart host.
fn config(world: &World) -> Config {
    let relay = format!("[[destination]]\nsmarthost = \"relay.test:{}\"", world.smtp_port());
    Config::of(world).domains(&domains()).section(&relay)
}

/// Agents that share a configuration, each ready.
fn agents(config: &str, shards: u16) -> Vec<Agent> {
    let start = |index| Agent::start_with(config, &[&format!("--shard={index}/{shards}")]);
    let agents: Vec<Agent> = (0..shards).map(start).collect();
    agents.iter().for_each(Agent::wait_ready);
    agents
}

/// Which of them watches each destination.
///
/// # Panics
///
/// When two have the same series about a destination or its exchangers.
fn watching(agents: &[Agent]) -> BTreeMap<String, usize> {
    let mut watching = BTreeMap::new();
    let mut series = BTreeSet::new();
    for (index, agent) in agents.iter().enumerate() {
        let scrape = agent.scrape();
        for sample in scrape.all() {
            let about = ["domain", "mx"].into_iter().any(|name| !sample.label(name).is_empty());
            let new = series.insert((sample.name.clone(), sample.labels.clone()));
            assert!(new || !about, "two agents have {sample}");
        }
        let all = scrape.value("mxwatch_destinations_configured", &[]);
        assert_eq!(all, Some(25.0));
        let number = (index.to_string(), agents.len().to_string());
        let labels = [("shard", number.0.as_str()), ("shards", number.1.as_str())];
        assert_eq!(scrape.value("mxwatch_shard_info", &labels), Some(1.0));
        let own = scrape.matching("mx_destination_info", &[]);
        let own: BTreeSet<_> = own.iter().map(|sample| sample.label("domain")).collect();
        let count = f64::from(u32::try_from(own.len()).unwrap());
        assert_eq!(scrape.value("mxwatch_destinations", &[]), Some(count));
        for name in own {
            assert_eq!(watching.insert(name.to_owned(), index), None, "{name} is watched twice");
        }
    }
    watching
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_cover_the_list_once_and_one_more_takes_only_its_share() {
    let world = world(90).await;
    let config = config(&world).text();
    let three = watching(&agents(&config, 3));
    assert_eq!(three.len(), DOMAINS + 1, "{three:?}");
    assert!((0..3).all(|shard| three.values().any(|&of| of == shard)), "{three:?}");
    let four = watching(&agents(&config, 4));
    assert_eq!(four.len(), DOMAINS + 1, "{four:?}");
    for (name, before) in &three {
        let after = &four[name];
        assert!(after == before || *after == 3, "{name} went from {before} to {after}");
    }
    assert!(four.values().any(|&of| of == 3), "{four:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_brings_an_agent_what_is_its_own() {
    let world = world(91).await;
    let shard = Shard::new(1, 2).unwrap();
    let is_own = |name: &String| shard.watches(&Destination::parse(name).unwrap());
    let (own, others): (Vec<_>, Vec<_>) = domains().into_iter().partition(is_own);
    let config = Config::of(&world);
    let before = config.clone().domains(&[&own[0], &others[0]]).text();
    let agent = Agent::start_with(&before, &["--shard=1/2"]);
    agent.wait_for_log(&["starting", "destinations=1", "share=\"shard 1 of 2, 2 destinations"]);
    agent.write(CONFIG, &config.domains(&[&own[1], &others[0], &others[1]]).text());
    agent.signal("HUP");
    let of_all = "share=\"shard 1 of 2, 3 destinations in all\"";
    agent.wait_for_log(&["configuration reloaded", "destinations=1", of_all]);
    let scrape = agent.scrape_until("the new one", |scrape| scrape.mentions(&own[1]));
    for other in [&own[0], &others[0], &others[1]] {
        assert!(!scrape.mentions(other), "{other}");
    }
    let reply = agent.get(&format!("/domains/{}", others[1]));
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("belongs to shard 0 of 2"), "{reply:?}");
    let page = wait_until("the page", || Some(agent.get("/")).filter(|page| page.status == 200));
    assert!(page.body.contains("<h1>shard 1 of 2: 1 of 3 destinations</h1>"), "{page:?}");
}

#[test]
fn a_wrong_shard_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CONFIG);
    std::fs::write(&file, "helo_name = \"mx.test\"\ndomains = [\"a.test\", \"b.test\"]").unwrap();
    let file = format!("--config.file={}", file.display());
    let check = |shard: &str| run(&[&file, "--config.check", &format!("--shard={shard}")]);
    let good = check("0/2");
    assert_eq!(good.code, Some(0), "{good:?}");
    let watched = "good, 2 destinations, of which shard 0 of 2 watches 2\n";
    assert!(good.stdout.ends_with(watched), "{good:?}");
    for (shard, why) in [
        ("2/2", "2 shards are counted from 0 to 1, and there is no shard 2"),
        ("0", "expected I/N with I from 0 to N-1"),
        ("ordinal/0", "expected I/N with I from 0 to N-1"),
    ] {
        let wrong = check(shard);
        assert_eq!(wrong.code, Some(64), "{wrong:?}");
        assert!(wrong.stderr.contains(why), "{wrong:?}");
    }
}

/// As in a pod: its host name is of its own, and nobody else's.
#[test]
fn a_pod_finds_its_number_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CONFIG);
    std::fs::write(&file, "helo_name = \"mx.test\"\ndomains = [\"a.test\", \"b.test\"]").unwrap();
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--uts", "--map-root-user"]).args(args);
        command
    };
    if !unshare(&["true"]).output().is_ok_and(|ended| ended.status.success()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must allow namespaces");
        println!("skipped: this host allows no namespaces");
        return;
    }
    let on_host = |name: &str| {
        let script = format!(
            "hostname {name} && exec {} --config.file={} --config.check --shard=ordinal/3",
            env!("CARGO_BIN_EXE_mxwatch"),
            file.display()
        );
        let ran = run_command(unshare(&["sh", "-c", &script]));
        (ran.code, ran.stdout + &ran.stderr)
    };
    let (code, text) = on_host("mxwatch-2");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("shard 2 of 3 watches "), "{text}");
    for (name, why) in
        [("mxwatch-3", "there is no shard 3"), ("node", "does not end with a hyphen and a number")]
    {
        let (code, text) = on_host(name);
        assert_eq!(code, Some(64), "{text}");
        assert!(text.contains(why), "{text}");
    }
}
