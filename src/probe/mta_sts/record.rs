//! The TXT record at `_mta-sts.<domain>` (RFC 8461 §3.1): it says that there is a policy, and by its
//! `id` when that has changed. Pure.

use crate::probe::tagged::{Sole, fields, sole};

/// What the TXT records say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Announced {
    /// There is no policy.
    Nothing,
    /// There is one, with this `id`.
    Id(String),
    /// Something is wrong, so that there is none; a clause says what.
    Invalid(String),
}

/// Reads the records of the name, each put together from its strings.
pub(super) fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Announced {
    let record = match sole(texts, VERSION) {
        Sole::None => return Announced::Nothing,
        Sole::One(record) => record,
        Sole::Several(several) => {
            let why = format!("{several} records begin with {VERSION}, and several count as none");
            return Announced::Invalid(why);
        }
    };
    let fields = match fields(record, VERSION) {
        Ok(fields) => fields,
        Err(why) => return Announced::Invalid(why),
    };
    // Of repeated fields the first counts.
    match fields.iter().find(|(name, _)| *name == "id") {
        None => Announced::Invalid("it has no id".to_owned()),
        Some((_, id)) if is_id(id) => Announced::Id((*id).to_owned()),
        Some(_) => Announced::Invalid("its id is not 1 to 32 letters and digits".to_owned()),
    }
}

fn is_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric())
}

const VERSION: &str = "v=STSv1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_record_with_an_id_announces_a_policy() {
        let id = |id: &str| Announced::Id(id.to_owned());
        assert_eq!(read(["v=STSv1; id=20160831085700Z;"]), id("20160831085700Z"));
        assert_eq!(read(["v=spf1 -all", "v=STSv1;id=a"]), id("a"));
        assert_eq!(read(["v=STSv1; x=1; id=first; id=second"]), id("first"));
        assert_eq!(read(["v=spf1 -all"]), Announced::Nothing);
        assert_eq!(read([]), Announced::Nothing);
    }

    #[test]
    fn what_is_wrong_with_a_record_is_said() {
        for (texts, why) in [
            (
                &["v=STSv1; id=1", "v=STSv1; id=2"][..],
                "2 records begin with v=STSv1, and several count as none",
            ),
            (&["v=STSv1;"], "it has no id"),
            (&["v=STSv1; ID=1"], "it has no id"),
            (&["v=STSv1; id=2016-08-31"], "its id is not 1 to 32 letters and digits"),
            (
                &["v=STSv1; id=123456789012345678901234567890123"],
                "its id is not 1 to 32 letters and digits",
            ),
            (&["v=STSv1; id"], "\"id\" is no name and value"),
        ] {
            assert_eq!(read(texts.iter().copied()), Announced::Invalid(why.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn an_id_that_is_taken_is_one(text in "v=STSv1; ?(id=)?[ -~]{0,40};?") {
            if let Announced::Id(id) = read([text.as_str()]) {
                prop_assert!(is_id(&id) && text.contains(&id));
            }
        }
    }
}
