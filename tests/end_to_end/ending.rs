//! The end of the agent: soon, politely, with status 0.

use std::time::Duration;

use mxwatch::world::{
    World,
    smtp_script::{Action, Script, Verb},
};

use crate::{
    config::Config,
    harness::{Agent, wait_until},
};

/// Ends an agent in the middle of sessions with a server that never greets and with one that
/// greeted and takes its time for EHLO.
async fn ends_well(signal: &str, net: u8) {
    let (silent, slow, healthy) = ([127, 90, net, 1], [127, 90, net, 2], [127, 90, net, 3]);
    let late = Action::reply("250 at last").after(Duration::from_secs(4));
    let world = World::builder()
        .zone(&format!(
            "$ORIGIN test.\na MX 10 silent\na MX 20 slow\na MX 30 healthy\n\
             silent A 127.90.{net}.1\nslow A 127.90.{net}.2\nhealthy A 127.90.{net}.3"
        ))
        .unwrap()
        .smtp(silent, Script::silent())
        .smtp(slow, Script::healthy("slow.test").on(Verb::Ehlo, late))
        .smtp(healthy, Script::healthy("healthy.test"))
        .start()
        .await
        .unwrap();
    let config = Config::of(&world)
        .domains(&["a.test"])
        .probe("interval", "\"60s\"")
        .probe("banner_timeout", "\"60s\"")
        .probe("command_timeout", "\"60s\"")
        .probe("session_timeout", "\"60s\"");
    let mut agent = Agent::start(&config.text());
    wait_until("sessions with all three", || {
        let waiting = world.smtp(silent).tally().open == 1;
        let greeted = world.smtp(slow).commands().iter().any(|line| line.starts_with("EHLO"));
        (waiting && greeted && world.smtp(healthy).tally().quit == 1).then_some(())
    });
    let (status, took) = agent.end_with(signal);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    wait_until("QUIT at the server that greeted", || {
        (world.smtp(slow).tally().quit == 1).then_some(())
    });
    wait_until("the end of both sessions", || {
        let open = [silent, slow].map(|ip| world.smtp(ip).tally().open);
        (open == [0, 0]).then_some(())
    });
    assert_eq!(world.smtp(slow).commands().last().map(String::as_str), Some("QUIT"));
    assert_eq!(agent.log_with(&["message=stopped"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_it_with_sessions_open() {
    ends_well("TERM", 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_ends_it_with_sessions_open() {
    ends_well("INT", 6).await;
}
