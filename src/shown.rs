//! What of a stranger's text may be shown on a terminal, in a log and on a page. Escaping for each of
//! these comes on top.

/// The character itself, or U+FFFD for one that controls, hides or turns the text around it:
/// controls, and Unicode's bidirectional and format characters.
pub(crate) fn shown(c: char) -> char {
    let invisible = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || invisible { char::REPLACEMENT_CHARACTER } else { c }
}

/// A text in which nothing controls a terminal or a page, on one line and of at most so many
/// characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == most {
            line.push('…');
            break;
        }
        line.push(shown(c));
    }
    line
}
