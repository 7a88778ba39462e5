//! Zones signed with the tools of BIND, rightly or so that nobody can validate them.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::program::{find, output};

/// A signed zone.
pub(crate) struct Signed {
    /// The zone with its signatures.
    pub(crate) zone: String,
    /// The DNSKEY record that a resolver is to trust.
    pub(crate) anchor: String,
}

/// What signs zones.
pub(crate) struct Signer {
    keygen: PathBuf,
    signzone: PathBuf,
}

impl Signer {
    /// `None` where the tools are missing.
    pub(crate) fn find() -> Option<Self> {
        let keygen = find("dnssec-keygen", "bind9-utils")?;
        Some(Self { keygen, signzone: find("dnssec-signzone", "bind9-utils")? })
    }

    /// Signs a zone for the usual month from now.
    pub(crate) fn sign(&self, name: &str, zone: &str) -> Signed {
        Key::make(self, name).signed(zone)
    }

    /// The same, but all signatures have expired except that of the key.
    pub(crate) fn sign_expired(&self, name: &str, zone: &str) -> Signed {
        let key = Key::make(self, name);
        let of_data = |line: &&str| {
            let mut words = line.split_whitespace().skip(3);
            words.next() == Some("RRSIG") && words.next() != Some("DNSKEY")
        };
        let now = key.sign(zone, &[]);
        let then = key.sign(zone, &["-s", "20200101000000", "-e", "20210101000000"]);
        let mixed = now.lines().filter(|line| !of_data(line)).chain(then.lines().filter(of_data));
        let zone = mixed.collect::<Vec<_>>().join("\n") + "\n";
        Signed { zone, anchor: key.record() }
    }
}

/// The one key of a zone.
struct Key<'a> {
    signer: &'a Signer,
    zone_name: String,
    name: String,
    dir: TempDir,
}

impl<'a> Key<'a> {
    fn make(signer: &'a Signer, zone_name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let options = ["-q", "-K", ".", "-a", "ECDSAP256SHA256", "-f", "KSK", zone_name];
        let said = output(Command::new(&signer.keygen).args(options).current_dir(dir.path()));
        Self { signer, zone_name: zone_name.to_owned(), name: said.trim().to_owned(), dir }
    }

    /// Its DNSKEY record.
    fn record(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join(format!("{}.key", self.name))).unwrap();
        text.lines().filter(|line| !line.starts_with(';')).collect()
    }

    /// The zone with signatures, a record to a line.
    fn sign(&self, zone: &str, time: &[&str]) -> String {
        let dir = self.dir.path();
        fs::write(dir.join("zone"), format!("{zone}\n{}\n", self.record())).unwrap();
        // -z: the one key signs everything; -P: signatures that have expired may be what is wanted.
        let fixed = ["-q", "-z", "-P", "-O", "full", "-o", &self.zone_name, "-f", "signed"];
        let mut sign = Command::new(&self.signer.signzone);
        let said = output(sign.args(fixed).args(time).args(["zone", &self.name]).current_dir(dir));
        fs::read_to_string(dir.join("signed")).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn signed(&self, zone: &str) -> Signed {
        Signed { zone: self.sign(zone, &[]), anchor: self.record() }
    }
}
