//! Tells the program from which revision it is built, by BUILD_REVISION in the environment, and by
//! which compiler for what. Everything else about a build stands in Cargo.toml.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    let unknown = || "unknown".to_owned();
    // As in "rustc 1.89.0 (29483883e 2025-08-04)".
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let rustc = said.ok().and_then(|said| said.split(' ').nth(1).map(str::to_owned));
    for (name, value) in [
        ("REVISION", env::var("BUILD_REVISION").ok()),
        ("RUSTC", rustc),
        ("TARGET", env::var("TARGET").ok()),
    ] {
        println!("cargo::rustc-env=BUILD_{name}={}", value.unwrap_or_else(unknown));
    }
}
