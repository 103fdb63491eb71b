//! Members that speak TLS: which HTTP they agree to, and whose certificates they demand,
//! is the test's affair.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use equipoise::proxy::{Endpoint, EndpointBuilder};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, Issued};

/// A server that dies when it is dropped.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Member {
    /// One that speaks either HTTP, and takes anybody.
    pub(crate) async fn start(identity: &Issued) -> Self {
        Self::speaking(identity, &["h2", "http/1.1"], None).await
    }

    /// One that agrees to these protocols, and demands certificates of an authority.
    pub(crate) async fn speaking(
        identity: &Issued,
        protocols: &[&str],
        demands: Option<&Authority>,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match demands {
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let provider = default_provider().into();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(vec![identity.der()], identity.key_der());
        let mut config = config.unwrap();
        let protocols = protocols.iter().map(|it| it.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        Self::with(config).await
    }

    async fn with(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let kept = asked.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(speak(acceptor.clone(), stream, kept.clone()));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// The member by its address, or by `localhost`.
    pub(crate) fn endpoint(&self, host: &str) -> EndpointBuilder {
        let uri = format!("https://{host}:{}", self.address.port());
        Endpoint::builder(uri.parse().unwrap())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn speak(acceptor: TlsAcceptor, stream: TcpStream, asked: Arc<AtomicUsize>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let session = stream.get_ref().1;
    let name = session.server_name().unwrap_or("-").to_owned();
    let certificates = session.peer_certificates().map_or(0, <[_]>::len);
    let service = service_fn(move |request: Request<Incoming>| {
        asked.fetch_add(1, SeqCst);
        let told = format!("{:?} {name} {certificates}", request.version());
        async move { Ok::<_, Infallible>(answer(request, told).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let io = TokioIo::new(stream);
    // Who breaks off is the test's affair.
    let _ = server.serve_connection_with_upgrades(io, service).await;
}

/// Tells what is spoken, the name that was asked for, how many certificates there were,
/// and under what scheme the client came; then its body. A wish to switch is granted.
async fn answer(request: Request<Incoming>, told: String) -> Response<Full<Bytes>> {
    if let Some(protocol) = request.headers().get("upgrade").cloned() {
        tokio::spawn(echo(request));
        let switched = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", protocol);
        return switched.body(Full::default()).unwrap();
    }
    let (head, body) = request.into_parts();
    let scheme = head.headers.get("x-forwarded-proto");
    let scheme = scheme.map_or("-", |scheme| scheme.to_str().unwrap());
    let body = body.collect().await.unwrap().to_bytes();
    let body = std::str::from_utf8(&body).unwrap();
    Response::new(Full::from(format!("{told} {scheme} {body}")))
}

async fn echo(request: Request<Incoming>) {
    let mut io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
    let (mut reader, mut writer) = tokio::io::split(&mut io);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut writer).await;
}
