//! `tls_server_config`: the certificate that is shown, and how TLS is spoken.

use std::sync::Arc;

use tokio_rustls::rustls::{
    Error, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{Noted, client, files::Files, suites, text};
use crate::config::{
    pem,
    table::{Node, Table},
};

/// Reads the section and the files it names; beside it stands whether clients are asked for a
/// certificate.
pub(super) fn read(
    table: &Table<'_>,
    files: &mut Files,
) -> Result<Option<(Arc<ServerConfig>, bool)>, Noted> {
    if table.entries().next().is_none() {
        return Ok(None);
    }
    // Each is read before the first mistake ends it, so that all are told at once.
    let certificate = present(table, "cert_file", pem_text(table, "cert", "cert_file", files));
    let key = present(table, "key_file", pem_text(table, "key", "key_file", files));
    let chain = chain(&certificate);
    let secret = private_key(&key);
    let algorithms = suites::read(table);
    let provider = algorithms.as_ref().map(|(_, provider)| provider.clone());
    let provider = Arc::new(provider.unwrap_or_else(|_| ring::default_provider()));
    let clients = client::read(table, files, &provider);
    let preference = table.given("prefer_server_cipher_suites").map(|node| node.boolean());

    let ((certificate, what, _), (key, key_what, _)) = (certificate?, key?);
    let (versions, _) = algorithms?;
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = match builder.with_protocol_versions(&versions) {
        Ok(builder) => builder,
        Err(error) => {
            table.node.refuse(format!("cannot be used: {error}"));
            return Err(Noted);
        }
    };
    let clients = clients?;
    let asks_clients = clients.is_some();
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    match builder.with_single_cert(chain?, secret?) {
        Ok(mut config) => {
            config.ignore_client_order = preference.flatten().unwrap_or(true);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Some((Arc::new(config), asks_clients)))
        }
        Err(Error::InconsistentKeys(_)) => {
            key.refuse(format!("{key_what} is not the key of the certificate"));
            Err(Noted)
        }
        Err(Error::InvalidCertificate(why)) => {
            certificate.refuse(format!("{what} cannot be used: {why}"));
            Err(Noted)
        }
        Err(error) => {
            key.refuse(format!("{key_what} cannot be used: {error}"));
            Err(Noted)
        }
    }
}

fn chain(pem: &Result<Pem<'_>, Noted>) -> Result<Vec<CertificateDer<'static>>, Noted> {
    let (node, what, pem) = pem.as_ref().map_err(|noted| *noted)?;
    pem::certificates(pem).map_err(|why| {
        node.refuse(format!("{what} {why}; name the PEM chain, the own certificate first"));
        Noted
    })
}

fn private_key(pem: &Result<Pem<'_>, Noted>) -> Result<PrivateKeyDer<'static>, Noted> {
    let (node, what, pem) = pem.as_ref().map_err(|noted| *noted)?;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        node.refuse(format!(
            "{what} holds no private key in PEM, or one that is encrypted; decrypt that with: \
             openssl pkey -in FILE -out NEW"
        ));
        Noted
    })
}

/// PEM and where it is from: the key of the configuration, what to call the text, the text.
pub(super) type Pem<'a> = (Node<'a>, String, String);

/// PEM that stands in the file itself or in another one, if in any.
pub(super) fn pem_text<'a>(
    table: &Table<'a>,
    inline: &str,
    file: &str,
    files: &mut Files,
) -> Result<Option<Pem<'a>>, Noted> {
    let written = text(table, inline, "a text in PEM");
    let Some((node, path)) = text(table, file, "a path such as \"server.crt\"") else {
        return Ok(written.map(|(node, pem)| (node, "this".to_owned(), pem)));
    };
    if let Some((node, _)) = written {
        node.warn(&format!("has no effect, for there is {file}"));
    }
    let path = node.directory().join(path);
    match files.read_text(&path) {
        Ok(pem) => Ok(Some((node, path.display().to_string(), pem))),
        Err(error) => {
            node.refuse(format!("{} {error}", path.display()));
            Err(Noted)
        }
    }
}

/// Without its certificate there would be no TLS, and what is secret could be read on the way.
fn present<'a>(
    table: &Table<'a>,
    name: &str,
    pem: Result<Option<Pem<'a>>, Noted>,
) -> Result<Pem<'a>, Noted> {
    let pem = pem?;
    if pem.is_none() {
        table.missing(
            name,
            "missing; TLS needs cert_file and key_file. For plain HTTP remove the whole section",
        );
    }
    pem.ok_or(Noted)
}
