//! A member: a server that can be killed and started again where it was.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use equipoise::net::{Listener, Stopped};
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::task::JoinHandle;

/// A server that is killed when it is dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    serving: Option<JoinHandle<Stopped>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let mut site = Self {
            address: ([127, 0, 0, 1], 0).into(),
            serving: None,
        };
        site.restart();
        site
    }

    pub(crate) fn restart(&mut self) {
        let listener = Listener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        let answer = tower::service_fn(answer);
        let serving = Server::new().serve(listener, answer, std::future::pending());
        self.serving = Some(tokio::spawn(serving));
    }

    pub(crate) async fn kill(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// `/bytes/N` is so many bytes; any other path says how many bytes were sent there.
async fn answer(request: Request<ClientBody>) -> Result<Response<Zeroes>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let bytes = path.strip_prefix("/bytes/").map(|it| it.parse().unwrap());
    let mut response = Response::new(Zeroes::of(bytes.unwrap_or(2)));
    response.headers_mut().insert("x-read", read.into());
    Ok(response)
}

/// So many bytes, made as they are asked for.
pub(crate) struct Zeroes {
    left: u64,
    chunk: Bytes,
}

impl Zeroes {
    pub(crate) fn of(bytes: u64) -> Self {
        Self {
            left: bytes,
            chunk: Bytes::from(vec![0; 64 * 1024]),
        }
    }
}

impl Body for Zeroes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = self.chunk.len() as u64;
        let length = usize::try_from(self.left.min(chunk)).unwrap();
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
