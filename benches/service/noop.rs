//! A service that does nothing but answer, and the requests that it is sent.
//!
//! Not here: what stands in front of it (`stacks`).

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, COOKIE, HOST, HeaderName, HeaderValue,
    REFERER, UPGRADE_INSECURE_REQUESTS, USER_AGENT, VIA,
};
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tower::Service;

/// What a client sends and is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Traffic {
    /// `GET /`, no header, no body either way.
    NoHeaders,
    /// `GET` with ten headers, a session's cookie among them; no body either way.
    TenHeaders,
    /// `PUT` with ten headers; 100 bytes each way.
    TenHeadersAndBodies,
}

impl Traffic {
    pub(crate) const ALL: [Self; 3] =
        [Self::NoHeaders, Self::TenHeaders, Self::TenHeadersAndBodies];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoHeaders => "no headers",
            Self::TenHeaders => "ten headers",
            Self::TenHeadersAndBodies => "ten headers, 100 bytes each way",
        }
    }

    fn body(self) -> Bytes {
        match self {
            Self::NoHeaders | Self::TenHeaders => Bytes::new(),
            Self::TenHeadersAndBodies => Bytes::from_static(&[b'x'; 100]),
        }
    }
}

/// The cookie that names the member of a session.
pub(crate) const COOKIE_NAME: &str = "ROUTEID";

/// `{route}` stands for the route of the member to which the client comes back.
const HEADERS: [(HeaderName, &str); 10] = [
    (HOST, "shop.example.com"),
    (USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
    (ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
    (ACCEPT_LANGUAGE, "en-GB,en;q=0.5"),
    (ACCEPT_ENCODING, "gzip, deflate, br"),
    (REFERER, "https://shop.example.com/catalogue"),
    (COOKIE, "theme=dark; ROUTEID=.{route}; lang=en"),
    (CACHE_CONTROL, "no-cache"),
    (UPGRADE_INSECURE_REQUESTS, "1"),
    (VIA, "1.1 edge.example.com"),
];

/// Makes equal requests.
pub(crate) struct Template {
    head: Parts,
    body: Bytes,
}

impl Template {
    pub(crate) fn of(traffic: Traffic, route: &str) -> Self {
        let mut request = Request::new(());
        if traffic != Traffic::NoHeaders {
            let values = HEADERS.map(|(name, value)| (name, value.replace("{route}", route)));
            // As a server has them: all of them pieces of what was read.
            let read: String = values.iter().map(|(_, value)| &**value).collect();
            let mut read = Bytes::from(read);
            for (name, value) in values {
                let value = HeaderValue::from_maybe_shared(read.split_to(value.len()));
                request
                    .headers_mut()
                    .insert(name, value.expect("visible text"));
            }
            let path = Bytes::from(b"/basket?item=7".to_vec());
            *request.uri_mut() = Uri::from_maybe_shared(path).expect("a path");
        }
        if traffic == Traffic::TenHeadersAndBodies {
            *request.method_mut() = Method::PUT;
        }
        Self {
            head: request.into_parts().0,
            body: traffic.body(),
        }
    }

    #[inline]
    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        Request::from_parts(self.head.clone(), Full::new(self.body.clone()))
    }
}

/// Reads the body of a request to its end, and answers at once.
#[derive(Clone, Debug)]
pub(crate) struct Noop {
    answer: Bytes,
}

impl Noop {
    pub(crate) fn of(traffic: Traffic) -> Self {
        Self {
            answer: traffic.body(),
        }
    }
}

impl<B> Service<Request<B>> for Noop
where
    B: Body + Unpin,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer<B> {
        let request = black_box(request).into_body();
        let answer = self.answer.clone();
        Answer { request, answer }
    }
}

/// The future of [`Noop`].
#[derive(Debug)]
pub(crate) struct Answer<B> {
    request: B,
    answer: Bytes,
}

impl<B> Future for Answer<B>
where
    B: Body + Unpin,
{
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        while !self.request.is_end_stream() {
            match ready!(Pin::new(&mut self.request).poll_frame(context)) {
                Some(Ok(frame)) => drop(black_box(frame)),
                Some(Err(_)) | None => break,
            }
        }
        let answer = std::mem::take(&mut self.answer);
        Poll::Ready(Ok(Response::new(Full::new(answer))))
    }
}
