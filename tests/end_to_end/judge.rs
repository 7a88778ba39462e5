//! `mxwatch judge`, and the verdicts of `check` that it must repeat.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use mxwatch::world::{World, smtp_script::Script};
use serde_json::Value;

use crate::harness::{program, run, run_command};

async fn world(net: u8) -> World {
    World::builder()
        .zone(&format!(
            "$ORIGIN test.\ngood MX 10 mx1\nmx1 A 127.91.{net}.1\n\
             mute MX 10 silent\nmute MX 20 mx1\nsilent A 127.91.{net}.2\n\
             half MX 10 v6bad\nv6bad A 127.91.{net}.1\nv6bad AAAA !servfail\n\
             no MX 10 unwilling\nunwilling A 127.91.{net}.3\nnull MX 0 ."
        ))
        .unwrap()
        .smtp([127, 91, net, 1], Script::healthy("mx1.test"))
        .smtp([127, 91, net, 2], Script::silent())
        .smtp([127, 91, net, 3], Script::banner("554 5.7.1 not you"))
        .start()
        .await
        .unwrap()
}

fn check(world: &World, args: &[&str]) -> Command {
    let mut command = program();
    command.args(["check", "--helo-name=probe.example.org", "--timeout=2s"]);
    command.arg(format!("--dns-server={}", world.dns_addr()));
    command.arg(format!("--port={}", world.smtp_port()));
    command.args(args);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_status_is_the_worst_outcome() {
    let world = world(1).await;
    for (args, status) in [
        (&["--sender=postfix", "good.test"][..], 0),
        (&["--sender=postfix", "half.test"], 0),
        (&["--sender=exchange-2010", "half.test"], 1),
        (&["--sender=postfix", "--sender=exchange-2010", "good.test", "half.test"], 1),
        (&["--sender=postfix", "mute.test"], 0),
        (&["--sender=ims-5.5", "mute.test"], 1),
        (&["--sender=postfix", "no.test"], 1),
        (&["--sender=exim", "no.test"], 2),
        (&["--sender=postfix", "good.test", "null.test", "half.test"], 2),
        (&["--sender=ipv6-only", "good.test"], 2),
        (&["--sender=postfx", "good.test"], 64),
    ] {
        let ran = run_command(check(&world, args));
        assert_eq!(ran.code, Some(status), "{args:?}\n{}{}", ran.stdout, ran.stderr);
    }
    let ran = run_command(check(&world, &["--sender=postfx", "good.test"]));
    assert_eq!(
        ran.stderr,
        "error: invalid value \"postfx\" for '--sender <NAME>': no such sender, did you mean \
         \"postfix\"?\n"
    );
    assert!(ran.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn judge_repeats_what_check_said() {
    let world = world(2).await;
    let domains = ["mute.test", "half.test", "no.test", "null.test"];
    let mut command = check(&world, &["--json"]);
    let checked = run_command({
        command.args(domains);
        command
    });
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts.jsonl");
    fs::write(&path, &checked.stdout).unwrap();
    let file = path.to_str().unwrap();

    let again = run(&["judge", "--json", file]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    // All but what is known of this host and its resolvers, which are no facts about a domain.
    let lines = |said: &str| -> Vec<Value> {
        let mut lines: Vec<Value> =
            said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        for line in &mut lines {
            let (vantage, _) = (line["vantage"].take(), line["resolvers"].take());
            assert_eq!(vantage.is_null(), said == again.stdout, "{vantage}");
        }
        lines
    };
    assert_eq!(lines(&again.stdout), lines(&checked.stdout));
    let report = run(&["judge", file]);
    assert_eq!(report.code, Some(2));
    for part in [
        "half.test  20",
        "✗ exchange-2010  defers: host_dns_temp",
        "in its log: 451 4.4.0 DNS query failed",
        "554 5.7.1 not you",
        "✗ postfix        bounces: mx_null",
    ] {
        assert!(report.stdout.contains(part), "{part:?} is missing in\n{}", report.stdout);
    }
    assert_eq!(run(&["judge", "--sender=ims-5.5", file]).code, Some(2));

    // The facts alone, by standard input.
    let first: Value = serde_json::from_str(checked.stdout.lines().next().unwrap()).unwrap();
    let mut child = program()
        .args(["judge", "--sender=postfix", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(first["facts"].to_string().as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let judged: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(judged["verdicts"][0], first["verdicts"][0]);
    assert_eq!(judged["facts"], first["facts"]);
}

#[test]
fn what_if_is_asked_in_shorthand_and_mistakes_have_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = write(
        "what-if.json",
        r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]],
            "hosts": {"mx1.example.com": {"a": ["192.0.2.1"], "aaaa": "timeout"}}}"#,
    );
    let ran = run(&["judge", "--sender=sendmail", "--sender=postfix", &file]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("no answer from the name server"), "{}", ran.stdout);

    let broken = write("broken.json", "{\"version\": 1,\n \"facts\": {]}\n");
    let ran = run(&["judge", &file, &broken]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(65), ""));
    assert!(ran.stderr.starts_with(&format!("{broken}:2:12: ")), "{}", ran.stderr);
    let missing = folder.path().join("missing");
    let ran = run(&["judge", missing.to_str().unwrap()]);
    assert_eq!(ran.code, Some(65));
    assert!(ran.stderr.contains("missing: cannot be read: No such file"), "{}", ran.stderr);
    assert_eq!(run(&["judge"]).code, Some(64));
}
