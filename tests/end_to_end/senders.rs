//! `mxwatch senders`, and own senders from a configuration.

use std::fs;

use mxwatch::{config, delivery::builtin};

use crate::harness::run;

#[test]
fn all_senders_are_listed_and_those_judged_are_marked() {
    let ran = run(&["senders"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for sender in builtin::all() {
        let mark = if builtin::DEFAULT.contains(&&*sender.name) { '*' } else { ' ' };
        let line = format!("\n{mark} {}: ", sender.name);
        assert!(ran.stdout.contains(&line), "{line:?} is missing in\n{}", ran.stdout);
    }
    let ran = run(&["senders", "exchange"]);
    assert_eq!(ran.code, Some(64));
    assert!(ran.stderr.contains("did you mean \"exchange-2010\"?"), "{}", ran.stderr);
}

#[test]
fn what_is_shown_of_a_sender_is_a_configuration_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mxwatch.toml");
    let flag = format!("--config.file={}", path.display());
    let load = |sections: &str| {
        fs::write(&path, format!("helo_name = \"mail.test\"\n{sections}")).unwrap();
        let nothing: [(&str, &str); 0] = [];
        config::load(&path, nothing).unwrap_or_else(|problems| panic!("{problems}")).config
    };
    for sender in builtin::all() {
        let shown = run(&["senders", &sender.name]);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        let own = load(&shown.stdout).senders[0].clone();
        assert_eq!(*own.name, *format!("our-{}", sender.name));
        assert_eq!(own.behaviour, sender.behaviour, "{}", sender.name);
        // With every line in force it is the same.
        let all = shown.stdout.lines().map(|line| match line.strip_prefix('#') {
            Some(value) if !value.starts_with(' ') => format!("{value}\n"),
            _ => format!("{line}\n"),
        });
        let own = load(&all.collect::<String>()).senders[0].clone();
        assert_eq!(own.behaviour, sender.behaviour, "{}", sender.name);
    }

    load("[sender.edge]\nlike = \"postfix-dane\"\nconnect_timeout = \"10s\"\n");
    let listed = run(&["senders", &flag]);
    assert!(listed.stdout.contains("\n* edge: postfix with own parameters\n"), "{}", listed.stdout);
    assert!(listed.stdout.contains("\n  postfix: "), "{}", listed.stdout);
    let shown = run(&["senders", &flag, "edge"]).stdout;
    for line in ["[sender.edge]", "like = \"postfix\"", "dane = true", "connect_timeout = \"10s\""]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
    let ran = run(&["judge", &flag, "--sender=edgy", "-"]);
    assert_eq!(ran.code, Some(64));
    assert!(ran.stderr.contains("did you mean \"edge\"?"), "{}", ran.stderr);
}
