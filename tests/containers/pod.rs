//! The pod of packaging/kubernetes as a kubelet would hand it to an engine: with its arguments, and its
//! ConfigMaps and a Secret as folders.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use serde_json::Value;

use crate::{
    engine::{Run, list},
    manifests::Manifests,
};

/// What the manifests say of the only container; the folders are made below `volumes`. There is a
/// destination, whose password comes from the Secret.
pub(crate) fn run(manifests: &Manifests, volumes: &Path) -> Run {
    let pod = &manifests.template()["spec"];
    let mut mounts = Vec::new();
    for volume in pod["volumes"].as_array().unwrap() {
        let name = volume["name"].as_str().unwrap();
        let folder = volumes.join(name);
        fs::create_dir(&folder).unwrap();
        let mount = manifests.mount(name).to_owned();
        if let Some(map) = volume["configMap"]["name"].as_str() {
            for (file, text) in manifests.all("ConfigMap")[map]["data"].as_object().unwrap() {
                fs::write(folder.join(file), text.as_str().unwrap()).unwrap();
            }
        } else {
            secret(&folder.join("relay"), volume, &pod["securityContext"]["fsGroup"]);
            let relay = format!(
                "[[destination]]\nsmarthost = \"relay.example.net:587\"\nusername = \"mxwatch\"\n\
                 password_file = \"{mount}/relay\"\n"
            );
            fs::write(volumes.join("destinations/destinations.toml"), relay).unwrap();
        }
        mounts.push((folder, mount));
    }
    Run { args: list(&manifests.container()["args"]), mounts }
}

/// Writes a file of a Secret: with the mode of its volume, and of the group that the pod has for files.
fn secret(file: &Path, volume: &Value, group: &Value) {
    let mode = volume["secret"]["defaultMode"].as_u64().and_then(|mode| mode.try_into().ok());
    let group = group.as_u64().and_then(|group| group.try_into().ok());
    fs::write(file, "secret\n").unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode.unwrap())).unwrap();
    chown(file, None, group).unwrap();
}
