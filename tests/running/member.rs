//! A member: it says what it was asked, and counts who connects.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A server that is gone once it is dropped.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

struct Shared {
    name: String,
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Lets those go on who asked for `/hold`.
    held: Semaphore,
}

impl Member {
    pub(crate) async fn start(name: &str) -> Self {
        let mut member = Self {
            address: ([127, 0, 0, 1], 0).into(),
            shared: Arc::new(Shared {
                name: name.to_owned(),
                connections: AtomicUsize::new(0),
                requests: AtomicUsize::new(0),
                held: Semaphore::new(0),
            }),
            serving: None,
        };
        member.restart().await;
        member
    }

    /// Listens again where it did.
    pub(crate) async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.shared.clone())));
    }

    pub(crate) async fn kill(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many requests it was sent.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Lets one go on who asked for `/hold`.
    pub(crate) fn release(&self) {
        self.shared.held.add_permits(1);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let shared = shared.clone();
        tasks.spawn(async move {
            let service = service_fn(move |request| answer(request, shared.clone()));
            let builder = hyper::server::conn::http1::Builder::new();
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            let _ = serving.await;
        });
    }
}

/// `/status/404` answers so, `/slow/500` after so many milliseconds, `/hold` when it is let,
/// and `/big` with a mebibyte. The query `Name=value&..` becomes headers of the answer.
async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<String>, Infallible> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    let read = body.collect().await.map_or(0, |it| it.to_bytes().len());
    text.push_str(&format!("bytes: {read}\n"));
    let path = head.uri.path().to_owned();
    let number = |kind: &str| -> Option<u64> {
        let (_, number) = path.split_once(kind)?;
        number.split('/').next()?.parse().ok()
    };
    if let Some(milliseconds) = number("/slow/") {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    if path.contains("/hold") {
        shared.held.acquire().await.unwrap().forget();
    }
    if path.contains("/big") {
        text = "x".repeat(1 << 20);
    }
    let mut answer = Response::new(text);
    if let Some(status) = number("/status/") {
        *answer.status_mut() = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
    }
    let headers = answer.headers_mut();
    headers.insert("x-member", shared.name.parse().unwrap());
    for pair in head.uri.query().unwrap_or_default().split('&') {
        if let Some((name, value)) = pair.split_once('=') {
            let value = value.replace("%20", " ");
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
    }
    Ok(answer)
}
