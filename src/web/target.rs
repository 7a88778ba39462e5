//! Names of destinations in URLs: reading them from a path or query and writing them into links.

/// Resolves `%XX`; what does not resolve stays as it is, and bytes that are no UTF-8 become
/// U+FFFD, which no name holds.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| hex_pair(tail)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of a query parameter, the first of several.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let form = |text: &str| decode(&text.replace('+', " "));
    pairs.into_iter().find(|(key, _)| form(key) == name).map(|(_, value)| form(value))
}

/// A name as one segment of a path.
pub(super) fn encode(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let escape = |byte| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    name.bytes().map(escape).collect()
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*text.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_through_a_link() {
        for name in ["example.com", "192.0.2.1:25", "[2001:db8::1]:25", "a b%/?#ü"] {
            assert_eq!(decode(&encode(name)), name);
        }
        assert_eq!(encode("[::1]:25"), "%5B::1%5D:25");
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        for (text, want) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%+1", "%+1"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decode(text), want);
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        assert_eq!(parameter("a=1&target=x%2Ey&target=z", "target"), Some("x.y".to_owned()));
        assert_eq!(parameter("targets=1", "target"), None);
        assert_eq!(parameter("target", "target"), Some(String::new()));
    }
}
