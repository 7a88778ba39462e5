//! The image: its recipe is built as it is, but with a stand-in for the official image of the toolchain,
//! and what comes out runs as an engine would run it ([`engine`]): as the user that the image names,
//! without capabilities, with a read-only root file system, and with the health check that it names;
//! by itself, as compose.yaml has it, and as its pod in packaging/kubernetes ([`pod`]).

use std::collections::BTreeSet;

use clap::Parser;
use mxwatch::cli::{Cli, DEFAULT_CONFIG, DEFAULT_LISTEN};
use serde_json::json;

#[allow(dead_code, reason = "shared with the tests against real servers")]
#[path = "../servers/mod.rs"]
mod servers;

mod engine;
#[allow(dead_code, reason = "shared with the tests of the manifests")]
#[path = "../kubernetes/manifests.rs"]
mod manifests;
mod pod;

use engine::{AUTHORITIES, Engine, RECIPE, Run, list};
use manifests::{Manifests, SINGLE, read, yaml};

/// The instructions of the recipe with this name, without it.
fn instructions(name: &str) -> Vec<String> {
    let recipe = read(RECIPE).replace("\\\n", "");
    let lines = recipe.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.map(str::to_owned).collect()
}

/// The words of an instruction in exec form, the only one that needs no shell.
fn words(exec_form: &str) -> Vec<String> {
    serde_json::from_str(exec_form).unwrap_or_else(|error| panic!("{exec_form}: {error}"))
}

#[test]
fn the_recipe_says_what_the_program_does() {
    assert_eq!(instructions("FROM").last().map(String::as_str), Some("scratch"));
    // A name would need /etc/passwd, and Kubernetes cannot tell whether one is root.
    let user = instructions("USER").pop().unwrap();
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    assert_eq!(format!(":{}", instructions("EXPOSE").pop().unwrap()), DEFAULT_LISTEN);
    assert_eq!(words(&instructions("ENTRYPOINT").pop().unwrap()), ["/usr/bin/mxwatch"]);
    assert!(
        instructions("COPY").iter().any(|copy| copy.ends_with(&format!("/image{DEFAULT_CONFIG}")))
    );
    let check = instructions("HEALTHCHECK").pop().unwrap();
    let (_, check) = check.split_once("CMD ").unwrap();
    assert!(Cli::try_parse_from(words(check)).is_ok(), "{check}");
}

#[test]
fn the_image_runs_as_it_is_meant_to() {
    let Some(engine) = Engine::here() else { return };
    let image = engine.image();

    assert_eq!(image.config["User"], "10187:10187");
    let (libraries, own): (BTreeSet<String>, BTreeSet<String>) =
        image.files().into_iter().partition(|file| file.starts_with("lib"));
    let expected = [&DEFAULT_CONFIG[1..], AUTHORITIES, "usr/bin/mxwatch"];
    assert_eq!(own, expected.map(str::to_owned).into());
    assert!(libraries.iter().all(|file| file.contains(".so.")), "{libraries:?}");

    // As it is, with the configuration of the image.
    let said = engine.runs(&image, &Run::default(), &["--config.check"]);
    assert_eq!(said, format!("{DEFAULT_CONFIG}: good, 0 destinations\n"));
    // As compose.yaml has it.
    let compose = yaml(&read("compose.yaml"));
    let agent = &compose["services"]["agent"];
    assert_eq!((&agent["read_only"], &agent["cap_drop"]), (&json!(true), &json!(["ALL"])));
    let run = Run { args: list(&agent["command"]), mounts: Vec::new() };
    engine.runs(&image, &run, &["senders"]);

    let Some(manifests) = Manifests::of(SINGLE) else { return };
    let volumes = tempfile::tempdir().unwrap();
    let run = pod::run(&manifests, volumes.path());
    let said = engine.runs(&image, &run, &["--config.check"]);
    assert_eq!(said, format!("{DEFAULT_CONFIG}: good, 1 destination\n"));
}
