//! The built-in senders, read from the rows of `senders.toml`.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde_json::{Map, Value};

use super::{
    behaviour::{Behaviour, Parameter},
    sender::{Confidence, Sender},
};

/// The senders judged when the configuration names none.
pub const DEFAULT: [&str; 2] = ["postfix", "exchange-2010"];

/// Every built-in sender, in the order they are listed.
pub fn all() -> &'static [Sender] {
    &BUILTIN
}

/// The built-in sender of that name.
pub fn get(name: &str) -> Option<&'static Sender> {
    BUILTIN.iter().find(|sender| &*sender.name == name)
}

/// Their names, in the order they are listed.
const NAMES: [&str; 14] = [
    "rfc5321",
    "postfix",
    "postfix-dane",
    "exim",
    "sendmail",
    "sendmail-debian",
    "opensmtpd",
    "exchange-2010",
    "exchange-lenient",
    "ims-5.5",
    "ipv4-only",
    "ipv6-only",
    "naive-aaaa",
    "impatient-30",
];

// The text is part of the program and a test reads it, so a mistake in it cannot reach a user.
static BUILTIN: LazyLock<Vec<Sender>> =
    LazyLock::new(|| read(include_str!("senders.toml")).expect("the rows are right"));

fn read(text: &str) -> Result<Vec<Sender>, String> {
    let rows: BTreeMap<String, Map<String, Value>> =
        Figment::from(Toml::string(text)).extract().map_err(|error| error.to_string())?;
    let mut rows: BTreeMap<String, Map<String, Value>> = rows
        .into_iter()
        .map(|(key, mut row)| (word(&mut row, "name").unwrap_or(key), row))
        .collect();
    let mut senders: Vec<Sender> = Vec::new();
    for name in NAMES {
        let row = rows.remove(name).ok_or_else(|| format!("{name}: no such row"))?;
        let sender = sender(name, row, &senders).map_err(|error| format!("{name}: {error}"))?;
        senders.push(sender);
    }
    match rows.keys().next() {
        Some(name) => Err(format!("{name} is not listed")),
        None => Ok(senders),
    }
}

fn sender(name: &str, mut row: Map<String, Value>, before: &[Sender]) -> Result<Sender, String> {
    let about = word(&mut row, "about").ok_or("about is missing")?.into();
    let mut doubtful = Vec::new();
    for (key, confidence) in [("low", Confidence::Low), ("medium", Confidence::Medium)] {
        for item in row.remove(key).iter().filter_map(|list| list.as_array()).flatten() {
            let known = item.as_str().and_then(parameter);
            doubtful.push((known.ok_or_else(|| format!("{key}: {item}"))?, confidence));
        }
    }
    doubtful.sort();
    let (kind, behaviour) = match word(&mut row, "like") {
        None => (Arc::from(name), Behaviour::complete(std::mem::take(&mut row))?),
        Some(like) => {
            let like = before.iter().find(|s| *s.name == like).ok_or(format!("like {like}"))?;
            // A variant speaks as the program it is a variant of.
            let kind = if &*like.kind == "rfc5321" { name.into() } else { Arc::clone(&like.kind) };
            let mut behaviour = like.behaviour.clone();
            for (key, value) in std::mem::take(&mut row) {
                let known = parameter(&key).ok_or_else(|| format!("{key} is no parameter"))?;
                behaviour.set(known, value).map_err(|error| format!("{key}: {error}"))?;
            }
            (kind, behaviour)
        }
    };
    Ok(Sender { name: name.into(), kind, about, behaviour, doubtful })
}

/// The parameter of that key.
pub fn parameter(key: &str) -> Option<Parameter> {
    Parameter::ALL.iter().copied().find(|parameter| parameter.key() == key)
}

fn word(row: &mut Map<String, Value>, key: &str) -> Option<String> {
    row.remove(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Span;

    #[test]
    fn the_rows_can_be_read_and_every_name_is_there() {
        assert_eq!(all().len(), NAMES.len());
        for name in DEFAULT {
            assert!(get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_variant_speaks_as_its_program() {
        for (name, kind) in [
            ("postfix-dane", "postfix"),
            ("ipv4-only", "ipv4-only"),
            ("exchange-lenient", "exchange-2010"),
        ] {
            assert_eq!(&*get(name).unwrap().kind, kind);
        }
    }

    #[test]
    fn an_own_sender_is_sure_of_what_it_sets() {
        let exchange = get("exchange-2010").unwrap();
        assert_eq!(exchange.confidence(Parameter::BannerTimeout), Confidence::Low);
        let mut own = exchange.derive("ours".into());
        own.set(Parameter::BannerTimeout, "2m".into()).unwrap();
        assert_eq!(own.behaviour.banner_timeout, Span(std::time::Duration::from_secs(120)));
        assert_eq!(own.confidence(Parameter::BannerTimeout), Confidence::High);
        assert_eq!(own.differences(exchange).collect::<Vec<_>>(), [Parameter::BannerTimeout]);
    }

    #[test]
    fn a_wrong_row_is_refused_with_its_name() {
        let good = include_str!("senders.toml");
        for (from, to) in [
            ("[exim]", "[exim2]"),
            ("mx_self = \"freeze\"", "mx_self = \"thaw\""),
            ("mx_self = \"freeze\"", "mx_selv = \"freeze\""),
            ("banner_timeout = \"5m\" ", "banner_timeout = 300"),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(read(&good.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
