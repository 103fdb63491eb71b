//! A client of the proxy, and the relevant parts of its responses.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use equipoise::service::BoxError;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

use crate::proxy::{ATTEMPTS, SERVED_BY};

/// A client that keeps its connection; the caller handles cookies.
pub(crate) struct Visitor {
    client: Client<HttpConnector, Empty<Bytes>>,
    proxy: SocketAddr,
}

/// A response that arrived completely.
#[derive(Debug)]
pub(crate) struct FullResponse {
    pub(crate) member: String,
    pub(crate) attempts: u32,
    /// `name=value`, as the client presents it, if it was set.
    pub(crate) cookie: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    pub(crate) at: Instant,
}

impl Visitor {
    pub(crate) fn new(proxy: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, proxy }
    }

    /// Sends a request for `path`. A response that is incomplete or has a status other than
    /// 200 is an error.
    pub(crate) async fn get(
        &self,
        path: &str,
        cookie: Option<&str>,
    ) -> Result<FullResponse, BoxError> {
        let mut request = Request::get(format!("http://{}{path}", self.proxy));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let started = Instant::now();
        let response = self.client.request(request.body(Empty::new())?).await?;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes().len();
        if head.status != StatusCode::OK {
            return Err(format!("status {}", head.status).into());
        }
        Ok(FullResponse {
            member: text(&head.headers, SERVED_BY).unwrap_or("no member").into(),
            attempts: text(&head.headers, ATTEMPTS).unwrap_or("0").parse()?,
            cookie: text(&head.headers, SET_COOKIE.as_str())
                .and_then(|cookie| cookie.split(';').next())
                .map(str::to_owned),
            bytes: bytes as u64,
            took: started.elapsed(),
            at: Instant::now(),
        })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
