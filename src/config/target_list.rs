//! A list of targets that came over the network: what a `file_sd` file in JSON holds, without a file.

use std::{collections::BTreeMap, path::Path};

use figment::Figment;

use super::{
    Config, Probe,
    destination::DestinationSettings,
    destination_list::{DestinationList, Repeats},
    file_sd::{self, Syntax},
    problem::Problems,
    reading::Reading,
};
use crate::{alike::Alike, name::Destination};

/// Destinations with their labels, each once. Never one without mistakes only in part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetList(BTreeMap<Destination, BTreeMap<String, String>>);

impl TargetList {
    /// Parses the JSON that the server of this name has sent, as a `file_sd` file is parsed.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let figment = Figment::new();
        let reading = Reading::new(&figment, Path::new(name).into(), None);
        let mut list = DestinationList::default();
        list.next_document(Repeats::Merged);
        let base = DestinationSettings::default_of(&Probe::default());
        file_sd::read(&reading, (Syntax::Json, text), &base, &mut list);
        if let Some(problems) = Problems::collect(reading.problems.into_inner()) {
            return Err(problems);
        }
        let found = list.into_destinations().into_iter();
        Ok(Self(found.map(|(name, settings)| (name, settings.labels.clone())).collect()))
    }

    /// How many destinations it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Config {
    /// The configuration with the destinations of these lists besides; what it has already stays as it
    /// is, and an earlier list goes before a later one. With a sentence for each list of which
    /// something does not hold.
    #[must_use]
    pub fn joined<'a>(
        &self,
        lists: impl Iterator<Item = (&'a str, &'a TargetList)>,
    ) -> (Self, Vec<String>) {
        let (mut joined, mut warnings) = (self.clone(), Vec::new());
        let base = self.default_settings();
        for (name, list) in lists {
            let mut differing = Vec::new();
            let mut alike = Alike::<_, 1>::default();
            for (destination, labels) in &list.0 {
                let own = DestinationSettings { labels: labels.clone(), ..base.clone() };
                let settings = alike.shared(own);
                match joined.destinations.get(destination) {
                    None => {
                        joined.destinations.insert(destination.clone(), settings);
                    }
                    Some(known) if *known == settings => {}
                    Some(_) => differing.push(destination),
                }
            }
            if let [first, rest @ ..] = differing.as_slice() {
                let more = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                };
                warnings.push(format!(
                    "{name}: already elsewhere with other settings, which hold: {first}{more}"
                ));
            }
        }
        (joined, warnings)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> TargetList {
        TargetList::parse("https://sd.example.net/", text).unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_list_names_it_and_the_place() {
        for (text, why) in [
            ("", "https://sd.example.net/:1:1: EOF while parsing a value"),
            (
                "[{\"targets\": [\"a.test\"]}",
                "https://sd.example.net/:1:24: EOF while parsing a list",
            ),
            (
                "{}",
                "https://sd.example.net/: expected a list of groups, each with targets, found a table",
            ),
            (
                "[{\"targets\": [\"a b\"]}]",
                "https://sd.example.net/: [0].targets[0]: \"a b\": labels are ",
            ),
            ("[{\"labels\": {}}]", "https://sd.example.net/: [0].targets: missing"),
            ("[{\"targets\": [], \"x\": 1}]", "https://sd.example.net/: [0].x: unknown key `x`"),
        ] {
            let problems =
                TargetList::parse("https://sd.example.net/", text).unwrap_err().to_string();
            assert!(problems.starts_with(why), "{text}: {problems}");
        }
        assert!(list("[]").is_empty() && list("null").is_empty());
    }

    #[test]
    fn a_destination_that_is_there_already_keeps_its_settings() {
        let mut config = Config::with_helo_name("mx.test".into());
        let own = Destination::parse("own.test").unwrap();
        let settings = config.default_settings();
        config.destinations.insert(own.clone(), Arc::new(settings.clone()));
        let first = list(
            "[{\"targets\": [\"own.test\", \"a.test\", \"a.test\"], \"labels\": {\"of\": \"1\"}}]",
        );
        let second = list(
            "[{\"targets\": [\"A.test.\", \"b.test\", \"own.test\"], \"labels\": {\"of\": \"2\"}}]",
        );
        let lists = [("first", &first), ("second", &second)];
        let (joined, warnings) = config.joined(lists.into_iter());
        let of = |name: &str| {
            let settings = &joined.destinations[&Destination::parse(name).unwrap()];
            settings.labels.get("of").map(String::as_str)
        };
        assert_eq!((of("own.test"), of("a.test"), of("b.test")), (None, Some("1"), Some("2")));
        assert_eq!(joined.destinations.len(), 3);
        assert_eq!(
            warnings,
            [
                "first: already elsewhere with other settings, which hold: own.test",
                "second: already elsewhere with other settings, which hold: a.test and 1 more",
            ]
        );
        let (unlabelled, warnings) =
            config.joined([("x", &list("[{\"targets\": [\"own.test\"]}]"))].into_iter());
        assert_eq!(
            (unlabelled, warnings),
            (config, Vec::new()),
            "the same twice is nothing to tell"
        );
    }

    #[test]
    fn what_is_no_list_of_domains_at_all_is_not_read_to_the_end() {
        for text in [
            "[{\"targets\": [".to_owned() + &"\"x y\",".repeat(5000) + "\"\"]}]",
            "[".to_owned() + &"{},".repeat(5000) + "{}]",
        ] {
            assert_eq!(TargetList::parse("x", &text).unwrap_err().count(), 100);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_is_taken_or_refused(text in "\\PC{0,80}") {
            let _ = TargetList::parse("x", &text);
            let _ = TargetList::parse("x", &format!("[{{\"targets\": [{text:?}]}}]"));
        }
    }
}
