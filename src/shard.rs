//! Which of several agents watches a destination, where one list is shared among them.
//!
//! Every agent has the whole list and picks its own by [`Shard::of`], so that they need not know of
//! each other. Pure: nothing here reads a list or a host's name.

use std::fmt;

use ring::digest::{SHA256, digest};

use crate::name::Destination;

/// One of several shards, counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    index: u16,
    shards: u16,
}

/// What `--shard` can be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// `I/N`: this one.
    Fixed(Shard),
    /// `ordinal/N`: the one whose number this host's name ends with.
    Ordinal {
        /// How many there are.
        shards: u16,
    },
}

impl Shard {
    /// The shard that a destination belongs to where there are as many as of this one.
    ///
    /// It goes by the first 8 octets of the SHA-256 of the name as it stands in the `domain` label,
    /// big-endian, through jump consistent hash. Neither ever changes: a release that sent a
    /// destination to another shard would have agents of two versions watch it twice, or not at all.
    /// The schedule has a hash of its own, for what is shared out by the same bits would have rounds
    /// at the same moments.
    #[must_use]
    pub fn of(self, destination: &Destination) -> Self {
        let digest = digest(&SHA256, destination.to_string().as_bytes());
        let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
        Self { index: jump(u64::from_be_bytes(first), self.shards), ..self }
    }

    /// Whether it is the one that watches a destination.
    pub fn watches(self, destination: &Destination) -> bool {
        self.of(destination) == self
    }

    /// Its number, from 0.
    pub const fn index(self) -> u16 {
        self.index
    }

    /// How many there are.
    pub const fn shards(self) -> u16 {
        self.shards
    }

    /// Number `index`, from 0, of so many; the error says that there is none such.
    pub fn new(index: u16, shards: u16) -> Result<Self, String> {
        if index < shards {
            return Ok(Self { index, shards });
        }
        let last = shards.saturating_sub(1);
        Err(format!("{shards} shards are counted from 0 to {last}, and there is no shard {index}"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.index, self.shards)
    }
}

impl Choice {
    /// Parses `I/N`, with I from 0 to N-1, or `ordinal/N`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected I/N with I from 0 to N-1, as in 0/4, or ordinal/N with the number at the end of \
             this host's name for I"
                .to_owned()
        };
        let (index, shards) = text.split_once('/').ok_or_else(expected)?;
        let shards = shards.parse().ok().filter(|&shards| shards > 0).ok_or_else(expected)?;
        if index == "ordinal" {
            return Ok(Self::Ordinal { shards });
        }
        Shard::new(index.parse().map_err(|_| expected())?, shards).map(Self::Fixed)
    }

    /// The shard it means on the host of this name.
    ///
    /// Kubernetes calls the pods of a StatefulSet by its name, a hyphen and their ordinal; what follows
    /// the first dot, where there is any, is the same for all of them. The error says what is wrong with
    /// the name.
    pub fn on_host(self, host_name: &str) -> Result<Shard, String> {
        let shards = match self {
            Self::Fixed(shard) => return Ok(shard),
            Self::Ordinal { shards } => shards,
        };
        let label = host_name.split('.').next().unwrap_or_default();
        let digits = label.rsplit_once('-').map(|(_, last)| last);
        let digits = digits.filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        let digits = digits.ok_or_else(|| {
            format!(
                "this host is called {host_name:?}, which does not end with a hyphen and a number as \
                 the pods of a StatefulSet do (mxwatch-2); say which shard it is, as in 2/{shards}"
            )
        })?;
        let shard = digits.parse().map_err(|_| format!("there is no shard {digits}"));
        shard
            .and_then(|index| Shard::new(index, shards))
            .map_err(|why| format!("this host is called {host_name:?}: {why}"))
    }
}

/// Jump consistent hash (Lamping and Veach 2014, arXiv 1406.2294): a bucket from 0 to `buckets` - 1.
/// From N buckets to N + 1 only one key of N + 1 moves, and only into the new bucket.
fn jump(mut key: u64, buckets: u16) -> u16 {
    let (mut bucket, mut next) = (0, 0.0);
    while next < f64::from(buckets) {
        bucket = whole(next);
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // At most 2³¹, so that nothing is lost.
        let divisor = f64::from(u32::try_from(key >> 33).unwrap_or(u32::MAX)) + 1.0;
        next = ((f64::from(bucket) + 1.0) * (f64::from(1_u32 << 31) / divisor)).trunc();
    }
    bucket
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole, not negative and less than the number of buckets"
)]
const fn whole(number: f64) -> u16 {
    number as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn destination(text: &str) -> Destination {
        Destination::parse(text).unwrap()
    }

    fn shard(index: u16, shards: u16) -> Shard {
        Shard::new(index, shards).unwrap()
    }

    fn index(destination: &Destination, shards: u16) -> u16 {
        shard(0, shards).of(destination).index()
    }

    #[test]
    fn jump_is_the_function_of_the_paper() {
        // Values that implementations in other languages test themselves with.
        for (key, buckets, bucket) in [
            (1, 1, 0),
            (42, 57, 43),
            (0xDEAD_10CC, 1, 0),
            (0xDEAD_10CC, 666, 361),
            (256, 1024, 520),
        ] {
            assert_eq!(jump(key, buckets), bucket, "{key} {buckets}");
        }
    }

    #[test]
    fn where_a_destination_belongs_never_changes() {
        for (name, want) in [
            ("example.com", [1, 2, 2, 2, 2, 974]),
            ("EXAMPLE.NET.", [0, 0, 3, 4, 12, 612]),
            ("example.org", [1, 1, 1, 1, 14, 380]),
            ("münchen.example", [0, 2, 3, 4, 4, 429]),
            ("relay.example.net:587", [1, 1, 3, 3, 7, 365]),
            ("[2001:DB8:0::1]:25", [0, 2, 2, 2, 8, 283]),
        ] {
            let found = [2, 3, 4, 5, 16, 1000].map(|shards| index(&destination(name), shards));
            assert_eq!(found, want, "{name}");
        }
    }

    #[test]
    fn the_shares_are_alike() {
        for shards in [2, 3, 4, 7, 10] {
            let mut counts = vec![0_u32; usize::from(shards)];
            for n in 0..10_000 {
                let name = destination(&format!("domain{n}.example.com"));
                counts[usize::from(index(&name, shards))] += 1;
            }
            let fair = 10_000 / u32::from(shards);
            // Five standard deviations of the largest share there is.
            let near = |count: &u32| count.abs_diff(fair) < 5 * (fair.isqrt() + 1);
            assert!(counts.iter().all(near), "{shards}: {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn exactly_one_shard_watches_a_destination(
            name in "[a-z0-9]{1,20}\\.(test|example\\.com)", shards in 1..200_u16,
        ) {
            let name = destination(&name);
            let watching = (0..shards).filter(|&index| shard(index, shards).watches(&name));
            prop_assert_eq!(watching.collect::<Vec<_>>(), vec![index(&name, shards)]);
        }

        #[test]
        fn with_one_more_a_destination_stays_or_goes_to_the_new_one(
            name in "[a-z0-9]{1,20}\\.test", shards in 1..2000_u16,
        ) {
            let name = destination(&name);
            let (before, after) = (index(&name, shards), index(&name, shards + 1));
            prop_assert!(after == before || after == shards, "{before} {after}");
        }

        #[test]
        fn every_key_has_a_bucket(key: u64, buckets in 1..=u16::MAX) {
            prop_assert!(jump(key, buckets) < buckets);
        }

        #[test]
        fn what_is_typed_is_taken_or_refused(text in "\\PC{0,12}", host in "\\PC{0,12}") {
            if let Ok(choice) = Choice::parse(&text) {
                let _ = choice.on_host(&host);
            }
        }
    }

    #[test]
    fn no_more_move_than_the_new_one_needs() {
        let names: Vec<_> = (0..12_000).map(|n| destination(&format!("d{n}.test"))).collect();
        let moved = names.iter().filter(|name| index(name, 3) != index(name, 4)).count();
        assert!((2_800..3_200).contains(&moved), "{moved} of 12000, a quarter is 3000");
    }

    #[test]
    fn a_shard_is_counted_from_zero() {
        assert_eq!(Choice::parse("0/1"), Ok(Choice::Fixed(shard(0, 1))));
        assert_eq!(Choice::parse("3/4"), Ok(Choice::Fixed(shard(3, 4))));
        assert_eq!(Choice::parse("ordinal/4"), Ok(Choice::Ordinal { shards: 4 }));
        let no_such = "4 shards are counted from 0 to 3, and there is no shard 4";
        assert_eq!(Choice::parse("4/4"), Err(no_such.to_owned()));
        for wrong in
            ["", "1", "/", "1/", "/4", "0/0", "-1/4", "1/4/5", "ordinal", "ordinal/0", "1/65536"]
        {
            let why = Choice::parse(wrong).unwrap_err();
            assert!(why.starts_with("expected I/N"), "{wrong}: {why}");
        }
    }

    #[test]
    fn the_ordinal_is_that_of_a_pod() {
        let ordinal = Choice::parse("ordinal/12").unwrap();
        for (host, index) in [
            ("mxwatch-2", 2),
            ("mxwatch-11", 11),
            ("mx-watch-0.mxwatch-3.mail.svc.cluster.local", 0),
        ] {
            assert_eq!(ordinal.on_host(host), Ok(shard(index, 12)), "{host}");
        }
        for host in ["", "mxwatch", "mx3", "mxwatch-", "mxwatch-3a", "mxwatch-7d9f8b6c5-2x4kz"] {
            let why = ordinal.on_host(host).unwrap_err();
            assert!(why.contains("does not end with a hyphen and a number"), "{host}: {why}");
        }
        for host in ["mxwatch-12", "mxwatch-99999999999999999999"] {
            let why = ordinal.on_host(host).unwrap_err();
            assert!(why.contains("there is no shard"), "{host}: {why}");
        }
        assert_eq!(Choice::parse("1/12").unwrap().on_host("mxwatch-2"), Ok(shard(1, 12)));
    }
}
