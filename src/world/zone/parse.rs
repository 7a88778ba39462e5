//! Zone text, read line by line into [`Zones`]. The grammar is told at [`Zones::parse`].

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use hickory_resolver::proto::rr::{
    Name, RData, RecordType,
    rdata::{self, MX, SOA, TXT},
};

use super::{
    Behaviour, Fault, NEGATIVE_TTL, ZoneError, Zones,
    text::{dns_name, words},
};

/// Reads a whole text into `zones`.
pub(super) fn read(zones: &mut Zones, text: &str) -> Result<(), ZoneError> {
    let mut reader = Reader { zones, origin: None, ttl: DEFAULT_TTL };
    for (index, line) in text.lines().enumerate() {
        words(line)
            .and_then(|words| reader.line(&words))
            .map_err(|reason| ZoneError { line: index + 1, reason })?;
    }
    Ok(())
}

/// What earlier lines set for later ones.
struct Reader<'a> {
    zones: &'a mut Zones,
    origin: Option<Name>,
    ttl: u32,
}

impl Reader<'_> {
    fn line(&mut self, words: &[String]) -> Result<(), String> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        match (first.as_str(), rest) {
            ("$ORIGIN", [origin]) => self.set_origin(origin),
            ("$TTL", [ttl]) => {
                self.ttl = number(ttl, "a TTL in seconds")?;
                Ok(())
            }
            ("$ORIGIN" | "$TTL", _) => Err(format!("{first} takes one value")),
            (directive, _) if directive.starts_with('$') => {
                Err(format!("{directive} is not known, only $ORIGIN and $TTL are"))
            }
            (owner, rest) => self.record(owner, rest),
        }
    }

    fn set_origin(&mut self, origin: &str) -> Result<(), String> {
        let mut origin = self.name(origin).or_else(|_| dns_name(origin, None))?;
        origin.set_fqdn(true);
        let below = |label: &str| {
            let mut name =
                Name::from_labels([label.as_bytes()]).ok()?.append_domain(&origin).ok()?;
            name.set_fqdn(true);
            Some(name)
        };
        let (Some(server), Some(person)) = (below("ns"), below("hostmaster")) else {
            return Err("the origin is too long".to_owned());
        };
        let soa = SOA::new(server, person, 1, 3600, 600, 86_400, NEGATIVE_TTL);
        self.zones.add_apex(&origin, RData::SOA(soa));
        self.origin = Some(origin);
        Ok(())
    }

    fn record(&mut self, owner: &str, words: &[String]) -> Result<(), String> {
        let owner = self.name(owner)?;
        if self.zones.apex(&owner).is_none() {
            return Err(format!("{owner} lies outside every $ORIGIN so far"));
        }
        let mut words = words.iter().map(String::as_str).peekable();
        let mut ttl = self.ttl;
        let rtype = loop {
            match words.next() {
                Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    ttl = number(word, "a TTL in seconds")?;
                }
                Some("IN") => {}
                Some("*") => break None,
                Some(word) => break Some(record_type(word)?),
                None => return Err("the type is missing".to_owned()),
            }
        };
        let mut behaviour = Behaviour::default();
        while let Some(word) = words.peek().and_then(|word| word.strip_prefix('!')) {
            behave(&mut behaviour, word)?;
            words.next();
        }
        let rdata: Vec<&str> = words.collect();
        let spoken = behaviour != Behaviour::default();
        let data = match rtype {
            _ if rdata.is_empty() && spoken => None,
            None => return Err("the type * takes faults only".to_owned()),
            Some(rtype) => Some(self.rdata(rtype, &rdata)?),
        };
        self.store(owner, rtype, behaviour, data.map(|data| (ttl, data)))
    }

    fn store(
        &mut self,
        owner: Name,
        rtype: Option<RecordType>,
        behaviour: Behaviour,
        record: Option<(u32, RData)>,
    ) -> Result<(), String> {
        let node = self.zones.nodes.entry(owner).or_default();
        let Some(rtype) = rtype else {
            return merge(&mut node.every, behaviour);
        };
        let set = node.types.entry(rtype).or_default();
        if let Some(record) = record {
            // A zone has one SOA, and one written out replaces the synthesised one.
            if rtype == RecordType::SOA {
                set.records.clear();
            }
            if rtype == RecordType::CNAME && !set.records.is_empty() {
                return Err("a name has one CNAME (RFC 2181 §10.1)".to_owned());
            }
            set.records.push(record);
        }
        merge(&mut set.behaviour, behaviour)
    }

    fn rdata(&self, rtype: RecordType, words: &[&str]) -> Result<RData, String> {
        Ok(match (rtype, words) {
            (RecordType::A, [address]) => {
                RData::A(number::<Ipv4Addr>(address, "an IPv4 address")?.into())
            }
            (RecordType::AAAA, [address]) => {
                RData::AAAA(number::<Ipv6Addr>(address, "an IPv6 address")?.into())
            }
            (RecordType::CNAME, [target]) => RData::CNAME(rdata::CNAME(self.name(target)?)),
            (RecordType::NS, [target]) => RData::NS(rdata::NS(self.name(target)?)),
            (RecordType::PTR, [target]) => RData::PTR(rdata::PTR(self.name(target)?)),
            (RecordType::MX, [preference, target]) => {
                let preference = number(preference, "a preference from 0 to 65535")?;
                RData::MX(MX::new(preference, self.name(target)?))
            }
            (RecordType::TXT, [_, ..]) => {
                if words.iter().any(|text| text.len() > 255) {
                    return Err("a string of a TXT record has at most 255 bytes".to_owned());
                }
                RData::TXT(TXT::new(words.iter().map(|text| (*text).to_owned()).collect()))
            }
            (RecordType::SOA, [server, person, serial, refresh, retry, expire, minimum]) => {
                let seconds = |word| number(word, "a number of seconds");
                RData::SOA(SOA::new(
                    self.name(server)?,
                    self.name(person)?,
                    number(serial, "a serial number")?,
                    seconds(refresh)?,
                    seconds(retry)?,
                    seconds(expire)?,
                    number(minimum, "a number of seconds")?,
                ))
            }
            _ => return Err(format!("this is no RDATA of {rtype}: \"{}\"", words.join(" "))),
        })
    }

    fn name(&self, word: &str) -> Result<Name, String> {
        match &self.origin {
            Some(origin) if word == "@" => Ok(origin.clone()),
            origin => dns_name(word, origin.as_ref()),
        }
    }
}

fn behave(behaviour: &mut Behaviour, word: &str) -> Result<(), String> {
    let new = if let Some(time) = word.strip_prefix("delay=") {
        let delay = humantime::parse_duration(time)
            .map_err(|error| format!("!delay takes a time such as 1500ms: {error}"))?;
        Behaviour { delay: Some(delay), fault: None }
    } else {
        let fault = Fault::from_word(word).ok_or_else(|| format!("!{word} is no fault"))?;
        Behaviour { delay: None, fault: Some(fault) }
    };
    merge(behaviour, new)
}

fn merge(into: &mut Behaviour, new: Behaviour) -> Result<(), String> {
    if into.fault.is_some() && new.fault.is_some() {
        return Err("a name and type has one fault".to_owned());
    }
    into.fault = into.fault.or(new.fault);
    into.delay = new.delay.or(into.delay);
    Ok(())
}

fn record_type(word: &str) -> Result<RecordType, String> {
    let rtype = RecordType::from_str(word).ok();
    rtype
        .filter(|rtype| SERVED.contains(rtype))
        .ok_or_else(|| format!("\"{word}\" is no type served here"))
}

fn number<T: FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("\"{word}\" is not {what}"))
}

/// The TTL of records before any `$TTL`, in seconds.
const DEFAULT_TTL: u32 = 300;

const SERVED: [RecordType; 8] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::TXT,
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn records(zones: &Zones, name: &str, rtype: RecordType) -> Vec<String> {
        let name = dns_name(name, None).unwrap();
        let records = zones.node(&name).map(|node| node.records(rtype)).unwrap_or_default();
        records.iter().map(|(ttl, data)| format!("{ttl} {data}")).collect()
    }

    #[test]
    fn text_becomes_records_with_origin_ttl_and_comments() {
        let zones = Zones::parse(
            r#"
            $ORIGIN story1.test.   ; the first story
            @     MX   10 mx1
            @     MX   20 mx.other.test.
            $TTL 60
            mx1   A    127.0.0.2
            mx1   7 IN AAAA ::1
            @     TXT  "v=spf1 -all; \"quoted\"" two
            odd\.label\010 A 127.0.0.3
            "#,
        )
        .unwrap();
        assert_eq!(
            records(&zones, "story1.test.", RecordType::MX),
            ["300 10 mx1.story1.test.", "300 20 mx.other.test."]
        );
        assert_eq!(records(&zones, "MX1.story1.test.", RecordType::A), ["60 127.0.0.2"]);
        assert_eq!(records(&zones, "mx1.story1.test.", RecordType::AAAA), ["7 ::1"]);
        assert_eq!(records(&zones, r"odd\.label\010.story1.test.", RecordType::A).len(), 1);
        let apex = dns_name("story1.test.", None).unwrap();
        let Some((_, RData::TXT(txt))) =
            zones.node(&apex).unwrap().records(RecordType::TXT).first()
        else {
            panic!("no TXT");
        };
        let strings: Vec<&[u8]> = txt.txt_data.iter().map(AsRef::as_ref).collect();
        assert_eq!(strings, [b"v=spf1 -all; \"quoted\"".as_slice(), b"two"]);
    }

    #[test]
    fn faults_stand_before_or_in_place_of_records() {
        let zones = Zones::parse(
            "$ORIGIN a.test.
             x    AAAA !servfail
             slow A    !delay=2s 127.0.0.3
             both A    !delay=1500ms !truncate 127.0.0.4
             dead *    !silent
             dead A    127.0.0.5",
        )
        .unwrap();
        let behaviour = |name, rtype| {
            let name = dns_name(name, None).unwrap();
            zones.node(&name).unwrap().behaviour(rtype)
        };
        let of = |millis, fault| Behaviour { delay: millis, fault };
        let after = |millis| Some(Duration::from_millis(millis));
        assert_eq!(behaviour("x.a.test.", RecordType::AAAA), of(None, Some(Fault::ServFail)));
        assert_eq!(behaviour("x.a.test.", RecordType::A), of(None, None));
        assert_eq!(behaviour("slow.a.test.", RecordType::A), of(after(2000), None));
        let both = of(after(1500), Some(Fault::Truncate));
        assert_eq!(behaviour("both.a.test.", RecordType::A), both);
        assert_eq!(behaviour("dead.a.test.", RecordType::MX), of(None, Some(Fault::Silent)));
        assert_eq!(behaviour("dead.a.test.", RecordType::A), of(None, Some(Fault::Silent)));
    }

    #[test]
    fn errors_name_the_line_and_the_reason() {
        for (line, reason) in [
            ("mx1 A 1.2.3", "\"1.2.3\" is not an IPv4 address"),
            ("mx1 A", "this is no RDATA of A: \"\""),
            ("mx1", "the type is missing"),
            ("mx1 SRV 0 0 25 x", "\"SRV\" is no type served here"),
            ("mx1 A !slow", "!slow is no fault"),
            ("mx1 A !silent !servfail", "a name and type has one fault"),
            ("mx1 MX 70000 a", "\"70000\" is not a preference from 0 to 65535"),
            ("mx1 * 127.0.0.1", "the type * takes faults only"),
            ("*.x A 127.0.0.1", "\"*.x\" is no name: wildcards are not served"),
            ("x.other.test. A 127.0.0.1", "x.other.test. lies outside every $ORIGIN so far"),
            ("mx1 TXT \"open", "a quote is left open"),
            ("a\\300 A 127.0.0.1", "\"a\\300\" is no name: \\DDD takes a number up to 255"),
            ("$INCLUDE x", "$INCLUDE is not known, only $ORIGIN and $TTL are"),
        ] {
            let error = Zones::parse(&format!("$ORIGIN a.test.\n\n{line}\n")).unwrap_err();
            assert_eq!(error, ZoneError { line: 3, reason: reason.to_owned() }, "{line}");
        }
        assert!(Zones::parse("relative A 127.0.0.1").is_err());
    }
}
