//! How a sending MTA behaves, as parameters: which families, what a failed lookup or stage does,
//! how long it waits, when it tries again.
//!
//! A sender is data. No program's name stands in the code that judges; what tells two senders
//! apart is one of the values here, and their rows are in `senders.toml`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::facts::Family;

/// Declares [`Behaviour`], and with the same line the parameter's key and its meaning.
macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty => $variant:ident,)+) => {
        /// All parameters of a sender. Keys in the configuration are the names of these fields.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Behaviour {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// The name of one field of [`Behaviour`].
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[expect(missing_docs, reason = "the fields of `Behaviour` say it")]
        pub enum Parameter {
            $($variant,)+
        }

        impl Parameter {
            /// Every parameter, in the order they matter on the way of a message.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The key in the configuration.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)+
                }
            }

            /// What it means, with its values.
            pub fn meaning(self) -> String {
                let lines: &[&str] = match self {
                    $(Self::$variant => &[$($doc,)+],)+
                };
                lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }
        }

        impl Behaviour {
            /// Puts another value in; the error says what is expected.
            pub fn set(
                &mut self,
                parameter: Parameter,
                value: serde_json::Value,
            ) -> Result<(), String> {
                match parameter {
                    $(Parameter::$variant => {
                        self.$field = read(value)?;
                    })+
                }
                Ok(())
            }

            /// A value as it stands in the configuration.
            pub fn get(&self, parameter: Parameter) -> serde_json::Value {
                let value = match parameter {
                    $(Parameter::$variant => serde_json::to_value(&self.$field),)+
                };
                // Every type here is a text, a number, a boolean or a list of those.
                value.unwrap_or_default()
            }

            /// From all parameters at once; the error names what is missing or wrong.
            pub(super) fn complete(
                mut values: serde_json::Map<String, serde_json::Value>,
            ) -> Result<Self, String> {
                Ok(Self {
                    $($field: {
                        let key = stringify!($field);
                        let value = values.remove(key).ok_or_else(|| format!("{key} is missing"))?;
                        read(value).map_err(|error| format!("{key}: {error}"))?
                    },)+
                })
            }
        }
    };
}

parameters! {
    /// Families it uses, such as `["ipv6", "ipv4"]`.
    families: Vec<Family> => Families,
    /// Which of them comes first: `ipv6_first`, `ipv4_first` or `any`.
    family_order: FamilyOrder => FamilyOrder,
    /// When exchangers are looked up: all at once (`eager`) or each in its turn (`lazy`).
    resolve: Resolve => Resolve,
    /// A and AAAA of one host at the same time (`parallel`) or one after the other (`serial`).
    query: Query => Query,
    /// The host cannot be used when its AAAA lookup fails, A or not.
    aaaa_temp_fatal: bool => AaaaTempFatal,
    /// The host cannot be used when its A lookup fails, AAAA or not.
    a_temp_fatal: bool => ATempFatal,
    /// A failed AAAA lookup is a reason to wait; otherwise it counts as no address.
    aaaa_temp_counts: bool => AaaaTempCounts,
    /// FORMERR from an address lookup is a failure that may pass; otherwise it counts as no address.
    host_formerr_temp: bool => HostFormerrTemp,
    /// NXDOMAIN for AAAA hides A records too.
    aaaa_nx_poisons: bool => AaaaNxPoisons,
    /// IPv4 of a host that has IPv6: `always`, `if_ipv6_fails` (looked up and tried only then) or
    /// `never`.
    ipv4_beside_ipv6: Ipv4BesideIpv6 => Ipv4BesideIpv6,
    /// What a host with failed lookups holds up: only itself (`skip_host`), every exchanger of its
    /// preference or worse (`drop_ge_pref`), or the message (`defer_domain`).
    host_temp_scope: HostTempScope => HostTempScope,
    /// Time a DNS lookup without answer takes.
    dns_timeout: Span => DnsTimeout,
    /// The most that the address lookups of one attempt take together; `"0s"` for no limit.
    dns_cap: Span => DnsCap,
    /// How often an address lookup without answer is repeated, the first time counted.
    addr_dns_factor: u32 => AddrDnsFactor,
    /// Least time spent once an address lookup has failed; `"0s"` for none.
    dns_temp_wait: Span => DnsTempWait,
    /// The domain does not exist: `bounce`, `defer`, or look for addresses all the same
    /// (`implicit`).
    mx_nxdomain: NoMx => MxNxdomain,
    /// The MX lookup is refused or not implemented: `bounce`, `defer` or `implicit`.
    mx_refused: NoMx => MxRefused,
    /// The MX lookup gets FORMERR, which glibc calls final: `bounce`, `defer` or `implicit`.
    mx_formerr: NoMx => MxFormerr,
    /// A null MX (RFC 7505): `bounce` or `defer`.
    null_mx: End => NullMx,
    /// A null MX beside others: `bounce` or `ignore`.
    null_mx_mixed: NullMxMixed => NullMxMixed,
    /// No exchanger has an address: `bounce` or `defer`.
    no_addr_perm: End => NoAddrPerm,
    /// An MX target that spells an address, without brackets: connect to it (`address`) or take it for a host without
    /// address (`bounce`).
    mx_literal: MxLiteral => MxLiteral,
    /// The sender is the best exchanger itself: `bounce`, `defer` or `freeze`.
    mx_self: MxSelf => MxSelf,
    /// How it knows itself among the exchangers: by `name` or by `address`.
    self_match: SelfMatch => SelfMatch,
    /// Targets in 127.0.0.0/8 do not exist.
    ignore_loopback: bool => IgnoreLoopback,
    /// Time after which the operating system gives up a connection.
    os_connect_timeout: Span => OsConnectTimeout,
    /// Time after which the sender does; `"0s"` leaves it to the operating system.
    connect_timeout: Span => ConnectTimeout,
    /// Patience for the banner.
    banner_timeout: Span => BannerTimeout,
    /// Patience for the reply to EHLO, HELO, MAIL and RCPT.
    command_timeout: Span => CommandTimeout,
    /// Patience for STARTTLS and the handshake.
    tls_timeout: Span => TlsTimeout,
    /// Addresses tried in one attempt; 0 for no limit.
    max_addrs: u32 => MaxAddrs,
    /// Sessions that get past EHLO and TLS in one attempt; 0 for no limit.
    max_sessions: u32 => MaxSessions,
    /// Within `max_addrs` neither family crowds the other out.
    balance_families: bool => BalanceFamilies,
    /// The last address that `max_addrs` allows counts as the last there is.
    limit_is_final: bool => LimitIsFinal,
    /// Beyond `max_addrs` one address of every worse preference is still tried.
    limit_skips_to_higher_mx: bool => LimitSkipsToHigherMx,
    /// Addresses are shuffled before `max_addrs` applies.
    shuffle_addrs: bool => ShuffleAddrs,
    /// Time after which the next address of the same preference is tried beside one that hangs;
    /// `"0s"` for one after the other.
    parallel_after: Span => ParallelAfter,
    /// Least time until it gives up when the network or a greeting failed; `"0s"` for none.
    give_up_wait: Span => GiveUpWait,
    /// No connection: `next_addr`, `next_host`, `defer` or `bounce`.
    on_connect_fail: Step => OnConnectFail,
    /// A connection and no banner: `next_addr`, `next_host`, `defer` or `bounce`.
    on_no_banner: Step => OnNoBanner,
    /// The connection ends before a banner, or what comes is none: a step as above.
    on_closed: Step => OnClosed,
    /// The connection is lost, or a reply does not come, after the banner: a step as above.
    on_lost: Step => OnLost,
    /// A 4yz banner: a step as above.
    banner_4xx: Step => Banner4xx,
    /// A 5yz banner with others left to try: a step as above.
    banner_5xx_nonfinal: Step => Banner5xxNonfinal,
    /// A 5yz banner at the last one: a step as above.
    banner_5xx_final: Step => Banner5xxFinal,
    /// EHLO refused with 4yz other than 421: try HELO (`helo`) or go on (`next_host`).
    ehlo_4xx: Ehlo4xx => Ehlo4xx,
    /// HELO refused with 5yz with others left to try: a step as above.
    helo_5xx_nonfinal: Step => Helo5xxNonfinal,
    /// HELO refused with 5yz at the last one: a step as above.
    helo_5xx_final: Step => Helo5xxFinal,
    /// MAIL or RCPT refused with 4yz: a step as above.
    rcpt_4xx: Step => Rcpt4xx,
    /// MAIL or RCPT refused with 5yz: `bounce` or `defer`.
    rcpt_5xx: End => Rcpt5xx,
    /// RCPT refused with 552 (RFC 5321 §4.5.3.1.10 calls it temporary): `bounce` or `defer`.
    rcpt_552: End => Rcpt552,
    /// After a 4yz to RCPT a later refusal of the session does not bounce.
    rcpt_4xx_sticky: bool => Rcpt4xxSticky,
    /// TLS: `none`, where offered (`may`), or always (`encrypt`).
    tls: Tls => Tls,
    /// STARTTLS refused: go on in plain text (`plain`) or a step as above.
    starttls_reject: StarttlsReject => StarttlsReject,
    /// The TLS handshake failed and plain text is no way out: a step as above.
    tls_fail: Step => TlsFail,
    /// Plain text after a failed handshake: `never`, at once (`now`) or once the message has waited
    /// (`if_age`).
    plain_fallback: PlainFallback => PlainFallback,
    /// The age of a message at which `if_age` allows plain text.
    plain_min_age: Span => PlainMinAge,
    /// DANE (RFC 7672) is asked for.
    dane: bool => Dane,
    /// MTA-STS (RFC 8461) is asked for.
    mta_sts: bool => MtaSts,
    /// Pauses between attempts, the first ones.
    retry: Vec<Span> => Retry,
    /// The pause after those, for ever.
    retry_last: Span => RetryLast,
    /// Age at which a message is returned as undeliverable.
    expire: Span => Expire,
}

fn read<T: Written>(value: serde_json::Value) -> Result<T, String> {
    let shown = value.to_string();
    serde_json::from_value(value).map_err(|error| match T::EXPECTED {
        Some(expected) => format!("expected {expected}, found {shown}"),
        None => error.to_string(),
    })
}

/// How a value is written, in the words of a message; `None` where serde finds the right ones.
trait Written: serde::de::DeserializeOwned {
    const EXPECTED: Option<&'static str> = None;
}

impl Written for bool {
    const EXPECTED: Option<&'static str> = Some("true or false");
}

impl Written for u32 {
    const EXPECTED: Option<&'static str> = Some("a whole number");
}

impl Written for Vec<Family> {
    const EXPECTED: Option<&'static str> = Some("a list such as [\"ipv6\", \"ipv4\"]");
}

impl Written for Vec<Span> {
    const EXPECTED: Option<&'static str> = Some("a list of durations such as [\"5m\", \"10m\"]");
}

impl Written for Span {}

impl Behaviour {
    /// Time a connection attempt without answer takes.
    pub fn connect_patience(&self) -> Duration {
        match self.connect_timeout.0 {
            Duration::ZERO => self.os_connect_timeout.0,
            own => own.min(self.os_connect_timeout.0),
        }
    }
}

/// A duration, written as people write it: `"5m"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

impl Span {
    /// `None` where zero stands for "no such limit".
    pub fn limit(self) -> Option<Duration> {
        Some(self.0).filter(|limit| !limit.is_zero())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let wanted = |found: &dyn fmt::Display| {
            D::Error::custom(format!("expected a duration such as \"5m\", found {found}"))
        };
        let text = value.as_str().ok_or_else(|| wanted(&value))?;
        let span = humantime::parse_duration(text).map_err(|_| wanted(&value))?;
        if span > LONGEST {
            return Err(D::Error::custom("must be at most 1year"));
        }
        // What is observed is compared from round to round in whole seconds.
        if span.subsec_nanos() > 0 {
            return Err(D::Error::custom("must be whole seconds"));
        }
        Ok(Self(span))
    }
}

/// Longer than any queue lives.
const LONGEST: Duration = Duration::from_secs(31_557_600);

/// Declares an enum whose values are written in snake_case.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Written for $name {}
    };
}

choice! {
    /// How an attempt ends when it ends.
    End {
        /// The message is returned.
        Bounce,
        /// The message waits.
        Defer,
    }
}

choice! {
    /// What a failed stage leads to.
    Step {
        /// The message is returned.
        Bounce,
        /// The message waits, whoever else could be tried.
        Defer,
        /// The next address, of this host or another.
        NextAddr,
        /// The next host.
        NextHost,
    }
}

/// `family_order`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum FamilyOrder {
    /// Either, at random.
    #[serde(rename = "any")]
    Any,
    /// IPv4 before IPv6.
    #[serde(rename = "ipv4_first")]
    Ipv4First,
    /// IPv6 before IPv4.
    #[serde(rename = "ipv6_first")]
    Ipv6First,
}

choice! {
    /// `resolve`.
    Resolve {
        /// All hosts before the first connection.
        Eager,
        /// Each host in its turn.
        Lazy,
    }
}

choice! {
    /// `query`.
    Query {
        /// Both types at once.
        Parallel,
        /// One after the other.
        Serial,
    }
}

impl Written for FamilyOrder {}
impl Written for Ipv4BesideIpv6 {}

/// `ipv4_beside_ipv6`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Ipv4BesideIpv6 {
    /// Both are used.
    #[serde(rename = "always")]
    Always,
    /// IPv4 is looked up once every IPv6 address has failed.
    #[serde(rename = "if_ipv6_fails")]
    IfIpv6Fails,
    /// IPv4 is not used.
    #[serde(rename = "never")]
    Never,
}

choice! {
    /// `host_temp_scope`.
    HostTempScope {
        /// The message waits.
        DeferDomain,
        /// Exchangers of the same or a worse preference are left out.
        DropGePref,
        /// The host is left out.
        SkipHost,
    }
}

choice! {
    /// What is done when the answer about MX is none.
    NoMx {
        /// The message is returned.
        Bounce,
        /// The message waits.
        Defer,
        /// The domain is taken for its own exchanger.
        Implicit,
    }
}

choice! {
    /// `null_mx_mixed`.
    NullMxMixed {
        /// The message is returned.
        Bounce,
        /// The others are used.
        Ignore,
    }
}

choice! {
    /// `mx_literal`.
    MxLiteral {
        /// It is an address.
        Address,
        /// It is a host that does not exist.
        Bounce,
    }
}

choice! {
    /// `mx_self`.
    MxSelf {
        /// The message is returned.
        Bounce,
        /// The message waits.
        Defer,
        /// The message is set aside for an admin.
        Freeze,
    }
}

choice! {
    /// `self_match`.
    SelfMatch {
        /// By the addresses of the exchanger.
        Address,
        /// By the name of the exchanger.
        Name,
    }
}

choice! {
    /// `ehlo_4xx`.
    Ehlo4xx {
        /// HELO is tried.
        Helo,
        /// The next host is.
        NextHost,
    }
}

choice! {
    /// `tls`.
    Tls {
        /// Always, or no delivery.
        Encrypt,
        /// Where it is offered.
        May,
        /// Never.
        None,
    }
}

choice! {
    /// `starttls_reject`.
    StarttlsReject {
        /// The message is returned.
        Bounce,
        /// The message waits.
        Defer,
        /// The next address.
        NextAddr,
        /// The next host.
        NextHost,
        /// Without TLS in the same session.
        Plain,
    }
}

choice! {
    /// `plain_fallback`.
    PlainFallback {
        /// Once the message has waited `plain_min_age`.
        IfAge,
        /// Never.
        Never,
        /// At once, in a new connection.
        Now,
    }
}
