//! `mxwatch check` and `--config.check`: what an admin types by hand.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use mxwatch::{
    facts::{FACTS_VERSION, Facts, Route},
    world::{
        World,
        smtp_script::{Action, Script, Verb},
    },
};

use crate::harness::{Ran, program, run, run_command, wait_until};

/// A command that checks in this world.
fn command(world: &World, args: &[&str]) -> Command {
    let mut command = program();
    command.args(["check", "--helo-name=probe.example.org"]);
    command.arg(format!("--dns-server={}", world.dns_addr()));
    command.arg(format!("--port={}", world.smtp_port()));
    if !args.iter().any(|arg| arg.starts_with("--timeout")) {
        command.arg("--timeout=2s");
    }
    command.args(args);
    command
}

fn check(world: &World, args: &[&str]) -> Ran {
    run_command(command(world, args))
}

fn assert_says(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for part in parts {
        assert!(ran.stdout.contains(part), "{part:?} is missing in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\x1b'), "colour in a pipe: {:?}", ran.stdout);
}

async fn world(net: u8) -> World {
    World::builder()
        .zone(&format!(
            "$ORIGIN test.\ngood MX 10 mx1\nmx1 A 127.90.{net}.1\n\
             mute MX 10 silent\nmute MX 20 mx1\nsilent A 127.90.{net}.2\n\
             slow MX 10 slowly\nslowly A 127.90.{net}.3\n\
             half MX 10 v6bad\nv6bad A 127.90.{net}.1\nv6bad AAAA !servfail\n\
             implicit A 127.90.{net}.1\nnull MX 0 .\nalias MX 10 other\nother CNAME mx1"
        ))
        .unwrap()
        .smtp([127, 90, net, 1], Script::healthy("mx1.test"))
        .smtp([127, 90, net, 2], Script::silent())
        .smtp([127, 90, net, 3], Script::slow_banner(Duration::from_millis(800)))
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_and_its_status() {
    let world = world(40).await;
    let port = world.smtp_port();
    let up = format!("up       127.90.40.1:{port}  connect ");
    let good = check(&world, &["good.test"]);
    assert_says(&good, 0, &["good.test", "10 mx1.test", &up, "banner 220", "ehlo 250", "quit 221"]);
    assert_says(&good, 0, &["Nothing wrong was found.", "TTL "]);
    assert!(good.stderr.is_empty(), "{good:?}");

    let mute = check(&world, &["mute.test"]);
    let down = format!("DOWN     127.90.40.2:{port}  connect ");
    let why = "accepts the TCP connection and then does not greet";
    // It is wrong, and Postfix and Exchange deliver all the same.
    assert_says(&mute, 0, &["10 silent.test, 20 mx1.test", &down, "banner timeout", why, &up]);
    assert_says(&mute, 0, &["! postfix        delivers via mx1.test (ipv4), 5 min lost"]);

    let half = check(&world, &["half.test"]);
    assert_says(&half, 1, &["AAAA  SERVFAIL", "its AAAA lookup fails", "$ dig ", &up]);
    assert_says(&half, 1, &["✔ postfix        delivers via v6bad.test (ipv4)"]);
    assert_says(&half, 1, &["✗ exchange-2010  defers: host_dns_temp", "KB 972744"]);
    let implicit = check(&world, &["implicit.test"]);
    assert_says(&implicit, 0, &["(implicit MX)", &up]);
    let null = check(&world, &["null.test"]);
    assert_says(
        &null,
        2,
        &["null MX: takes no mail", "RFC 7505", "✗ postfix        bounces: mx_null"],
    );
    let nobody = check(&world, &["nobody.test"]);
    assert_says(&nobody, 2, &["no such domain", "does not exist: NXDOMAIN from 127."]);
    let alias = check(&world, &["alias.test"]);
    assert_says(&alias, 0, &["via CNAME mx1.test", &up, "RFC 2181"]);

    let address = format!("127.90.40.1:{port}");
    assert_says(&check(&world, &[&address]), 0, &["smart host 127.90.40.1", &up]);
    let host = format!("mx1.test:{port}");
    assert_says(&check(&world, &[&host]), 0, &["smart host mx1.test", &up]);
    assert_eq!(world.dns().queries("mx1.test", hickory_resolver::proto::rr::RecordType::MX), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_domains_come_in_the_order_given() {
    let world = world(41).await;
    // The first takes longest.
    let several = check(&world, &["mute.test", "slow.test", "good.test"]);
    assert_says(&several, 0, &[]);
    let heads: Vec<&str> = several
        .stdout
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    // First what holds for all of them.
    assert_eq!(heads, ["this", "mute.test", "slow.test", "good.test"]);
    // All at the same time: two seconds for the silent one, not the sum.
    assert!(several.took < Duration::from_secs(20), "{:?}", several.took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_one_object_a_line() {
    let world = world(42).await;
    let domains = ["good.test", "mute.test", "null.test"];
    let ran = check(&world, &["--json", domains[0], domains[1], domains[2]]);
    assert_says(&ran, 2, &[]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    let mut routes = Vec::new();
    for (line, domain) in lines.iter().zip(domains) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["domain"], domain);
        assert_eq!(value["version"], FACTS_VERSION);
        let at = value["checked_at"].as_str().unwrap();
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        let facts: Facts = serde_json::from_value(value["facts"].clone()).unwrap();
        assert_eq!(facts.destination.to_string(), domain);
        let again = serde_json::to_value(&facts).unwrap();
        assert_eq!(again, value["facts"], "nothing is lost on the way back");
        let senders: Vec<_> =
            value["verdicts"].as_array().unwrap().iter().map(|v| &v["sender"]).collect();
        assert_eq!(senders, ["postfix", "exchange-2010"]);
        routes.push((facts.mx[0].route.clone(), facts.exchangers.len()));
    }
    assert!(matches!(routes[0], (Route::Mx { .. }, 1)), "{routes:?}");
    assert!(matches!(routes[1], (Route::Mx { .. }, 2)), "{routes:?}");
    assert!(matches!(routes[2], (Route::Null, 0)), "{routes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_reads_like_telnet() {
    let world = world(43).await;
    let ran = check(&world, &["--transcript", "good.test"]);
    let trying = format!("Trying 127.90.43.1 port {}...", world.smtp_port());
    let parts = [
        &*trying,
        "Connected to 127.90.43.1.",
        "220 mx1.test",
        "> EHLO probe.example.org",
        "250-",
        "> QUIT",
        "221 2.0.0 Bye",
    ];
    assert_says(&ran, 0, &parts);
    let places: Vec<_> = parts.iter().map(|part| ran.stdout.find(part)).collect();
    assert!(places.is_sorted(), "{}", ran.stdout);
    let ran = check(&world, &["--transcript", "mute.test"]);
    assert_says(&ran, 0, &["gave up waiting"]);
    assert_eq!(check(&world, &["--transcript", "--json", "good.test"]).code, Some(64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_do_nothing_to_a_terminal() {
    let words: &[u8] = b"554 \x1b]0;title\x07 \x1b[2J one\rtwo\r\n";
    let world = World::builder()
        .zone("$ORIGIN bad.test.\n@ MX 10 mx\nmx A 127.90.44.1")
        .unwrap()
        .smtp([127, 90, 44, 1], Script::healthy("mx").on(Verb::Banner, Action::raw(words)))
        .start()
        .await
        .unwrap();
    for args in [&["bad.test"][..], &["--transcript", "bad.test"], &["--json", "bad.test"]] {
        let ran = check(&world, args);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let bad = ran.stdout.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{args:?}: {:?}", ran.stdout);
    }
    let coloured = check(&world, &["--color=always", "bad.test"]);
    assert!(coloured.stdout.contains("\x1b["), "{coloured:?}");
    assert!(!coloured.stdout.contains("\x1b]") && !coloured.stdout.contains('\x07'));
}

#[test]
fn wrong_usage_and_wrong_configuration() {
    for args in [&["check"][..], &["check", "not a domain"], &["check", "--port=0", "a.test"]] {
        let ran = run(args);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.stderr.contains("error: "), "{ran:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mxwatch.toml");
    let shown = path.display();
    let flag = format!("--config.file={shown}");
    let missing = format!("{shown}: cannot be read: No such file or directory (os error 2)\n");
    for args in [&["--config.check", &flag][..], &[&flag], &["check", &flag, "a.test"]] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stderr), (Some(78), missing.clone()), "{args:?}");
    }
    let wrong = "helo_name = \"probe.example.org\"\ndomans = [\"a.test\"]\n\
                 domains = [\"a..test\"]\n[probe]\ninterval = \"5\"\n";
    std::fs::write(&path, wrong).unwrap();
    let expected = format!(
        "{shown}:2:1: domans: unknown key `domans`, did you mean `domains`?\n\
         {shown}:3:12: domains[0]: \"a..test\": labels are letters, digits and inner hyphens, \
         separated by single dots\n\
         {shown}:5:12: probe.interval: \"5\" has no unit; write \"5s\"\n"
    );
    for args in [&["--config.check", &flag][..], &["check", &flag, "a.test"]] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stderr), (Some(78), expected.clone()), "{args:?}");
        assert!(ran.stdout.is_empty());
    }
    std::fs::write(&path, "helo_name = \"mail.test\"\ndomains = [\"a.test\", \"b.test\"]\n")
        .unwrap();
    let ran = run(&["--config.check", &flag]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("{shown}: good, 2 destinations\n"));
    let ran = run(&["check", "--helo-name=localhost", "a.test"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.stderr.contains("'--helo-name <NAME>': servers refuse clients"), "{ran:?}");
    let ran = run(&["check", "--timeout=0s", "a.test"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.stderr.contains("must be from 1ms to 1h"), "{ran:?}");
    let ran = run(&["--web.listen-address=nonsense", &flag]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_early_is_no_failure() {
    let world = world(45).await;
    let mut command = command(&world, &["good.test", "slow.test", "good.test"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    // As `head -1` does, before slow.test is done.
    drop(stdout);
    let status = wait_until("its end", || child.try_wait().unwrap());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(first.starts_with("this host  calls as"), "{first}");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_it_takes_its_leave() {
    let net = [127, 90, 46, 1];
    let world = World::builder()
        .zone("$ORIGIN mute.test.\n@ MX 10 mx\nmx A 127.90.46.1")
        .unwrap()
        .smtp(net, Script::healthy("mx.mute.test").on(Verb::Ehlo, Action::silence()))
        .start()
        .await
        .unwrap();
    let mut command = command(&world, &["--timeout=60s", "mute.test"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_until("EHLO", || {
        world.smtp(net).commands().iter().any(|line| line.starts_with("EHLO")).then_some(())
    });
    let kill = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let begun = Instant::now();
    let status = wait_until("its end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    wait_until("QUIT", || (world.smtp(net).tally().quit == 1).then_some(()));
}

#[test]
fn a_host_without_a_way_out_says_so_and_blames_nobody() {
    // A network namespace of its own has nothing but a loopback interface that is down.
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user"]).args(args);
        command
    };
    if !unshare(&["true"]).output().is_ok_and(|ended| ended.status.success()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must allow namespaces");
        println!("skipped: this host allows no network namespaces");
        return;
    }
    let program = program().get_program().to_owned();
    let mut command = unshare(&[program.to_str().unwrap()]);
    command.args(["check", "--helo-name=probe.example.org", "192.0.2.1:25", "[2001:db8::1]:25"]);
    let ran = run_command(command);
    assert_says(&ran, 1, &["this host itself has no ipv4 route", "no ipv6 route"]);
    assert!(!ran.stdout.contains("DOWN "), "{}", ran.stdout);
}
