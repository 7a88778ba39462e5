//! The senders whose verdict is given: `senders`, built-in ones and own ones by name, and
//! `[sender.NAME]`, an own one.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    key,
    leaf::describe,
    table::{Node, Table},
};
use crate::delivery::{Parameter, Sender, Span, builtin, parameter};

/// Senders judged at the most: each costs series for every domain and resolver.
pub(super) const MOST_JUDGED: usize = 8;

/// Own senders defined at the most.
const MOST_OWN: usize = 64;

/// What the configuration says about senders.
pub(super) struct Senders {
    /// Those to be judged.
    pub(super) judged: Arc<[Arc<Sender>]>,
    /// Every own one, judged or not, in the order of the file.
    pub(super) own: Arc<[Arc<Sender>]>,
}

/// Those judged when the configuration names none.
pub(super) fn defaults() -> Arc<[Arc<Sender>]> {
    builtin::DEFAULT.into_iter().filter_map(builtin::get).cloned().map(Arc::new).collect()
}

/// Reads both keys.
pub(super) fn read(root: &Table<'_>) -> Senders {
    let definitions = definitions(root);
    let own = derive_all(&definitions);
    let judged = match root.get("senders") {
        Some(node) => selected(&node, &definitions, &own),
        None if own.is_empty() => defaults(),
        None => {
            if own.len() > MOST_JUDGED
                && let Some(node) = root.get("sender")
            {
                node.refuse(format!(
                    "defines {} senders, and at most {MOST_JUDGED} are judged; name those with \
                     senders = [\"{}\"] above the first [section]",
                    own.len(),
                    own[0].name
                ));
            }
            own.iter().cloned().collect()
        }
    };
    Senders { judged, own: own.into() }
}

/// One `[sender.NAME]` as it stands.
struct Definition<'a> {
    name: &'a str,
    like: Option<Node<'a>>,
    /// The text of `like` where it is one.
    base: Option<String>,
    values: Vec<(Parameter, Node<'a>)>,
}

fn definitions<'a>(root: &Table<'a>) -> Vec<Definition<'a>> {
    let Some(node) = root.get("sender") else { return Vec::new() };
    if node.is_list() {
        node.refuse(
            "expected tables, each headed [sender.NAME], found a list; the key for those to be \
             judged is `senders`",
        );
        return Vec::new();
    }
    let Some(table) = node.open_table("tables, each headed [sender.NAME]") else {
        return Vec::new();
    };
    let mut entries: Vec<_> = table.entries().collect();
    // A table of figment's is sorted by name.
    entries.sort_by_cached_key(|(_, node)| node.place());
    if entries.len() > MOST_OWN {
        table.node.refuse(format!("holds more than {MOST_OWN} senders"));
        entries.truncate(MOST_OWN);
    }
    entries.into_iter().filter_map(|(name, node)| definition(name, node)).collect()
}

fn definition<'a>(name: &'a str, node: Node<'a>) -> Option<Definition<'a>> {
    if let Err(reason) = check_name(name) {
        node.refuse(reason);
    }
    let known = key::sender();
    // To TOML `[sender.a.b]` is a table in a table.
    if let Some(rest) = node.only_table().filter(|inner| !known.contains(inner)) {
        node.refuse(format!(
            "a name with a dot stands in quotes, as in [sender.\"{name}.{rest}\"]"
        ));
        return None;
    }
    let table = node.table(&known, "a table such as [sender.NAME] with like = \"postfix\"")?;
    let like = table.get("like");
    if like.is_none() {
        table.missing(
            "like",
            "missing; an own sender begins as another one, as in like = \"postfix\"",
        );
    }
    let base = like.as_ref().and_then(|node| node.text("a sender's name such as \"postfix\""));
    let values = table.entries().filter_map(|(key, node)| Some((parameter(key)?, node))).collect();
    Some(Definition { name, like, base, values })
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        return Err(
            "the name of a sender is 1 to 63 letters, digits, hyphens, underscores or dots \
                    that begin with a letter or digit"
                .to_owned(),
        );
    }
    match builtin::get(name) {
        Some(_) => Err(format!(
            "{name:?} is a built-in sender; choose another name, as in [sender.our-{name}]"
        )),
        None => Ok(()),
    }
}

/// Derives each from what it is like, those that wait for another own one after it.
fn derive_all(definitions: &[Definition<'_>]) -> Vec<Arc<Sender>> {
    let mut made: BTreeMap<&str, Arc<Sender>> = BTreeMap::new();
    loop {
        let before = made.len();
        for definition in definitions {
            let base = definition.base.as_deref();
            let base = base.and_then(|base| builtin::get(base).or(made.get(base).map(|s| &**s)));
            if let Some(base) = base.filter(|_| !made.contains_key(definition.name)) {
                made.insert(definition.name, Arc::new(derive(definition, base)));
            }
        }
        if made.len() == before {
            break;
        }
    }
    for left in definitions.iter().filter(|definition| !made.contains_key(definition.name)) {
        refuse_base(left, definitions);
    }
    definitions.iter().filter_map(|definition| made.remove(definition.name)).collect()
}

fn derive(definition: &Definition<'_>, base: &Sender) -> Sender {
    let mut sender = base.derive(definition.name.into());
    for (parameter, node) in &definition.values {
        let value = serde_json::to_value(node.value)
            .map_err(|_| format!("cannot be {}", describe(node.value)));
        let outcome = value
            .and_then(|value| sender.set(*parameter, value))
            .and_then(|()| check(*parameter, &sender));
        if let Err(reason) = outcome {
            let meaning = parameter.meaning();
            node.refuse(format!("{reason} ({})", meaning.trim_end_matches('.')));
        }
    }
    sender
}

/// What the type of a parameter does not rule out.
fn check(parameter: Parameter, sender: &Sender) -> Result<(), String> {
    let behaviour = &sender.behaviour;
    match parameter {
        Parameter::Families => {
            let families = &behaviour.families;
            if families.is_empty() {
                return Err("is empty; a sender needs a family".to_owned());
            }
            if families.iter().enumerate().any(|(at, family)| families[..at].contains(family)) {
                return Err("names a family twice".to_owned());
            }
        }
        Parameter::AddrDnsFactor if !(1..=MOST_REPEATED).contains(&behaviour.addr_dns_factor) => {
            return Err(format!("must be from 1 to {MOST_REPEATED}"));
        }
        Parameter::Retry if behaviour.retry.len() > MOST_PAUSES => {
            return Err(format!("holds more than {MOST_PAUSES} pauses"));
        }
        _ => {}
    }
    // Only where a parameter's meaning says so does zero stand for no limit.
    let least = match parameter {
        Parameter::BannerTimeout => behaviour.banner_timeout,
        Parameter::CommandTimeout => behaviour.command_timeout,
        Parameter::Expire => behaviour.expire,
        Parameter::OsConnectTimeout => behaviour.os_connect_timeout,
        Parameter::Retry => behaviour.retry.iter().min().copied().unwrap_or(LEAST),
        Parameter::RetryLast => behaviour.retry_last,
        Parameter::TlsTimeout => behaviour.tls_timeout,
        _ => LEAST,
    };
    if least < LEAST {
        return Err(format!("must be at least {LEAST}"));
    }
    Ok(())
}

/// Why a sender could not begin as the one it is like. Where that one is itself at fault, it was
/// said there.
fn refuse_base(definition: &Definition<'_>, all: &[Definition<'_>]) {
    let (Some(node), Some(base)) = (&definition.like, &definition.base) else { return };
    let names = all.iter().map(|definition| definition.name);
    if !names.clone().any(|name| name == base) {
        node.refuse(format!("{base:?}: {}", unknown(base, names)));
        return;
    }
    let mut way = vec![definition.name];
    let mut next = Some(base.as_str());
    while let Some(name) = next {
        if name == definition.name {
            way.push(name);
            node.refuse(format!("goes round in a circle: {}", way.join(" is like ")));
            return;
        }
        if way.contains(&name) {
            return;
        }
        way.push(name);
        next = all.iter().find(|other| other.name == name).and_then(|other| other.base.as_deref());
    }
}

/// Why a name is none of a sender, with the best guess at what was meant.
pub(super) fn unknown<'a>(name: &str, own: impl Iterator<Item = &'a str>) -> String {
    let known = builtin::all().iter().map(|sender| &*sender.name).chain(own);
    match key::nearest(name, known) {
        Some(near) => format!("no such sender, did you mean {near:?}?"),
        None => "no such sender; `mxwatch senders` lists them".to_owned(),
    }
}

/// Those that `senders` names.
fn selected(
    node: &Node<'_>,
    definitions: &[Definition<'_>],
    own: &[Arc<Sender>],
) -> Arc<[Arc<Sender>]> {
    let items =
        node.list("a list such as [\"postfix\"]; an own sender is written as [sender.NAME]");
    if items.is_empty() && node.is_list() {
        node.refuse(format!(
            "is empty; name a sender such as \"postfix\", or leave the key out for {}",
            builtin::DEFAULT.join(" and ")
        ));
    }
    if items.len() > MOST_JUDGED {
        node.refuse(format!("holds {} senders; at most {MOST_JUDGED} are judged", items.len()));
    }
    let mut names: Vec<String> = Vec::new();
    let mut judged = Vec::new();
    for item in items {
        let defined = || definitions.iter().map(|definition| definition.name);
        let name = item.parse("a sender's name such as \"postfix\"", |text| {
            let known = builtin::get(text).is_some() || defined().any(|name| name == text);
            if known { Ok(text.to_owned()) } else { Err(unknown(text, defined())) }
        });
        let Some(name) = name else { continue };
        if names.contains(&name) {
            item.refuse("stands here twice");
            continue;
        }
        judged.extend(find(&name, own));
        names.push(name);
    }
    judged.into()
}

/// The sender of that name, built-in or own.
pub(super) fn find(name: &str, own: &[Arc<Sender>]) -> Option<Arc<Sender>> {
    let built_in = builtin::get(name).map(|sender| Arc::new(sender.clone()));
    built_in.or_else(|| own.iter().find(|sender| &*sender.name == name).cloned())
}

const MOST_PAUSES: usize = 1000;

/// No resolver library asks more often.
const MOST_REPEATED: u32 = 100;

/// The least patience and the least pause.
const LEAST: Span = Span(std::time::Duration::from_secs(1));
