//! A client that speaks TLS by itself: it says what it wants, and sees what it got.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use equipoise::service::BoxError;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme, SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority::{Authority, Issued};

pub(crate) const ALL: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS12, &rustls::version::TLS13];

/// What a client of an authority wants. One that connects again resumes its session.
pub(crate) struct Client {
    config: ClientConfig,
}

impl Client {
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::with(authority, ALL, None)
    }

    pub(crate) fn with(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Issued>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(authority.roots());
        let config = match shown {
            Some(shown) => builder.with_client_auth_cert(vec![shown.der()], shown.key_der()),
            None => Ok(builder.with_no_client_auth()),
        };
        Self {
            config: config.unwrap(),
        }
    }

    pub(crate) fn speaking(mut self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|it| it.as_bytes().to_vec());
        self.config.alpn_protocols = protocols.collect();
        self
    }

    /// Whatever name it asks for, it wants this one in the certificate.
    pub(crate) fn wanting(mut self, authority: &Authority, name: &'static str) -> Self {
        let roots = Arc::new(authority.roots());
        let inner = WebPkiServerVerifier::builder_with_provider(roots, default_provider().into());
        let verifier = Wants {
            inner: inner.build().unwrap(),
            name: ServerName::try_from(name).unwrap(),
        };
        self.config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        self
    }

    /// Connects, and asks for a server of this name. An address is not asked for.
    pub(crate) async fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Connection> {
        self.over(TcpStream::connect(address).await?, name).await
    }

    /// The same over a connection that there is already.
    pub(crate) async fn over(&self, stream: TcpStream, name: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let stream = connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let spoken = session.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Connection {
            certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            version: session.protocol_version(),
            spoken: spoken.map(|spoken| String::from_utf8(spoken).unwrap()),
            stream,
        })
    }

    /// Connects, and asks once.
    ///
    /// Whoever is turned away over TLS 1.3 learns it after its handshake.
    pub(crate) async fn ask(&self, address: SocketAddr, name: &str) -> Result<String, BoxError> {
        Ok(self.connect(address, name).await?.ask().await?)
    }
}

/// A connection, and what was agreed on.
pub(crate) struct Connection {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) resumed: bool,
    pub(crate) spoken: Option<String>,
    pub(crate) version: Option<rustls::ProtocolVersion>,
    pub(crate) stream: TlsStream<TcpStream>,
}

impl Connection {
    /// Asks in the HTTP that was agreed on.
    pub(crate) async fn ask(self) -> hyper::Result<String> {
        match self.spoken.as_deref() {
            Some("h2") => self.ask_2().await,
            _ => self.into_http_1().await.ask().await,
        }
    }

    /// Asks in HTTP/2, agreed or not.
    pub(crate) async fn ask_2(self) -> hyper::Result<String> {
        let io = TokioIo::new(self.stream);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        let request = Request::get("https://www.example.com/");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = sender.send_request(request).await?;
        text(response).await
    }

    pub(crate) async fn into_http_1(self) -> Http1 {
        let io = TokioIo::new(self.stream);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Http1(sender)
    }
}

/// A connection that can be asked again.
pub(crate) struct Http1(http1::SendRequest<Full<Bytes>>);

impl Http1 {
    pub(crate) async fn ask(&mut self) -> hyper::Result<String> {
        let request = Request::get("/").header("host", "www.example.com");
        let request = request.body(Full::default()).unwrap();
        self.0.ready().await?;
        text(self.0.send_request(request).await?).await
    }
}

async fn text(response: Response<hyper::body::Incoming>) -> hyper::Result<String> {
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// Verifies as usual, but for the name.
#[derive(Debug)]
struct Wants {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Wants {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner
            .verify_server_cert(own, others, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
