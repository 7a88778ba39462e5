//! Versions, cipher suites and curves by the names that Go's crypto/tls gives them.
//!
//! rustls has no other than those that are held to be safe. What it lacks can be left out of a list
//! without harm, so that is a warning; only where nothing would be left it is a mistake.

use tokio_rustls::rustls::{
    NamedGroup, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup, ring},
    version::{TLS12, TLS13},
};

use super::Noted;
use crate::config::{
    key,
    table::{Node, Table},
};

/// The versions that are spoken, and a provider with the chosen suites and groups.
pub(super) fn read(
    table: &Table<'_>,
) -> Result<(Vec<&'static SupportedProtocolVersion>, CryptoProvider), Noted> {
    let (versions, suites, groups) = (versions(table), suites(table), groups(table));
    let (mut versions, mut provider) = (versions?, ring::default_provider());
    if let Some(groups) = groups? {
        provider.kx_groups = groups;
    }
    if let Some(chosen) = suites? {
        if chosen.is_empty() {
            versions.retain(|version| version.version != ProtocolVersion::TLSv1_2);
            let node = table.get("cipher_suites").ok_or(Noted)?;
            if versions.is_empty() {
                node.refuse(format!(
                    "none of them is left for TLS 1.2, and max_version allows no other; add one, \
                     such as {EXAMPLE}"
                ));
                return Err(Noted);
            }
            node.warn("none of them is left for TLS 1.2, so only TLS 1.3 is spoken");
        }
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(chosen);
    }
    Ok((versions, provider))
}

/// The versions that Go knows.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl Version {
    const WORDS: [(&'static str, Self); 4] = [
        ("TLS10", Self::Tls10),
        ("TLS11", Self::Tls11),
        ("TLS12", Self::Tls12),
        ("TLS13", Self::Tls13),
    ];

    fn read(table: &Table<'_>, key: &str, default: Self) -> Result<Self, Noted> {
        let Some(node) = table.given(key) else { return Ok(default) };
        let version = node.parse("a version such as \"TLS12\"", |text| {
            let found = Self::WORDS.into_iter().find(|(word, _)| *word == text);
            found.map(|(_, version)| version).ok_or("unknown; known are TLS12 and TLS13")
        });
        version.ok_or(Noted)
    }
}

fn versions(table: &Table<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, Noted> {
    let least = Version::read(table, "min_version", Version::Tls12);
    let most = Version::read(table, "max_version", Version::Tls13);
    let (least, most) = (least?, most?);
    let refuse_most = |reason: &str| {
        table.get("max_version").inspect(|node| node.refuse(reason));
        Err(Noted)
    };
    if most < Version::Tls12 {
        return refuse_most(
            "TLS below 1.2 is not safe and not spoken here; write TLS12 or TLS13, or remove the key",
        );
    }
    if least > most {
        return refuse_most("is below min_version, so no version is left");
    }
    if least < Version::Tls12
        && let Some(node) = table.get("min_version")
    {
        node.warn("TLS below 1.2 is not spoken here; clients need TLS 1.2 or 1.3");
    }
    let all = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)].into_iter();
    let chosen = all.filter(|(version, _)| (least..=most).contains(version));
    Ok(chosen.map(|(_, version)| version).collect())
}

const EXAMPLE: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";

/// Suites that Go has and rustls has not.
const NO_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// Those of TLS 1.3, which Go does not let anybody choose among.
const SUITES_OF_TLS13: &[&str] =
    &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// The chosen suites of TLS 1.2, in the order of preference; `None` for all.
fn suites(table: &Table<'_>) -> Result<Option<Vec<SupportedCipherSuite>>, Noted> {
    let Some(node) = table.given("cipher_suites") else { return Ok(None) };
    let items = node.list("a list of names of cipher suites");
    if items.is_empty() {
        return Ok(None);
    }
    let all = ring::ALL_CIPHER_SUITES.iter().filter(|suite| suite.tls13().is_none());
    let all = all.filter_map(|suite| Some((suite.suite().as_str()?, *suite)));
    let all: Vec<_> = all.collect();
    let choose = |item: &Node<'_>| {
        if item.value.as_str().is_some_and(|name| SUITES_OF_TLS13.contains(&name)) {
            item.warn("has no effect: TLS 1.3 always has all its suites");
            return Ok(None);
        }
        choose(item, &all, NO_SUITES)
    };
    let chosen: Result<Vec<_>, Noted> = items.iter().map(choose).collect();
    chosen.map(|chosen| Some(chosen.into_iter().flatten().collect()))
}

/// Groups that Go has and rustls has not, at least not by ring.
const NO_GROUPS: &[&str] = &["CurveP521", "X25519MLKEM768"];

fn group_name(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::secp256r1 => Some("CurveP256"),
        NamedGroup::secp384r1 => Some("CurveP384"),
        NamedGroup::X25519 => Some("X25519"),
        _ => None,
    }
}

/// The chosen groups, in the order of preference; `None` for all.
fn groups(table: &Table<'_>) -> Result<Option<Vec<&'static dyn SupportedKxGroup>>, Noted> {
    let Some(node) = table.given("curve_preferences") else { return Ok(None) };
    let items = node.list("a list of names of curves");
    if items.is_empty() {
        return Ok(None);
    }
    let all = ring::ALL_KX_GROUPS.iter();
    let all: Vec<_> = all.filter_map(|group| Some((group_name(group.name())?, *group))).collect();
    let chosen: Result<Vec<_>, Noted> =
        items.iter().map(|item| choose(item, &all, NO_GROUPS)).collect();
    let chosen: Vec<_> = chosen?.into_iter().flatten().collect();
    if chosen.is_empty() {
        node.refuse("none of them is left; add X25519, CurveP256 or CurveP384");
        return Err(Noted);
    }
    Ok(Some(chosen))
}

/// What a name stands for; `None` where rustls lacks it.
fn choose<T: Copy>(
    item: &Node<'_>,
    all: &[(&'static str, T)],
    lacking: &[&str],
) -> Result<Option<T>, Noted> {
    let chosen = item.parse("a name", |name| {
        if let Some((_, found)) = all.iter().find(|(known, _)| *known == name) {
            return Ok(Some(*found));
        }
        if lacking.contains(&name) {
            item.warn("has no effect: it is not spoken here");
            return Ok(None);
        }
        let known = || all.iter().map(|(known, _)| *known);
        Err(match key::nearest(name, known()) {
            Some(near) => format!("unknown, did you mean {near}?"),
            None => format!("unknown; known are {}", known().collect::<Vec<_>>().join(", ")),
        })
    });
    chosen.ok_or(Noted)
}
