//! Real servers for the tests: each is started on loopback at a free port in a directory of its
//! own, waited for, and ended by its process id.

pub(crate) mod alertmanager;
pub(crate) mod bind;
pub(crate) mod certificates;
pub(crate) mod check;
pub(crate) mod curl;
pub(crate) mod dnsdist;
pub(crate) mod dovecot_auth;
pub(crate) mod http;
pub(crate) mod openssl;
pub(crate) mod own_network;
pub(crate) mod own_systemd;
pub(crate) mod postfix;
pub(crate) mod postfix_master;
pub(crate) mod postfix_sender;
pub(crate) mod posttls_finger;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod signing;
pub(crate) mod starttls;
pub(crate) mod unbound;
pub(crate) mod webhook;
