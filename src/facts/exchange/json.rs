//! How an exchange is written: all that is known of it side by side, without what there is nothing of.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize, Serializer};

use super::{Elapsed, Exchange, ExtendedError, Further, LookupStatus, Record, Transport};
use crate::facts::{is_false, seconds};

/// The fields in their order.
#[expect(clippy::struct_excessive_bools, reason = "the header of a DNS message is made of bits")]
#[derive(Deserialize, Serialize)]
pub(super) struct Json<'a> {
    server: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_name: Option<Arc<str>>,
    transport: Transport,
    status: LookupStatus,
    #[serde(rename = "duration_seconds")]
    duration: Elapsed,
    #[serde(default)]
    answers: u16,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    records: Cow<'a, [Record]>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ttl_seconds")]
    ttl: Option<u32>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    cname_chain: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "is_false")]
    authentic_data: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    authoritative: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    truncated: bool,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "late_seconds",
        with = "seconds::optional"
    )]
    late: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_false")]
    checking_disabled: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    inquiry: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    lame: bool,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    stray_addresses: Cow<'a, [IpAddr]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    extended_errors: Cow<'a, [ExtendedError]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

impl From<Json<'_>> for Exchange {
    fn from(json: Json<'_>) -> Self {
        let further = Further {
            server_name: json.server_name,
            cname_chain: json.cname_chain.into_owned(),
            late: json.late,
            stray_addresses: json.stray_addresses.into_owned(),
            extended_errors: json.extended_errors.into_owned(),
            error: json.error.map(Box::from),
        };
        Self {
            server: json.server,
            transport: json.transport,
            status: json.status,
            duration: json.duration,
            answers: json.answers,
            records: json.records.into_owned().into(),
            ttl: json.ttl,
            authentic_data: json.authentic_data,
            authoritative: json.authoritative,
            truncated: json.truncated,
            checking_disabled: json.checking_disabled,
            inquiry: json.inquiry,
            lame: json.lame,
            further: further.into(),
        }
    }
}

impl Serialize for Exchange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Further { server_name, cname_chain, late, stray_addresses, extended_errors, error } =
            &*self.further;
        let json = Json {
            server: self.server,
            server_name: server_name.clone(),
            transport: self.transport,
            status: self.status,
            duration: self.duration,
            answers: self.answers,
            records: Cow::Borrowed(&self.records),
            ttl: self.ttl,
            cname_chain: Cow::Borrowed(cname_chain),
            authentic_data: self.authentic_data,
            authoritative: self.authoritative,
            truncated: self.truncated,
            late: *late,
            checking_disabled: self.checking_disabled,
            inquiry: self.inquiry,
            lame: self.lame,
            stray_addresses: Cow::Borrowed(stray_addresses),
            extended_errors: Cow::Borrowed(extended_errors),
            error: error.as_deref().map(Cow::Borrowed),
        };
        json.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Exchange;

    #[test]
    fn an_exchange_is_written_as_it_was_read() {
        let plain = r#"{"server":"192.0.2.53:53","transport":"udp","status":"noerror","duration_seconds":0.012,"answers":1,"records":[{"address":"192.0.2.1"}],"ttl_seconds":300}"#;
        let nothing = r#"{"server":"[2001:db8::53]:853","transport":"tls","status":"timeout","duration_seconds":5.0,"answers":0}"#;
        let all = r#"{"server":"192.0.2.53:53","server_name":"ns1.example.com","transport":"tcp","status":"nodata","duration_seconds":0.5,"answers":1,"records":[{"mx":{"preference":10,"exchanger":"mx.example.com"}}],"ttl_seconds":60,"cname_chain":["a.example.com","b.example.com"],"authentic_data":true,"authoritative":true,"truncated":true,"late_seconds":6.5,"checking_disabled":true,"inquiry":true,"lame":true,"stray_addresses":["192.0.2.9","2001:db8::9"],"extended_errors":[{"code":7},{"code":22,"text":"no"}],"error":"the connection is refused"}"#;
        for json in [plain, nothing, all] {
            let exchange: Exchange = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&exchange).unwrap(), json);
        }
    }
}
