//! Clients: one connection each, HTTP/1.1 or HTTP/2 with prior knowledge, or bytes as they
//! are.

use std::net::SocketAddr;

use http::header::HOST;
use http::request::Builder;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::member::{AnyBody, empty};

/// Whom clients ask for.
pub(crate) const HERE: &str = "www.example.com";

pub(crate) fn asking(method: &str, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, HERE)
}

pub(crate) fn get(path: &str) -> Request<AnyBody> {
    asking("GET", path).body(empty()).unwrap()
}

/// A connection to the server that is tested.
#[derive(Debug)]
pub(crate) enum Client {
    One(http1::SendRequest<AnyBody>),
    Two(http2::SendRequest<AnyBody>),
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, version).await
    }

    pub(crate) async fn over<S>(stream: S, version: Version) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let handshake = http2::handshake(TokioExecutor::new(), io).await;
            let (sender, connection) = handshake.unwrap();
            tokio::spawn(connection);
            return Self::Two(sender);
        }
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self::One(sender)
    }

    /// Sends a request, and waits for the head of the answer.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<AnyBody>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                let host = request.headers_mut().remove(HOST).unwrap();
                let host = host.to_str().unwrap();
                let uri = format!("http://{host}{}", request.uri());
                *request.uri_mut() = uri.parse::<Uri>().unwrap();
                *request.version_mut() = Version::HTTP_2;
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: Request<AnyBody>) -> Answer {
        Answer::of(self.send(request).await.unwrap()).await
    }

    /// Resolves once the other side has closed the connection.
    pub(crate) async fn closed(&mut self) {
        match self {
            Self::One(sender) => while sender.ready().await.is_ok() {},
            Self::Two(sender) => {
                while sender.ready().await.is_ok() {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Asks on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: Request<AnyBody>) -> Answer {
    let mut client = Client::connect(address, Version::HTTP_11).await;
    client.ask(request).await
}

/// All of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        Self {
            status: head.status.as_u16(),
            version: head.version,
            headers: head.headers,
            text: String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            trailers,
        }
    }

    /// What a member that tells what it was asked has seen of a header.
    pub(crate) fn told(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().take_while(|line| !line.is_empty());
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends bytes, and reads what comes until the other side closes.
pub(crate) async fn bytes(address: SocketAddr, sent: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever refuses may have closed before the last byte.
    let _ = stream.write_all(sent.as_ref()).await;
    rest(&mut stream).await
}

/// Reads what comes until the other side closes, in whatever manner.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        read.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&read).into_owned()
}
