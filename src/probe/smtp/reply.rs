//! The SMTP reply parser: bytes in, replies out, no I/O.
//!
//! Takes input in any pieces, several replies in one piece, CRLF or bare LF. Everything is
//! bounded: a line at 2 KiB, a reply at 64 KiB and 128 lines.

use crate::{
    facts::{EnhancedCode, Reason, Reply},
    shown::shown,
};

/// The longest line taken, its end included; RFC 5321 §4.5.3.1.5 grants 512 octets.
pub const MAX_LINE: usize = 2048;
/// The longest reply.
pub const MAX_REPLY: usize = 64 * 1024;
/// The most lines in a reply.
pub const MAX_LINES: usize = 128;

/// A reply under construction.
#[derive(Debug, Default)]
pub struct ReplyParser {
    /// What there is of a line that has not ended, or the one that could not be taken.
    line: Vec<u8>,
    code: Option<u16>,
    /// The text of each whole line so far, a line feed after each.
    text: String,
    lines: usize,
    bytes: usize,
}

impl ReplyParser {
    /// Takes input until a reply is complete. Returns how much was consumed and the reply, if one
    /// ended; what follows it belongs to the next. Errors: [`Reason::Malformed`] and
    /// [`Reason::TooLong`]; the parser is of no further use then.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), Reason> {
        let mut consumed = 0;
        while let Some(rest) = input.get(consumed..).filter(|r| !r.is_empty()) {
            let end = rest.iter().position(|&b| b == b'\n');
            let piece = &rest[..end.map_or(rest.len(), |at| at + 1)];
            if self.line.len() + piece.len() > MAX_LINE || self.bytes + piece.len() > MAX_REPLY {
                return Err(Reason::TooLong);
            }
            self.bytes += piece.len();
            consumed += piece.len();
            if end.is_none() {
                self.line.extend_from_slice(piece);
                // Rubbish that never ends its line is found out at its first bytes.
                begins_like_a_reply(&self.line)?;
                break;
            }
            if self.text.is_empty() {
                // Most replies come at once.
                self.text.reserve(rest.len());
            }
            let mut begun = std::mem::take(&mut self.line);
            let line = if begun.is_empty() {
                piece
            } else {
                begun.extend_from_slice(piece);
                &begun
            };
            match self.end_line(line) {
                Ok(true) => return Ok((consumed, Some(self.take()))),
                Ok(false) => {}
                Err(reason) => {
                    self.line = line.to_vec();
                    return Err(reason);
                }
            }
        }
        Ok((consumed, None))
    }

    /// What came of a reply that is not complete: its beginning as text, at most `limit`
    /// characters. `None` when nothing came.
    pub fn beginning(&self, limit: usize) -> Option<String> {
        if self.bytes == 0 {
            return None;
        }
        let code = self.code.unwrap_or_default();
        let mut text = String::new();
        for whole in self.text.split_terminator('\n') {
            text.extend([&format!("{code}-"), whole, "\n"]);
        }
        push_printable(&mut text, &self.line);
        Some(text.chars().take(limit).collect())
    }

    /// Takes a whole line; whether it was the last of the reply.
    fn end_line(&mut self, line: &[u8]) -> Result<bool, Reason> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        begins_like_a_reply(line)?;
        let (digits, rest) = line.split_at_checked(3).ok_or(Reason::Malformed)?;
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        // RFC 5321 §4.2.1: the code is the same on every line.
        if self.code.is_some_and(|first| first != code) {
            return Err(Reason::Malformed);
        }
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(Reason::Malformed),
        };
        if self.lines == MAX_LINES {
            return Err(Reason::TooLong);
        }
        push_printable(&mut self.text, text);
        self.text.push('\n');
        self.lines += 1;
        self.code = Some(code);
        Ok(last)
    }

    fn take(&mut self) -> Reply {
        let finished = std::mem::take(self);
        let code = finished.code.unwrap_or_default();
        Reply { code, enhanced: enhanced(code, &finished.text), lines: finished.text.into() }
    }
}

/// RFC 5321 §4.2: 2–5, then two digits, then a space, a hyphen or the end. Looks at what is there.
fn begins_like_a_reply(line: &[u8]) -> Result<(), Reason> {
    let wrong = line.iter().take(4).enumerate().any(|(place, &byte)| match place {
        0 => !(b'2'..=b'5').contains(&byte),
        1 | 2 => !byte.is_ascii_digit(),
        _ => !matches!(byte, b' ' | b'-' | b'\r' | b'\n'),
    });
    if wrong { Err(Reason::Malformed) } else { Ok(()) }
}

/// RFC 2034 §4: the text opens with the enhanced code, whose class is that of the reply.
fn enhanced(code: u16, text: &str) -> Option<EnhancedCode> {
    let first = text.split([' ', '\n']).next()?;
    EnhancedCode::parse(first).filter(|e| e.class.digit() == code / 100)
}

/// Adds text fit for a terminal, a log and a page once escaped for it: controls become U+FFFD.
fn push_printable(to: &mut String, bytes: &[u8]) {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match str::from_utf8(bytes) {
        // Nearly always.
        Ok(text) if bytes.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_control()) => {
            to.push_str(text);
        }
        _ => to.extend(String::from_utf8_lossy(bytes).chars().map(shown)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_all(input: &[u8], piece: usize) -> Result<Vec<Reply>, Reason> {
        let mut parser = ReplyParser::default();
        let mut replies = Vec::new();
        for mut part in input.chunks(piece.max(1)) {
            while !part.is_empty() {
                let (consumed, reply) = parser.feed(part)?;
                part = &part[consumed..];
                replies.extend(reply);
            }
        }
        Ok(replies)
    }

    fn lines(reply: &Reply) -> Vec<&str> {
        reply.lines.iter().collect()
    }

    #[test]
    fn pipelined_multi_line_replies_come_out_the_same_in_any_pieces() {
        let input =
            b"220-mx1.example.test ESMTP\r\n220 ready\r\n250-mx1\n250-SIZE 1000\n250 HELP\n\
                      421\r\n550 5.7.1 go away\r\n";
        for piece in 1..=input.len() {
            let replies = parse_all(input, piece).unwrap();
            let codes: Vec<u16> = replies.iter().map(|r| r.code).collect();
            assert_eq!(codes, [220, 250, 421, 550], "pieces of {piece}");
            assert_eq!(lines(&replies[0]), ["mx1.example.test ESMTP", "ready"]);
            assert_eq!(lines(&replies[2]), [""]);
            assert_eq!(replies[3].enhanced.map(|e| e.to_string()), Some("5.7.1".to_owned()));
        }
    }

    #[test]
    fn what_is_no_reply_is_malformed_at_its_first_wrong_byte() {
        for input in [
            "HTTP/1.1 400 Bad Request\r\n",
            "H",
            "22x ready\r\n",
            "120 soon\r\n",
            "220/ready\r\n",
            "\r\n",
            "22\r\n",
            "250-one\r\n251 two\r\n",
            "\u{0}\u{1}",
        ] {
            assert_eq!(parse_all(input.as_bytes(), 1024), Err(Reason::Malformed), "{input:?}");
        }
    }

    #[test]
    fn lines_replies_and_line_counts_are_bounded() {
        let long_line = format!("220 {}", "a".repeat(MAX_LINE));
        let endless = "250-again and again\r\n".repeat(MAX_LINES + 1);
        let wide = format!("250-{}\r\n", "a".repeat(2000)).repeat(40);
        for input in [long_line, endless, wide] {
            assert_eq!(parse_all(input.as_bytes(), 700), Err(Reason::TooLong));
        }
        let longest = format!("220 {}\r\n", "a".repeat(MAX_LINE - 6));
        assert_eq!(parse_all(longest.as_bytes(), 700).unwrap().len(), 1);
    }

    #[test]
    fn an_enhanced_code_must_match_the_class_of_the_reply() {
        for (line, want) in [
            ("451 4.7.1 try later", Some("4.7.1")),
            ("250 4.7.1 odd", None),
            ("550 5.1 short", None),
            ("550 5.1.1.1 long", None),
            ("550 5.1.1000 big", None),
            ("550", None),
        ] {
            let replies = parse_all(format!("{line}\r\n").as_bytes(), 99).unwrap();
            assert_eq!(replies[0].enhanced.map(|e| e.to_string()).as_deref(), want, "{line}");
        }
    }

    #[test]
    fn control_and_bidi_characters_do_not_get_through() {
        let replies =
            parse_all(b"220 a\x1b[31mred\x07\xff \xe2\x80\xae\xd8\x9c evil\r\n", 99).unwrap();
        assert_eq!(lines(&replies[0]), ["a\u{fffd}[31mred\u{fffd}\u{fffd} \u{fffd}\u{fffd} evil"]);
    }

    #[test]
    fn a_line_that_is_not_taken_can_be_shown_as_it_came() {
        for (pieces, shown) in [
            (&["hello\r\n"][..], "hello"),
            (&["220-one\r\n421 bye\r\n"], "220-one\n421 bye"),
            (&["220-one\r\n421 ", "bye\r\n"], "220-one\n421 bye"),
        ] {
            let mut parser = ReplyParser::default();
            let taken: Vec<_> = pieces.iter().map(|p| parser.feed(p.as_bytes()).is_ok()).collect();
            assert_eq!(taken.iter().rposition(|ok| !ok), Some(pieces.len() - 1), "{pieces:?}");
            assert_eq!(parser.beginning(80).as_deref(), Some(shown), "{pieces:?}");
        }
    }

    #[test]
    fn the_beginning_of_an_unfinished_reply_can_be_shown() {
        let mut parser = ReplyParser::default();
        assert_eq!(parser.beginning(80), None);
        parser.feed(b"220-one\r\n220-tw").unwrap();
        assert_eq!(parser.beginning(80).as_deref(), Some("220-one\n220-tw"));
        assert_eq!(parser.beginning(5).as_deref(), Some("220-o"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..300), 0..40,
        )) {
            let mut parser = ReplyParser::default();
            for piece in &pieces {
                let mut rest = piece.as_slice();
                while !rest.is_empty() {
                    let Ok((consumed, _)) = parser.feed(rest) else { return Ok(()) };
                    prop_assert!(consumed > 0);
                    prop_assert!(parser.line.len() <= MAX_LINE && parser.bytes <= MAX_REPLY);
                    rest = &rest[consumed..];
                }
            }
        }

        #[test]
        fn any_well_formed_reply_is_read_whatever_the_pieces(
            code in 200_u16..600,
            texts in proptest::collection::vec("[ -~]{0,80}", 1..10),
            piece in 1_usize..50,
        ) {
            let last = texts.len() - 1;
            let mut wire = String::new();
            for (n, text) in texts.iter().enumerate() {
                wire += &code.to_string();
                wire.push(if n == last { ' ' } else { '-' });
                wire += text;
                wire += "\r\n";
            }
            let replies = parse_all(wire.as_bytes(), piece).unwrap();
            prop_assert_eq!(replies.len(), 1);
            prop_assert_eq!(lines(&replies[0]), texts);
            prop_assert_eq!(replies[0].code, code);
        }
    }
}
