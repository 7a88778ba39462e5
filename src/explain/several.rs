//! Several resolvers in one sentence: who they are, and who of them says the same.

/// Names as they stand in a sentence: `lan`, `lan and public`, `lan, public and isp`.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let (last, others) = match names {
        [] => return String::new(),
        [only] => return only.as_ref().to_owned(),
        [others @ .., last] => (last, others),
    };
    let others: Vec<&str> = others.iter().map(AsRef::as_ref).collect();
    format!("{} and {}", others.join(", "), last.as_ref())
}

/// What was said, each thing once in the order it came up, with everybody who said it.
pub(crate) fn grouped<V, T: PartialEq>(said: impl IntoIterator<Item = (V, T)>) -> Vec<(T, Vec<V>)> {
    let mut groups: Vec<(T, Vec<V>)> = Vec::new();
    for (voice, what) in said {
        match groups.iter_mut().find(|(known, _)| *known == what) {
            Some((_, voices)) => voices.push(voice),
            None => groups.push((what, vec![voice])),
        }
    }
    groups
}

/// Who says what: `lan: SERVFAIL; public and isp: NODATA`.
pub(super) fn each(groups: &[(String, Vec<&str>)]) -> String {
    let each: Vec<String> =
        groups.iter().map(|(what, names)| format!("{}: {what}", listed(names))).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_alike_is_said_once() {
        let said = [("lan", "SERVFAIL"), ("public", "NODATA"), ("isp", "NODATA")];
        let groups = grouped(said.map(|(who, what)| (who, what.to_owned())));
        assert_eq!(each(&groups), "lan: SERVFAIL; public and isp: NODATA");
        assert_eq!(listed(&["lan", "public", "isp"]), "lan, public and isp");
        assert_eq!(listed::<&str>(&[]), "");
    }
}
