//! Time that runs sixty times as fast: in the text of a rule file or of an Alertmanager configuration
//! a minute becomes a second.
//!
//! Changed are the durations behind the keys in [`KEYS`], those of range selectors, subqueries and
//! offsets, and the plain numbers of a line that ends with `# seconds`. Thresholds that are no time of the
//! observer, such as the patience of a sender, carry no such comment and stay.

/// Keys whose value is a duration.
const KEYS: [&str; 6] =
    ["for", "keep_firing_for", "interval", "group_wait", "group_interval", "repeat_interval"];

/// The text with its time compressed.
pub(crate) fn compressed(text: &str) -> String {
    text.lines().map(|line| line_compressed(line) + "\n").collect()
}

fn line_compressed(line: &str) -> String {
    if let Some((key, value)) = line.split_once(": ")
        && KEYS.contains(&key.trim_start_matches([' ', '-']))
    {
        let sooner = divided(value).unwrap_or_else(|| panic!("no duration: {line}"));
        return format!("{key}: {sooner}");
    }
    let line = match line.trim_end().strip_suffix("# seconds") {
        Some(code) => format!("{}# seconds", numbers_divided(code)),
        None => line.to_owned(),
    };
    offsets_divided(&ranges_divided(&line))
}

/// What follows the word `offset`.
fn offsets_divided(line: &str) -> String {
    const WORD: &str = " offset ";
    let mut parts = line.split(WORD);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (duration, rest) = part.split_at(part.find([' ', ',']).unwrap_or(part.len()));
        let sooner = divided(duration).unwrap_or_else(|| panic!("no duration: {line}"));
        all = all + WORD + &sooner + rest;
    }
    all
}

/// What stands in brackets, where it is a range (`[5m]`) or a subquery (`[1h:1m]`).
fn ranges_divided(line: &str) -> String {
    let parts = line.split('[').enumerate();
    let parts = parts.map(|(n, part)| if n == 0 { part.to_owned() } else { range_divided(part) });
    parts.collect::<Vec<_>>().join("[")
}

/// What follows a bracket; changed where it begins with a range.
fn range_divided(part: &str) -> String {
    let divided = part.split_once(']').and_then(|(range, rest)| {
        let steps = range.split(':').map(|step| {
            // The step of a subquery may be left out.
            if step.is_empty() { Some(String::new()) } else { divided(step) }
        });
        Some(steps.collect::<Option<Vec<_>>>()?.join(":") + "]" + rest)
    });
    divided.unwrap_or_else(|| part.to_owned())
}

/// Numbers that stand for themselves: neither part of a word, nor with a unit, nor in quotes.
fn numbers_divided(code: &str) -> String {
    let parts = code.split('"').enumerate();
    let parts =
        parts.map(|(n, part)| if n % 2 == 0 { words_divided(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("\"")
}

fn words_divided(code: &str) -> String {
    let ends = |c: char| !(c.is_alphanumeric() || "_.:".contains(c));
    let words = code.split_inclusive(ends).map(|part| {
        let (word, end) = part.split_at(part.find(ends).unwrap_or(part.len()));
        let sooner = word.parse::<f64>().map(|seconds| (seconds / 60.0).to_string());
        sooner.unwrap_or_else(|_| word.to_owned()) + end
    });
    words.collect()
}

/// A duration of Prometheus, such as `1h30m`, divided; `None` for anything else.
fn divided(duration: &str) -> Option<String> {
    let mut rest = duration.trim();
    let mut total = 0;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, next) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total += number.parse::<u64>().ok()? * milliseconds;
        rest = next;
    }
    Some(format!("{}ms", total / 60)).filter(|_| !duration.trim().is_empty())
}

#[test]
fn a_minute_is_a_second() {
    let slow = "\
    - alert: A
      for: 5m
      keep_firing_for: 1h30m
      expr: rate(a{mx=~\"[0-9]+\"}[5m]) > 300 and max_over_time(b[1h:30s]) > 60  # seconds
      expr: c1 > 300
  - interval: 30s
      group_wait: 30s
";
    let fast = "\
    - alert: A
      for: 5000ms
      keep_firing_for: 90000ms
      expr: rate(a{mx=~\"[0-9]+\"}[5000ms]) > 5 and max_over_time(b[60000ms:500ms]) > 1  # seconds
      expr: c1 > 300
  - interval: 500ms
      group_wait: 500ms
";
    assert_eq!(compressed(slow), fast);
}
