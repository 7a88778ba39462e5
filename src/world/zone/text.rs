//! The words and the names of zone text, as in a master file (RFC 1035 §5.1).

use hickory_resolver::proto::rr::Name;

/// A name in master-file form, `\DDD` being decimal (RFC 1035 §5.1); relative names need an origin.
pub(in crate::world) fn dns_name(text: &str, origin: Option<&Name>) -> Result<Name, String> {
    let bad = |why: &str| format!("\"{text}\" is no name: {why}");
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels = vec![Vec::new()];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let last = labels.last_mut().ok_or_else(|| bad("empty"))?;
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let first = bytes.next().ok_or_else(|| bad("it ends in a \\"))?;
                if !first.is_ascii_digit() {
                    last.push(first);
                    continue;
                }
                let digits: Vec<u8> =
                    std::iter::once(first).chain(bytes.by_ref().take(2)).collect();
                let value = std::str::from_utf8(&digits).ok().and_then(|d| d.parse().ok());
                last.push(value.ok_or_else(|| bad("\\DDD takes a number up to 255"))?);
            }
            b'*' => return Err(bad("wildcards are not served")),
            b'!' | b'$' | b'@' | b'\x80'.. => return Err(bad("write odd bytes as \\DDD")),
            byte => last.push(byte),
        }
    }
    let absolute = labels.pop_if(|last| last.is_empty()).is_some();
    let name = Name::from_labels(labels.iter().map(Vec::as_slice));
    let mut name = name.map_err(|error| bad(&error.to_string()))?;
    if !absolute {
        let origin = origin.ok_or_else(|| bad("it is relative and no $ORIGIN stands before it"))?;
        name = name.append_domain(origin).map_err(|error| bad(&error.to_string()))?;
    }
    name.set_fqdn(true);
    Ok(name)
}

/// The words of a line: quotes keep blanks together, `;` starts a comment.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            ';' if !quoted => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err("a quote is left open".to_owned());
    }
    words.extend(word);
    Ok(words)
}
