//! What DNS answered, resolvers side by side: an answer that several gave stands once with all of
//! them, one that differs on a line of its own with who gave it.

use std::collections::BTreeSet;

use super::{
    extended_error,
    paint::Paint,
    report::{named_after, put, wrapped},
    several::{grouped, listed},
    spoken, tlsa,
};
use crate::facts::{
    ExchangerFacts, Lookup, LookupStatus, MxLookup, Record, RecordType, Route, TlsaStatus,
    last_tries,
};

/// How the answers about one destination are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// How many servers gave the answers. One needs to be named once, several at each answer.
    pub(super) servers: usize,
    /// How many resolvers were asked.
    pub(super) resolvers: usize,
    /// Colour.
    pub(super) paint: Paint,
}

impl Column {
    /// Where mail goes.
    pub(super) fn write_routes(self, answers: &[MxLookup], out: &mut String) {
        let shown = answers.iter().map(|mx| (&mx.lookup, Words::new(&mx.lookup, route(mx))));
        self.write("  MX    ", "        ", shown, out);
    }

    /// The addresses of an exchanger, by type.
    pub(super) fn write_addresses(self, exchanger: &ExchangerFacts, out: &mut String) {
        for rtype in [RecordType::A, RecordType::Aaaa] {
            let lookups = exchanger.lookups.iter().filter(|lookup| lookup.rtype == rtype);
            let shown = lookups.map(|lookup| (lookup, Words::new(lookup, addresses(lookup))));
            let head = format!("        {:<5} ", rtype.label());
            self.write(&head, "              ", shown, out);
        }
    }

    /// The TLSA records of an exchanger through resolvers that are trusted to prove them.
    pub(super) fn write_tlsa(self, exchanger: &ExchangerFacts, out: &mut String) {
        let said = exchanger.tlsa.iter().map(|tlsa| {
            let failed = tlsa.status == TlsaStatus::Error;
            (&*tlsa.resolver, (tlsa::line(exchanger, tlsa), failed))
        });
        let (mut head, indent) = ("        TLSA  ", "              ");
        for ((words, failed), resolvers) in grouped(said) {
            let through = match self.resolvers {
                ..=1 => String::new(),
                _ => format!("  through {}", listed(&resolvers)),
            };
            for line in wrapped(&format!("{words}{through}"), WIDTH - indent.len()) {
                let line = if failed { self.paint.bad(line) } else { line };
                put(out, &format!("{head}{line}"));
                head = indent;
            }
        }
    }

    /// Writes each different answer, below a `head` of the width of `indent`.
    fn write<'a>(
        self,
        head: &str,
        indent: &str,
        answers: impl Iterator<Item = (&'a Lookup, Words)>,
        out: &mut String,
    ) {
        let mut head = head;
        for (words, lookups) in grouped(answers) {
            let tail = match lookups.as_slice() {
                [only] => self.tail(only),
                several => tails(several),
            };
            // Colour has no width.
            let text = format!("{}  {tail}", words.text);
            if indent.len() + text.chars().count() <= WIDTH {
                let tail = self.paint.faint(tail);
                put(out, &format!("{head}{}  {tail}", self.painted(&words, &words.text)));
            } else {
                let width = WIDTH - indent.len();
                let mut lines = wrapped(&words.text, width);
                let first = lines.remove(0);
                put(out, &format!("{head}{}", self.painted(&words, &first)));
                for line in lines {
                    put(out, &format!("{indent}{}", self.painted(&words, &line)));
                }
                for line in wrapped(&tail, width) {
                    put(out, &format!("{indent}{}", self.paint.faint(line)));
                }
            }
            head = indent;
        }
    }

    fn painted(self, words: &Words, line: &str) -> String {
        match words.tone {
            Tone::Bad => self.paint.bad(line),
            Tone::Faint => self.paint.faint(line),
            Tone::Plain => line.to_owned(),
        }
    }

    /// All about one answer.
    fn tail(self, lookup: &Lookup) -> String {
        let Some(exchange) = lookup.deciding() else { return "not asked".to_owned() };
        let took = spoken(exchange.duration.get());
        let took = match (self.resolvers, self.servers) {
            (..=1, ..=1) => took,
            (..=1, _) => format!("{took} from {}", exchange.server),
            _ if named_after(lookup, exchange.server) => {
                format!("through {}: {took}", lookup.resolver)
            }
            _ => format!("through {}: {took} from {}", lookup.resolver, exchange.server),
        };
        let mut tail = vec![took];
        tail.extend(exchange.ttl.map(|ttl| format!("TTL {ttl} s")));
        if exchange.truncated {
            tail.push("truncated, so over TCP".to_owned());
        }
        tail.extend(exchange.further.error.as_deref().map(str::to_owned));
        tail.extend(extended_error::each(exchange));
        if exchange.authentic_data {
            tail.push("AD".to_owned());
        }
        tail.extend(aliases(lookup));
        let shown = exchange.records.iter().filter(|r| matches!(r, Record::Address(_))).count();
        let more = usize::from(exchange.answers).saturating_sub(exchange.records.len());
        if more > 0 && shown > 0 {
            tail.push(format!("{more} more"));
        }
        let counting = lookup.exchanges.iter().filter(|exchange| exchange.counts()).count();
        if lookup.zone.is_some() {
            let servers = last_tries(&lookup.exchanges).count();
            tail.push(match servers {
                1 => "1 server asked".to_owned(),
                _ => format!("{servers} servers asked, slowest {}", spoken(lookup.took())),
            });
        } else if counting > 1 {
            tail.push(format!("{counting} exchanges in {}", spoken(lookup.took())));
        }
        tail.join(", ")
    }
}

/// What there is to say about the same answer of several resolvers.
fn tails(lookups: &[&Lookup]) -> String {
    let who = |lookup: &&Lookup| format!("{} {}", lookup.resolver, spoken(lookup.took()));
    let who: Vec<String> = lookups.iter().map(who).collect();
    let mut tail = vec![format!("through {}", listed(&who))];
    let ttls = || lookups.iter().filter_map(|lookup| lookup.deciding()?.ttl);
    // Caches count down.
    if let (Some(least), Some(most)) = (ttls().min(), ttls().max()) {
        tail.push(if least == most {
            format!("TTL {least} s")
        } else {
            format!("TTL {least} to {most} s")
        });
    }
    let deciding = lookups.iter().filter_map(|lookup| lookup.deciding());
    let reasons: BTreeSet<String> = deciding.flat_map(extended_error::each).collect();
    tail.extend(reasons);
    let proved = lookups.iter().filter(|lookup| lookup.authentic_data());
    let proved: Vec<&str> = proved.map(|lookup| &*lookup.resolver).collect();
    if proved.len() == lookups.len() {
        tail.push("AD".to_owned());
    } else if !proved.is_empty() {
        tail.push(format!("AD through {}", listed(&proved)));
    }
    tail.extend(lookups.first().and_then(|lookup| aliases(lookup)));
    tail.join(", ")
}

fn aliases(lookup: &Lookup) -> Option<String> {
    let chain = &lookup.deciding()?.further.cname_chain;
    (!chain.is_empty()).then(|| format!("via CNAME {}", chain.join(", ")))
}

/// An answer in words.
struct Words {
    text: String,
    tone: Tone,
    /// What makes it the same as another: name servers turn the order of records.
    same: (LookupStatus, Vec<Record>, Vec<String>),
}

impl Words {
    fn new(lookup: &Lookup, (text, tone): (String, Tone)) -> Self {
        let (records, chain) = lookup.deciding().map_or((&[][..], &[][..]), |exchange| {
            (&*exchange.records, &*exchange.further.cname_chain)
        });
        let mut records = records.to_vec();
        records.sort_unstable();
        Self { text, tone, same: (lookup.status(), records, chain.to_vec()) }
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.same == other.same
    }
}

enum Tone {
    Bad,
    Faint,
    Plain,
}

fn route(answer: &MxLookup) -> (String, Tone) {
    match &answer.route {
        Route::Mx { targets, .. } => {
            let each: Vec<String> =
                targets.iter().map(|t| format!("{} {}", t.preference, t.exchanger)).collect();
            (each.join(", "), Tone::Plain)
        }
        Route::Implicit { .. } => {
            ("none: the domain is its own exchanger (implicit MX)".to_owned(), Tone::Plain)
        }
        Route::Null => ("null MX: takes no mail".to_owned(), Tone::Bad),
        Route::NoDomain => ("no such domain".to_owned(), Tone::Bad),
        Route::Unknown => {
            let status = answer.lookup.status().label().to_uppercase();
            (format!("lookup failed: {status}"), Tone::Bad)
        }
    }
}

fn addresses(lookup: &Lookup) -> (String, Tone) {
    let records: Vec<String> = lookup.addresses().map(|address| address.to_string()).collect();
    match lookup.status() {
        LookupStatus::Noerror => (records.join(" "), Tone::Plain),
        LookupStatus::Nodata => ("none".to_owned(), Tone::Faint),
        status => (status.label().to_uppercase(), Tone::Bad),
    }
}

/// Characters of a line, as on a terminal of the usual size.
const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        facts::{Exchange, Transport},
        name::{Exchanger, Host},
    };

    fn lookup(resolver: &str, status: LookupStatus, list: &[&str], ttl: u32) -> Lookup {
        let server = if resolver == "lan" { 1 } else { 2 };
        let records = list.iter().map(|a| Record::Address(a.parse().unwrap())).collect();
        let empty = Exchange::empty(([192, 0, 2, server], 53).into(), Transport::Udp, status);
        let exchange = Exchange { records, ttl: Some(ttl), ..empty };
        let name = "mx.example.com".into();
        Lookup::new(resolver.into(), RecordType::A, name, vec![exchange])
    }

    fn written(resolvers: usize, lookups: Vec<Lookup>) -> Vec<String> {
        let host = Host::Address([192, 0, 2, 25].into());
        let exchanger = Exchanger { host, port: 25 };
        let unobserved = ExchangerFacts::unobserved(exchanger, Timestamp::UNIX_EPOCH);
        let mut out = String::new();
        let column = Column { servers: resolvers, resolvers, paint: Paint { on: false } };
        let lookups = lookups.into();
        column.write_addresses(&ExchangerFacts { lookups, ..unobserved }, &mut out);
        out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_same_answer_stands_once_and_another_on_its_own_line() {
        use LookupStatus::{Noerror, Servfail};
        let one = "192.0.2.25";
        let alone = written(1, vec![lookup("lan", Noerror, &[one], 60)]);
        assert_eq!(alone, ["        A     192.0.2.25  0.0 ms, TTL 60 s"]);
        let turned = vec![
            lookup("lan", Noerror, &[one, "192.0.2.26"], 60),
            lookup("public", Noerror, &["192.0.2.26", one], 7),
        ];
        assert_eq!(
            written(2, turned),
            [
                "        A     192.0.2.25 192.0.2.26",
                "              through lan 0.0 ms and public 0.0 ms, TTL 7 to 60 s"
            ]
        );
        let differ = vec![lookup("lan", Servfail, &[], 9), lookup("public", Noerror, &[one], 60)];
        assert_eq!(
            written(2, differ),
            [
                "        A     SERVFAIL  through lan: 0.0 ms from 192.0.2.1:53, TTL 9 s",
                "              192.0.2.25  through public: 0.0 ms from 192.0.2.2:53, TTL 60 s"
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let many: Vec<String> = (0..90).map(|last| format!("198.51.100.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let lines = written(1, vec![lookup("lan", LookupStatus::Noerror, &many, 60)]);
        assert!(lines.len() > 10);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
    }
}
