//! The servers behind the proxies, all in one process; one of them alone is "direct".

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use equipoise::service::BoxError;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::side_by_side::program::listen_on;

/// In each answer: which of the servers it came from.
pub(crate) const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

static SMALL: [u8; 100] = [b's'; 100];
static MEDIUM: [u8; 10_000] = [b'm'; 10_000];
static LARGE: [u8; 1_000_000] = [b'l'; 1_000_000];

/// Serves all addresses until the process ends.
pub(crate) async fn serve(addresses: &[SocketAddr]) -> Result<(), BoxError> {
    let mut serving = tokio::task::JoinSet::new();
    for &address in addresses {
        let name = HeaderValue::from(address.port());
        serving.spawn(accept(listen_on(address)?, name));
    }
    while let Some(ended) = serving.join_next().await {
        ended??;
    }
    Ok(())
}

async fn accept(listener: TcpListener, name: HeaderValue) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let name = name.clone();
        tokio::spawn(async move {
            let answer = service_fn(|mut request: Request<Incoming>| {
                let name = name.clone();
                async move {
                    let body = request.body_mut();
                    while !body.is_end_stream() && body.frame().await.is_some() {}
                    Ok::<_, Infallible>(answer(&request, name))
                }
            });
            // A client that went away is none of our errors.
            if speaks_2(&stream).await {
                let server = http2::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), answer).await);
            } else {
                let server = http1::Builder::new();
                drop(server.serve_connection(TokioIo::new(stream), answer).await);
            }
        });
    }
}

/// The first bytes tell: `PRI` is no method of HTTP/1.1.
async fn speaks_2(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    stream.peek(&mut first).await.is_ok() && first == *b"PRI"
}

fn answer(request: &Request<Incoming>, name: HeaderValue) -> Response<Full<Bytes>> {
    let body: &'static [u8] = match request.uri().path() {
        "/1m" => &LARGE,
        "/10k" => &MEDIUM,
        _ => &SMALL,
    };
    let mut answer = Response::new(Full::new(Bytes::from_static(body)));
    let headers = answer.headers_mut();
    let bytes = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, bytes);
    headers.insert(SERVED_BY, name);
    answer
}
