//! An SMTP server with STARTTLS at every loopback address, for the bench alone: `src/world` speaks no TLS.
//!
//! Each exchanger has a certificate for its address. Between it and the authority stands an intermediate
//! one, so that there is a chain to be checked. The authority is written to a file for clients to trust.

use std::{path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

use crate::{fail, world};

/// Where the authority's certificate is, of the server that runs as this process.
pub(crate) fn authority_of(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("mxwatch-bench-{port}.pem"))
}

/// Serves so many exchangers; the port.
pub(crate) fn start(exchangers: usize) -> u16 {
    let listener = mxwatch::world::listen_on_loopback(0).and_then(TcpListener::from_std);
    let listener = listener.unwrap_or_else(|error| fail(&error.to_string()));
    let port = listener.local_addr().map_or(0, |address| address.port());
    let (acceptors, authority) =
        acceptors(exchangers).unwrap_or_else(|error| fail(&error.to_string()));
    let written = std::fs::write(authority_of(port), authority);
    written.unwrap_or_else(|error| fail(&error.to_string()));
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let called = stream.local_addr().ok().and_then(|own| world::number_of(own.ip()));
            let Some(acceptor) = called.and_then(|number| acceptors.get(number)).cloned() else {
                continue;
            };
            // A client that goes away is no concern of the server's.
            tokio::spawn(async move { drop(serve(stream, acceptor).await) });
        }
    });
    port
}

/// One for each exchanger, and the authority's certificate.
fn acceptors(exchangers: usize) -> Result<(Vec<TlsAcceptor>, String), rcgen::Error> {
    let authority = |name: &str| {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok::<_, rcgen::Error>((params, KeyPair::generate()?))
    };
    let (params, key) = authority("bench root")?;
    let root = CertifiedIssuer::self_signed(params, key)?;
    let (params, key) = authority("bench intermediate")?;
    let intermediate = CertifiedIssuer::signed_by(params, key, &root)?;
    let acceptor = |number| {
        let key = KeyPair::generate()?;
        let address = world::address(number).to_string();
        let leaf = CertificateParams::new([address])?.signed_by(&key, &intermediate)?;
        let chain = vec![leaf.der().clone(), intermediate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let config = config.unwrap_or_else(|error| fail(&error.to_string()));
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    let acceptors = (0..exchangers).map(acceptor).collect::<Result<_, rcgen::Error>>()?;
    Ok((acceptors, root.pem()))
}

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 mx.example.test ESMTP\r\n").await?;
    line(&mut stream).await?;
    stream.write_all(b"250-mx.example.test\r\n250-SIZE 10240000\r\n250 STARTTLS\r\n").await?;
    line(&mut stream).await?;
    stream.write_all(b"220 2.0.0 Ready to start TLS\r\n").await?;
    let mut stream = acceptor.accept(stream).await?;
    line(&mut stream).await?;
    stream.write_all(b"250-mx.example.test\r\n250 SIZE 10240000\r\n").await?;
    line(&mut stream).await?;
    stream.write_all(b"221 2.0.0 Bye\r\n").await?;
    stream.shutdown().await
}

/// Reads one line; nobody sends more than one at a time.
async fn line(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length if buffer[..length].ends_with(b"\n") => return Ok(()),
            _ => {}
        }
    }
}
