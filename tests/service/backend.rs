//! Real servers on real sockets: hyper, HTTP/1.1 and HTTP/2, that can be killed and
//! started again on the same port; and sockets that answer with whatever bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use equipoise::service::{BoxError, CountedBody};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn any<B>(body: B) -> AnyBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    UnsyncBoxBody::new(body.map_err(Into::into))
}

type Handler = Arc<
    dyn Fn(Request<Incoming>) -> futures::Boxed<Result<Response<AnyBody>, BoxError>> + Send + Sync,
>;

mod futures {
    use std::pin::Pin;

    pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
}

/// A server with a handler; it dies when it is dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    handler: Handler,
    tasks: Tasks,
}

type Tasks = Arc<Mutex<Vec<JoinHandle<()>>>>;

impl Backend {
    pub(crate) async fn start<F, T>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Response<AnyBody>, BoxError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let mut backend = Self {
            address: ([127, 0, 0, 1], 0).into(),
            handler,
            tasks: Tasks::default(),
        };
        backend.restart();
        tokio::task::yield_now().await;
        backend
    }

    /// One that answers every request with its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |request: Request<Incoming>| async move {
            request.into_body().collect().await?;
            let body = http_body_util::Full::from(name);
            let mut response = Response::new(any(body));
            let name = http::HeaderValue::from_static(name);
            response.headers_mut().insert("x-name", name);
            Ok(response)
        })
        .await
    }

    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Closes the listener and all connections.
    pub(crate) async fn kill(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens on the port that it had.
    pub(crate) fn restart(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1_024).unwrap();
        self.address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, self.handler.clone(), self.tasks.clone()));
        self.tasks.lock().unwrap().push(accepting);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, handler: Handler, tasks: Tasks) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        let connection = tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { answer.await.map_err(std::io::Error::other) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            let io = TokioIo::new(stream);
            let _ = server.serve_connection_with_upgrades(io, service).await;
        });
        let mut tasks = tasks.lock().unwrap();
        tasks.retain(|task| !task.is_finished());
        tasks.push(connection);
    }
}

/// Serves a tower service on a socket, for clients that are programs.
pub(crate) async fn serve<S, B>(service: S) -> Backend
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    use tower::ServiceExt;

    Backend::start(move |request| {
        let service = service.clone();
        async move {
            let response = service.oneshot(request).await.map_err(Into::into)?;
            Ok(response.map(any))
        }
    })
    .await
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

/// hyper-util's client for bodies `B` as the default policy hands them on.
pub(crate) fn client<B>(version: Http) -> Client<HttpConnector, CountedBody<B>>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Client::builder(TokioExecutor::new())
        .http2_only(version == Http::Two)
        .build_http()
}

/// A socket that takes one request a connection, answers with these bytes, and closes.
pub(crate) struct RawBackend {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
    requests: Arc<Mutex<usize>>,
}

impl RawBackend {
    pub(crate) async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(0));
        let counter = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read_buf(&mut head).await {
                        Ok(1..) => {}
                        _ => break,
                    }
                }
                *counter.lock().unwrap() += 1;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address,
            task,
            requests,
        }
    }

    pub(crate) fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub(crate) fn requests(&self) -> usize {
        *self.requests.lock().unwrap()
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address at which nobody listens.
pub(crate) async fn dead() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    format!("http://{address}").parse().unwrap()
}
