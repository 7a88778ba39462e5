//! Which single failures would stop mail, in words.

use crate::delivery::depth::{Failing, Weakness};

/// A sentence that names every exchanger with what would do; `None` when no single failure would.
pub fn words(weaknesses: &[Weakness]) -> Option<String> {
    let each: Vec<String> = weaknesses
        .chunk_by(|one, other| one.exchanger == other.exchanger)
        .map(|same| {
            let ways: Vec<Failing> = same.iter().map(|weakness| weakness.failing).collect();
            let word = |failing| match failing {
                Failing::Unreachable => Some("unreachable"),
                Failing::Silent => Some("silent"),
                Failing::AaaaLookup => Some("its AAAA lookup fails"),
                // The one is part of the other.
                Failing::AddressLookups if ways.contains(&Failing::AaaaLookup) => None,
                Failing::AddressLookups => Some("its address lookups fail"),
            };
            let words: Vec<&str> = ways.iter().copied().filter_map(word).collect();
            format!("{} ({})", same[0].exchanger.host, words.join(", "))
        })
        .collect();
    (!each.is_empty()).then(|| format!("One failure would stop it: {}.", each.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{
        builtin, depth, judge,
        what_if::{RESOLVER, WhatIf},
    };

    #[test]
    fn it_names_what_would_do() {
        let facts = |mx: &str| {
            let text = format!(
                r#"{{"domain": "example.com", "mx": [{mx}], "hosts":
                    {{"mx1": {{"a": ["192.0.2.1"]}}, "mx2": {{"a": ["192.0.2.2"]}}}}}}"#
            );
            serde_json::from_str::<WhatIf>(&text).unwrap().facts().unwrap()
        };
        let (one, two) = (facts(r#"[10, "mx1"]"#), facts(r#"[10, "mx1"], [20, "mx2"]"#));
        for (facts, sender, want) in [
            (
                &one,
                "postfix",
                Some(
                    "One failure would stop it: mx1 (unreachable, silent, its address lookups fail).",
                ),
            ),
            (&two, "postfix", None),
            (&two, "ims-5.5", Some("One failure would stop it: mx1 (silent).")),
            (
                &two,
                "exchange-2010",
                Some("One failure would stop it: mx1 (its AAAA lookup fails)."),
            ),
        ] {
            let sender = builtin::get(sender).unwrap();
            let verdict = judge(facts, sender, RESOLVER);
            let found = depth::weaknesses(facts, sender, RESOLVER, &verdict);
            assert_eq!(words(&found).as_deref(), want, "{}", sender.name);
        }
    }
}
