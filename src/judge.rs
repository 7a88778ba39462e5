//! `mxwatch judge`: facts from files, judged again. It asks nobody.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    check::{colour, document},
    chosen,
    cli::JudgeArgs,
    delivery::{Outcome, what_if::WhatIf},
    document::Surroundings,
    ended::Ended,
    explain::{
        judged::{self, Judged},
        paint::Paint,
        verdicts,
    },
    facts::Facts,
};

/// Judges every destination in the files and prints the verdicts.
pub fn run(args: &JudgeArgs) -> io::Result<Ended> {
    let config = match chosen::configuration(args.config_file.as_deref(), || "localhost".into()) {
        Ok(config) => config,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(Ended::Config);
        }
    };
    let senders = match chosen::senders(&config, &args.senders) {
        Ok(senders) => senders,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(Ended::Usage);
        }
    };
    let mut all = Vec::new();
    for path in &args.files {
        match read_text(path).and_then(|text| read(&text)) {
            Ok(found) => {
                for (facts, doubt) in found {
                    if let Some(doubt) = doubt {
                        writeln!(io::stderr(), "{}:{doubt}", path.display())?;
                    }
                    all.push(facts);
                }
            }
            Err(problem) => {
                writeln!(io::stderr(), "{}:{problem}", path.display())?;
                return Ok(Ended::Data);
            }
        }
    }
    let paint = Paint { on: colour(args.color) };
    let mut worst = Outcome::Deliver;
    for facts in &all {
        let judged = judged::all(facts, &senders);
        worst = worst.max(judged::worst(&judged));
        let text = if args.json {
            document(facts, Surroundings::default(), &judged)?
        } else {
            report(facts, &judged, paint)
        };
        writeln!(io::stdout().lock(), "{text}")?;
    }
    Ok(Ended::Judged(worst))
}

fn report(facts: &Facts, judged: &[Judged], paint: Paint) -> String {
    let mut head = paint.strong(&facts.destination);
    // Nobody observed what was written in shorthand.
    if facts.observed_at != Timestamp::UNIX_EPOCH {
        let at = facts.observed_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        head = format!("{head}  {}", paint.faint(at));
    }
    format!("{head}\n{}", verdicts::write(judged, &[].into(), paint))
}

/// A file of ten thousand domains has some 50 MB.
const MOST_BYTES: u64 = 256 << 20;

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!(" cannot be read: {error}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!(" is larger than {} MiB", MOST_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|_| " is not UTF-8 text".to_owned())
}

/// The facts in a text: JSON values one after the other, each a document with `facts`, facts alone,
/// or facts in shorthand. The error begins with `LINE:COLUMN:`.
pub fn read_facts(text: &str) -> Result<Vec<Facts>, String> {
    read(text).map(|read| read.into_iter().map(|(facts, _)| facts).collect())
}

/// The same, each with what is probably not meant.
fn read(text: &str) -> Result<Vec<(Facts, Option<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut all, mut begin) = (Vec::new(), 0);
    while let Some(value) = values.next() {
        value.map_err(|error| error_at(text, 0, &error))?;
        let end = values.byte_offset();
        let (facts, doubt) = one(&text[begin..end]).map_err(|problem| problem.at(text, begin))?;
        all.push((facts, doubt.map(|doubt| Problem::Said(doubt).at(text, begin))));
        begin = end;
    }
    if all.is_empty() {
        return Err("1:1: holds no JSON document".to_owned());
    }
    Ok(all)
}

/// What tells the three forms apart.
#[derive(Deserialize)]
#[serde(expecting = "an object with facts")]
struct Shape {
    facts: Option<IgnoredAny>,
    destination: Option<IgnoredAny>,
    version: Option<IgnoredAny>,
    domains: Option<IgnoredAny>,
}

/// A document, as far as it is judged.
#[derive(Deserialize)]
struct Envelope {
    facts: Facts,
}

enum Problem {
    Json(serde_json::Error),
    Said(String),
}

impl Problem {
    fn at(&self, text: &str, begin: usize) -> String {
        match self {
            Self::Json(error) => error_at(text, begin, error),
            Self::Said(reason) => {
                // The value begins behind the line break that ends the one before.
                let begin = text[begin..].find(|c: char| !c.is_whitespace()).unwrap_or(0) + begin;
                let (line, column) = position(text, begin, 1, 1);
                format!("{line}:{column}: {reason}")
            }
        }
    }
}

fn one(text: &str) -> Result<(Facts, Option<String>), Problem> {
    let shape: Shape = serde_json::from_str(text).map_err(Problem::Json)?;
    if shape.facts.is_some() {
        let document: Envelope = serde_json::from_str(text).map_err(Problem::Json)?;
        return Ok((document.facts, None));
    }
    if shape.destination.is_some() {
        return Ok((serde_json::from_str(text).map_err(Problem::Json)?, None));
    }
    if shape.domains.is_some() {
        let reason = "is the list of all destinations, which holds no facts; those of one are at \
                      /api/v1/domains/NAME";
        return Err(Problem::Said(reason.to_owned()));
    }
    if shape.version.is_some() {
        let reason = "holds no facts: the destination had not been probed yet";
        return Err(Problem::Said(reason.to_owned()));
    }
    let shorthand: WhatIf = serde_json::from_str(text).map_err(Problem::Json)?;
    let facts = shorthand.facts().map_err(Problem::Said)?;
    if let Some(slip) = shorthand.slip() {
        return Err(Problem::Said(slip));
    }
    let stray = shorthand.stray();
    Ok((facts, stray.map(|ip| format!("warning: ips speaks of {ip}, which no host has"))))
}

/// `LINE:COLUMN: REASON` for an error in the part of the text that begins there.
fn error_at(text: &str, begin: usize, error: &serde_json::Error) -> String {
    let (line, column) = position(text, begin, error.line(), error.column());
    let reason = error.to_string();
    // serde_json says the place once more at the end, from where the part begins.
    let reason = reason.rsplit_once(" at line ").map_or(&*reason, |(reason, _)| reason);
    format!("{line}:{column}: {reason}")
}

/// Line and column in the whole text, of those in the part that begins there.
fn position(text: &str, begin: usize, line: usize, column: usize) -> (usize, usize) {
    let before = &text[..begin];
    let lines = before.matches('\n').count();
    let indent = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    (lines + line, if line == 1 { indent + column } else { column })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = r#"{"domain": "example.com", "mx": [[10, "mx1.example.com"]], "hosts": {"mx1.example.com": {"a": ["192.0.2.1"]}}}"#;

    #[test]
    fn all_forms_are_read_one_after_the_other() {
        let facts = read_facts(SHORT).unwrap();
        let bare = serde_json::to_string_pretty(&facts[0]).unwrap();
        let whole =
            format!("{{\"version\": 1, \"other\": [1], \"facts\": {bare}, \"verdicts\": []}}");
        let all = read_facts(&format!("{whole}\n{bare} {SHORT}\n\n")).unwrap();
        let names: Vec<_> = all.iter().map(|facts| facts.destination.to_string()).collect();
        assert_eq!(names, ["example.com"; 3]);
    }

    #[test]
    fn what_is_probably_not_meant_is_said_and_judged() {
        let stray = |behaviour: &str| {
            let ips = format!("}}}}, \"ips\": {{\"192.0.2.9\": {{{behaviour}}}}}}}");
            let read = read(&SHORT.replace("}}}", &ips)).unwrap();
            read.into_iter().next().unwrap().1
        };
        let doubt = stray("\"banner\": 554");
        let want = "1:1: warning: ips speaks of 192.0.2.9, which no host has";
        assert_eq!(doubt.as_deref(), Some(want));
        assert_eq!(stray("\"tcp\": \"ok\""), None, "left over, and harmless");
    }

    #[test]
    fn a_mistake_has_its_place() {
        let facts = serde_json::to_string(&read_facts(SHORT).unwrap()[0]).unwrap();
        let wrong = facts.replacen("\"observed_at\":\"", "\"observed_at\":\"x", 1);
        let behaves = |how: &str| {
            let ips = format!(", \"ips\": {{\"192.0.2.1\": {how}}}}}");
            format!("{}{ips}", SHORT.strip_suffix('}').unwrap())
        };
        for (text, start) in [
            (String::new(), "1:1: holds no JSON document"),
            (format!("{SHORT}\n  {{\"a\""), "2:"),
            (format!("{SHORT}\n{SHORT}\n{wrong}"), "3:"),
            ("\n {\"version\": 1, \"facts\": null}".to_owned(), "2:2: holds no facts"),
            (
                "{\"version\": 1, \"domains\": []}".to_owned(),
                "1:1: is the list of all destinations",
            ),
            ("{\"domain\": \"example.com\"}".to_owned(), "1:25: missing field `mx`"),
            (
                behaves("{\"banner_delay_s\": -1}"),
                "1:1: ips: 192.0.2.1: banner_delay_s must be from 0 to 2592000",
            ),
            ("[1]".to_owned(), "1:"),
            (SHORT.replace("[[10, \"mx1.example.com\"]]", "null"), "1:36: mx: expected a list of"),
            (SHORT.replace("[\"192.0.2.1\"]", "\"servfial\""), "1:105: a or aaaa: expected a list"),
            (
                SHORT.replace("}}}", "}}, \"ips\": {\"192.0.2.1\": {\"banner\": \"nope\"}}}"),
                "1:150: banner: expected a reply code, or \"none\", \"closed\" or \"reset\"",
            ),
            (
                "{\"domain\": \"example.com\", \"mx\": \"nodata\"}".to_owned(),
                "1:1: hosts does not say what example.com is",
            ),
        ] {
            let problem = read_facts(&text).unwrap_err();
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }
}
