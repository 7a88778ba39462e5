//! All destinations while they are being collected, each with the place it came from.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{destination::DestinationSettings, problem::Place, table::Node};
use crate::{alike::Alike, name::Destination};

/// The destinations of all documents read so far.
#[derive(Default)]
pub(super) struct DestinationList {
    /// The names of the resolvers that may be chosen.
    resolvers: Vec<Arc<str>>,
    /// Where systemd has put the credentials of the service, if it has.
    credentials_directory: Option<PathBuf>,
    found: BTreeMap<Destination, Found>,
    document: usize,
    repeats: Repeats,
    /// Of thousands of destinations most have the settings of the one before.
    alike: Alike<DestinationSettings, 1>,
}

/// What it means when one document names a destination twice.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(super) enum Repeats {
    /// Generated lists overlap; the first entry holds.
    Merged,
    /// A person wrote it, and meant only one of them.
    #[default]
    Refused,
}

struct Found {
    settings: Arc<DestinationSettings>,
    place: Place,
    key: String,
    document: usize,
}

impl DestinationList {
    /// An empty one, for destinations that may choose among these resolvers and credentials.
    pub(super) fn new(resolvers: Vec<Arc<str>>, credentials_directory: Option<PathBuf>) -> Self {
        Self { resolvers, credentials_directory, ..Self::default() }
    }

    /// Where systemd has put the credentials of the service, if it has.
    pub(super) fn credentials_directory(&self) -> Option<&Path> {
        self.credentials_directory.as_deref()
    }

    /// The names of the resolvers that may be chosen.
    pub(super) fn resolvers(&self) -> &[Arc<str>] {
        &self.resolvers
    }

    /// What is added from now on stands in another document.
    pub(super) fn next_document(&mut self, repeats: Repeats) {
        self.document += 1;
        self.repeats = repeats;
    }

    /// Adds a destination; `node` is where it is named.
    pub(super) fn add(
        &mut self,
        node: &Node<'_>,
        destination: Destination,
        settings: DestinationSettings,
    ) {
        let settings = self.alike.shared(settings);
        match self.found.entry(destination) {
            Entry::Vacant(entry) => {
                let (place, key, document) = (node.place(), node.key(), self.document);
                entry.insert(Found { settings, place, key, document });
            }
            Entry::Occupied(entry) => {
                let (destination, first) = (entry.key(), entry.get());
                let where_ =
                    format!("{destination} already stands at {}, {}", first.place, first.key);
                if first.document == self.document && self.repeats == Repeats::Refused {
                    node.refuse(where_);
                } else if first.settings != settings {
                    node.warn(&format!("{where_}, with other settings; those hold"));
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_destinations(self) -> BTreeMap<Destination, Arc<DestinationSettings>> {
        self.found.into_iter().map(|(name, found)| (name, found.settings)).collect()
    }
}
