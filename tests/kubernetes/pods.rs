//! The pods: what they may do, what runs in them, and who of them watches what.

use std::path::Path;

use clap::Parser;
use mxwatch::cli::{Cli, DEFAULT_CONFIG};
use serde_json::json;

use crate::manifests::{Manifests, SHARDED, SINGLE, everything, read, texts};

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, restricted, for Linux.
#[test]
fn pods_keep_to_the_restricted_standard() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let (pod, container) = (&manifests.template()["spec"], manifests.container());
        for host in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert!(pod.get(host).is_none(), "{folder}: {host}");
        }
        let volumes = pod["volumes"].as_array().unwrap();
        for volume in volumes {
            let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
            assert!(
                kinds.into_iter().all(|kind| kind == "configMap" || kind == "secret"),
                "{volume}"
            );
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let own = &container["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }));
        assert!(
            container["ports"]
                .as_array()
                .unwrap()
                .iter()
                .all(|port| port.get("hostPort").is_none())
        );
        // Beyond the standard: nothing can be written, and nothing be asked of the API server.
        assert_eq!(own["readOnlyRootFilesystem"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let level = &manifests.one("Namespace")["metadata"]["labels"];
        assert_eq!(level["pod-security.kubernetes.io/enforce"], "restricted");

        let recipe = read("packaging/oci/Containerfile");
        let user = recipe.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
        let (uid, gid) =
            (&pod["securityContext"]["runAsUser"], &pod["securityContext"]["runAsGroup"]);
        assert_eq!(format!("{uid}:{gid}"), user);
        assert_eq!(pod["securityContext"]["fsGroup"], *gid, "secrets are its group's to read");
    }
}

#[test]
fn agents_share_the_domains_among_as_many_as_there_are() {
    let (Some(single), Some(sharded)) = (Manifests::of(SINGLE), Manifests::of(SHARDED)) else {
        return;
    };
    let set = &sharded.one("StatefulSet")["spec"];
    let count = set["replicas"].as_u64().unwrap();
    assert!(count > 1);
    let args = texts(&sharded.container()["args"]);
    let shards: Vec<_> = args.iter().filter(|arg| arg.starts_with("--shard")).collect();
    assert_eq!(shards, [&format!("--shard=ordinal/{count}")]);
    // Pods of a set have a number and a name of their own in the Service that the set names.
    assert_eq!(set["serviceName"], sharded.one("Service")["metadata"]["name"]);
    assert_eq!(sharded.one("Service")["spec"]["clusterIP"], "None");
    assert_eq!(set["podManagementPolicy"], "Parallel");

    // One alone watches all, and never beside another.
    let deployment = &single.one("Deployment")["spec"];
    assert_eq!(
        (&deployment["replicas"], &deployment["strategy"]["type"]),
        (&json!(1), &json!("Recreate"))
    );
    assert!(!texts(&single.container()["args"]).iter().any(|arg| arg.starts_with("--shard")));
    let mut template = sharded.template().clone();
    template["spec"]["containers"][0]["args"] = single.container()["args"].clone();
    assert_eq!(template, *single.template());

    // Series go on when a pod is replaced: by the name that the next one has as well.
    for (manifests, named_after) in [(single, "service"), (sharded, "pod")] {
        let relabelings = &manifests.one("ServiceMonitor")["spec"]["endpoints"][0]["relabelings"];
        let source = json!([format!("__meta_kubernetes_{named_after}_name")]);
        assert_eq!(relabelings[0], json!({ "sourceLabels": source, "targetLabel": "instance" }));
        assert_eq!(relabelings[1]["action"], "labeldrop");
    }
}

#[test]
fn the_image_is_that_of_this_version_and_takes_these_flags() {
    let Some(everything) = everything() else { return };
    for (folder, manifests) in everything {
        let container = manifests.container();
        let image = container["image"].as_str().unwrap();
        assert!(image.ends_with(concat!("/mxwatch:", env!("CARGO_PKG_VERSION"))), "{image}");
        assert!(read("docs/kubernetes.md").contains(&format!("docker push {image}\n")), "{image}");
        let flags = texts(&container["args"]);
        let cli = Cli::try_parse_from(["mxwatch"].into_iter().chain(flags));
        let config = cli.unwrap_or_else(|error| panic!("{folder}: {error}")).agent.config_file;
        assert_eq!(config, Path::new(DEFAULT_CONFIG));
        assert_eq!(config, Path::new(manifests.mount("config")).join("mxwatch.toml"));
        let grace = manifests.template()["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(grace.is_some_and(|grace| grace > 5), "the agent has five seconds to end");
    }
}
