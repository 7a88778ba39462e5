//! The configuration as a pod has it, read by the program itself.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    harness::{Agent, run},
    manifests::{BASE, Manifests},
};

/// The configuration as it is mounted, with the folders of the pod below one here.
fn mounted(manifests: &Manifests, root: &Path) -> String {
    let mut config = manifests.file("mxwatch.toml").to_owned();
    let mut destinations = manifests.file("destinations.toml").to_owned();
    for text in [&mut config, &mut destinations] {
        for volume in ["destinations", "secrets"] {
            let mount = manifests.mount(volume);
            *text = text.replace(mount, &format!("{}{mount}", root.display()));
        }
    }
    let config_file =
        root.join(manifests.mount("config").trim_start_matches('/')).join("mxwatch.toml");
    fs::create_dir_all(config_file.parent().unwrap()).unwrap();
    fs::write(&config_file, config).unwrap();
    write_as_kubelet(&folder(manifests, "destinations", root), "destinations.toml", &destinations);
    config_file.display().to_string()
}

fn folder(manifests: &Manifests, volume: &str, root: &Path) -> PathBuf {
    root.join(manifests.mount(volume).trim_start_matches('/'))
}

/// Puts a file of a ConfigMap in place as the kubelet does: in a new folder, to which a link is moved.
fn write_as_kubelet(volume: &Path, name: &str, text: &str) {
    let earlier = fs::read_dir(volume).map(Iterator::count).unwrap_or_default();
    let new = volume.join(format!("..{earlier}"));
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join(name), text).unwrap();
    symlink(new.file_name().unwrap(), volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    let seen = volume.join(name);
    if !seen.is_symlink() {
        symlink(Path::new("..data").join(name), seen).unwrap();
    }
}

#[test]
fn the_agent_takes_the_configuration() {
    let Some(manifests) = Manifests::of(BASE) else { return };
    let root = tempfile::tempdir().unwrap();
    let config = mounted(&manifests, root.path());
    let check = || run(&[&format!("--config.file={config}"), "--config.check"]);
    let ran = check();
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("{config}: good, 0 destinations\n")),
        "{}",
        ran.stderr
    );

    // With everything that is only shown in it.
    let secrets = folder(&manifests, "secrets", root.path());
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("relay"), "secret\n").unwrap();
    let destinations = folder(&manifests, "destinations", root.path());
    let text = fs::read_to_string(destinations.join("destinations.toml")).unwrap();
    let shown =
        text.split_once("# [[").map(|(before, after)| format!("{before}[[{after}")).unwrap();
    let shown = shown.lines().map(|line| {
        let key = line.strip_prefix("# ").filter(|rest| rest.contains(" = \""));
        key.unwrap_or(line)
    });
    let shown: Vec<_> = shown.collect();
    write_as_kubelet(&destinations, "destinations.toml", &shown.join("\n"));
    let ran = check();
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("{config}: good, 1 destination\n")),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_changed_list_of_domains_needs_no_restart() {
    let Some(manifests) = Manifests::of(BASE) else { return };
    let root = tempfile::tempdir().unwrap();
    let config = mounted(&manifests, root.path());
    let destinations = folder(&manifests, "destinations", root.path());
    // Nobody is asked about them.
    let config = fs::read_to_string(config).unwrap()
        + "[[resolver]]\nname = \"nobody\"\nservers = [\"127.0.0.1:1\"]\n";
    let agent = Agent::start(&config);
    for (path, kind) in [("/-/healthy", "livenessProbe"), ("/-/ready", "readinessProbe")] {
        assert_eq!(manifests.container()[kind]["httpGet"]["path"], path);
    }
    agent.wait_ready();
    assert_eq!(agent.get("/-/healthy").status, 200);
    for (domains, count) in [("\"one.test\"", 1.0), ("\"one.test\", \"two.test\"", 2.0)] {
        write_as_kubelet(&destinations, "destinations.toml", &format!("domains = [{domains}]\n"));
        agent.scrape_until("the domains", |scrape| {
            scrape.value("mxwatch_destinations", &[]) == Some(count)
        });
    }
}
