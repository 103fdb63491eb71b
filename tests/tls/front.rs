//! The server that is tested, and a service behind it that tells what TLS said to it.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use equipoise::net::{Listener, ServerTls, Stopped, TlsSession};
use equipoise::proxy::{ClientBody, Server};
use equipoise::service::BoxError;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::{Service, service_fn};

/// A server that dies when it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Stopped>,
}

impl Front {
    pub(crate) fn start<S, B>(server: Server, service: S) -> Self
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError> + Send,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve(listener, service, stopped).await
        });
        Self {
            address,
            stop: Some(stop),
            serving,
        }
    }

    /// One that tells, in a line, what is spoken, and what TLS said: version, the name that
    /// was asked for, how many certificates.
    pub(crate) fn telling(tls: &ServerTls) -> Self {
        Self::telling_by(Server::new().tls(tls))
    }

    pub(crate) fn telling_by(server: Server) -> Self {
        let tell = service_fn(async |request: Request<ClientBody>| {
            let told = match request.extensions().get::<TlsSession>() {
                Some(session) => told(request.version(), session),
                None => "no TLS".to_owned(),
            };
            Ok::<_, Infallible>(Response::new(told))
        });
        Self::start(server, tell)
    }

    pub(crate) async fn stop(mut self) -> Stopped {
        drop(self.stop.take());
        (&mut self.serving).await.unwrap()
    }
}

fn told(version: http::Version, session: &TlsSession) -> String {
    let name = session.server_name().unwrap_or("-");
    let count = session.certificates().len();
    format!("{version:?} {} {name} {count}", session.version())
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
