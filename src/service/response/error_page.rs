//! The response to a client if no member gave one: [`ErrorPage`].
//!
//! Not here: the reason (`BalanceError`, and the proxy's own reasons).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Response, StatusCode};

use super::body::ResponseBody;
use crate::service::{BalanceError, RequestError, cause};

/// An error response that the balancer or the proxy creates itself: its status and the
/// reason. By default it is a line of text or, for clients that prefer it, a JSON object
/// (RFC 9457). You can create another page from it.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, ErrorPage};
/// use http::{Response, Uri};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower_layer::Layer;
///
/// fn page(error: &ErrorPage<'_>) -> Response<Bytes> {
///     let text = format!("<h1>{}</h1><p>We are sorry.", error.title());
///     let mut page = Response::new(text.into());
///     page.headers_mut().insert("content-type", "text/html".parse().unwrap());
///     page
/// }
///
/// let balancer = Balancer::new([("a", Uri::from_static("http://10.0.0.1:8080"))])?;
/// let client = Client::builder(TokioExecutor::new()).build_http();
/// let backends = BalanceLayer::new(balancer)
///     .layer(client)
///     .into_infallible()
///     .error_page(page);
/// # fn hold<S: tower_service::Service<http::Request<axum::body::Body>>>(_: S) {}
/// # hold(backends);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ErrorPage<'e> {
    status: StatusCode,
    detail: &'static str,
    wanted: PreferredFormat,
    error: Option<&'e BalanceError>,
}

impl<'e> ErrorPage<'e> {
    pub(crate) fn new(status: StatusCode, detail: &'static str, wanted: PreferredFormat) -> Self {
        Self {
            status,
            detail,
            wanted,
            error: None,
        }
    }

    fn of(error: &'e BalanceError, wanted: PreferredFormat) -> Self {
        let status = error.status();
        let detail = match status {
            StatusCode::BAD_GATEWAY => "the server behind this one failed",
            StatusCode::GATEWAY_TIMEOUT => "the server behind this one did not respond in time",
            StatusCode::SERVICE_UNAVAILABLE => "no server can take this request now",
            StatusCode::BAD_REQUEST => "the request body is incomplete",
            StatusCode::REQUEST_TIMEOUT => "the request body did not arrive in time",
            StatusCode::PAYLOAD_TOO_LARGE => "the request body has more bytes than are allowed",
            StatusCode::URI_TOO_LONG => "the server accepts no URI of this length",
            _ => "",
        };
        let told = cause::<RequestError>(error).map_or("", RequestError::detail);
        let detail = if told.is_empty() { detail } else { told };
        Self {
            error: Some(error),
            ..Self::new(status, detail, wanted)
        }
    }

    /// Returns the status of the response; the page cannot change it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the reason phrase of the status.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Refused")
    }

    /// Returns the reason, in words that the client may read; it may be empty.
    #[must_use]
    pub const fn detail(&self) -> &'static str {
        self.detail
    }

    /// Returns whether the client prefers JSON to text.
    #[must_use]
    pub const fn prefers_json(&self) -> bool {
        matches!(self.wanted.form, Form::Json)
    }

    /// Returns the balancer's error, if there is one. Do not show it to the client.
    #[must_use]
    pub const fn error(&self) -> Option<&'e BalanceError> {
        self.error
    }

    fn retry_after(&self) -> Option<Duration> {
        self.error.and_then(BalanceError::retry_after)
    }

    /// The default page.
    fn plain(&self) -> Response<Bytes> {
        let title = self.title();
        let (kind, text) = match self.wanted.form {
            _ if self.status == StatusCode::NO_CONTENT => return Response::new(Bytes::new()),
            Form::Json => {
                let status = self.status.as_u16();
                let detail = self.detail;
                // None of these texts contains a character that JSON must escape.
                let detail = match detail {
                    "" => String::new(),
                    _ => format!(",\"detail\":\"{detail}\""),
                };
                let text = format!("{{\"title\":\"{title}\",\"status\":{status}{detail}}}\n");
                ("application/problem+json", text)
            }
            Form::Text => {
                let text = match self.detail {
                    "" => format!("{title}\n"),
                    detail => format!("{title}: {detail}.\n"),
                };
                ("text/plain; charset=utf-8", text)
            }
        };
        let mut response = Response::new(Bytes::from(text));
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// Creates the response for an error, which is in its extensions.
    pub(crate) fn answer_of<B>(
        error: BalanceError,
        wanted: PreferredFormat,
        pages: Option<&Pages>,
    ) -> Response<ResponseBody<B>> {
        let mut answer = ErrorPage::of(&error, wanted).answer(pages);
        answer.extensions_mut().insert(Arc::new(error));
        answer
    }

    /// Creates the response, with `pages` if there are any.
    pub(crate) fn answer<B>(&self, pages: Option<&Pages>) -> Response<ResponseBody<B>> {
        self.page(pages).map(ResponseBody::text)
    }

    /// Returns the response as it is sent.
    pub(crate) fn page(&self, pages: Option<&Pages>) -> Response<Bytes> {
        let page = match pages {
            Some(pages) => (pages.0)(self),
            None => self.plain(),
        };
        let (mut head, bytes) = page.into_parts();
        head.status = self.status;
        if let Some(delay) = self.retry_after() {
            // Rounded up: a client that retries a moment too early would have to retry
            // again.
            let seconds = delay.as_millis().div_ceil(1_000);
            if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
                head.headers.insert(RETRY_AFTER, value);
            }
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110, 15.5.6: `Allow` is required.
            let allow = "GET, HEAD, OPTIONS, PATCH, POST, PUT, DELETE, TRACE";
            head.headers
                .insert(http::header::ALLOW, HeaderValue::from_static(allow));
        }
        // Over HTTP/2, hyper would send the body of a response to HEAD.
        head.headers.remove(CONTENT_LENGTH);
        let bytes = if self.wanted.head_only || self.status == StatusCode::NO_CONTENT {
            Bytes::new()
        } else {
            bytes
        };
        Response::from_parts(head, bytes)
    }
}

/// Creates error pages with a function of the user.
#[derive(Clone)]
pub(crate) struct Pages(Arc<Page>);

type Page = dyn Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync;

impl Pages {
    pub(crate) fn new(
        page: impl Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(page))
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

/// In which format the client wants an error page; read before its request is sent on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreferredFormat {
    form: Form,
    head_only: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    Text,
}

impl PreferredFormat {
    pub(crate) fn by(method: &Method, headers: &HeaderMap) -> Self {
        Self {
            form: Form::of(headers),
            head_only: *method == Method::HEAD,
        }
    }

    /// As for a request without `Accept`.
    #[cfg(feature = "proxy")]
    pub(crate) fn unnamed(method: &Method) -> Self {
        Self {
            form: Form::Text,
            head_only: *method == Method::HEAD,
        }
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn head_only(self) -> bool {
        self.head_only
    }
}

impl Form {
    /// Text, unless `Accept` (RFC 9110, 12.5.1) prefers JSON to any text. Types and the
    /// name `q` are case-insensitive.
    fn of(headers: &HeaderMap) -> Self {
        let (mut json, mut text) = (0.0, 0.0);
        for value in headers.get_all(ACCEPT) {
            if json == 0.0 && !may_name_json(value.as_bytes()) {
                continue;
            }
            let Ok(value) = value.to_str() else {
                continue;
            };
            for range in value.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let kind = parts.next().unwrap_or_default();
                let quality = parts
                    .find_map(quality)
                    .map_or(1.0, |quality| weight(quality).unwrap_or(0.0));
                let (family, subtype) = kind.split_once('/').unwrap_or_default();
                let json_suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
                let plain = family
                    .eq_ignore_ascii_case("application")
                    .then_some(subtype);
                let subtypes = json_suffix.into_iter().chain(plain);
                if subtypes.into_iter().any(|it| is_json(it.as_bytes())) {
                    json = f32::max(json, quality);
                } else if family.eq_ignore_ascii_case("text") {
                    text = f32::max(text, quality);
                }
            }
        }
        if json > text { Self::Json } else { Self::Text }
    }
}

/// This runs for most requests, and without a branch for each byte it is fastest.
fn may_name_json(accept: &[u8]) -> bool {
    let is_j = |byte: &u8| byte.eq_ignore_ascii_case(&b'j');
    accept.iter().fold(false, |found, byte| found | is_j(byte))
}

fn is_json(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"json")
}

/// A range with an invalid weight (RFC 9110, 12.4.2) does not count.
fn weight(quality: &str) -> Option<f32> {
    let is_of_it = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let number = quality.bytes().all(is_of_it).then(|| quality.parse().ok());
    number
        .flatten()
        .filter(|weight| (0.0..=1.0).contains(weight))
}

/// Returns the value of a parameter `q`.
fn quality(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    name.trim_end()
        .eq_ignore_ascii_case("q")
        .then(|| value.trim_start())
}

#[cfg(test)]
mod tests {
    use super::{ErrorPage, Form, PreferredFormat};
    use http::header::{ACCEPT, HeaderMap, HeaderValue};
    use http::{Method, StatusCode};

    #[test]
    fn json_is_for_clients_that_like_it_better_than_text() {
        for (accept, form) in [
            ("*/*", Form::Text),
            ("text/html,*/*;q=0.8", Form::Text),
            ("application/json", Form::Json),
            ("application/problem+json, */*", Form::Json),
            ("application/json, text/plain", Form::Text),
            ("application/json, text/plain;q=0.5", Form::Json),
            ("application/json;q=0", Form::Text),
            ("application/json;q=often", Form::Text),
            ("application/json;q=2", Form::Text),
            ("application/json;q=1.001", Form::Text),
            ("application/json;q=-0.5", Form::Text),
            ("application/json;q=+1", Form::Text),
            ("application/json;q=", Form::Text),
            ("application/json;q=1.000, text/plain;q=2", Form::Json),
            ("application/jsonp", Form::Text),
            ("Application/JSON;Q=0.1", Form::Json),
            ("Application/JSON;Q=0.1, TEXT/plain;q=0.2", Form::Text),
            ("APPLICATION/Problem+Json ; Q=0.5, Text/*;q=0.2", Form::Json),
            ("application/json;Q=0", Form::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Form::of(&headers), form, "{accept}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Text);
    }

    #[test]
    fn a_refusal_reads_as_a_sentence_or_as_an_object() {
        let form = |form| PreferredFormat {
            form,
            head_only: false,
        };
        let error = |wanted| ErrorPage::new(StatusCode::NOT_FOUND, "it is not here", wanted);
        let text = error(form(Form::Text)).plain();
        assert_eq!(text.body(), "Not Found: it is not here.\n");
        assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
        let json = error(form(Form::Json)).plain();
        let object = r#"{"title":"Not Found","status":404,"detail":"it is not here"}"#;
        assert_eq!(json.body(), &format!("{object}\n"));
        assert_eq!(json.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        use http_body::Body;
        let wanted = PreferredFormat::by(&Method::HEAD, &HeaderMap::new());
        let error = ErrorPage::new(StatusCode::BAD_GATEWAY, "", wanted);
        let answer = error.answer::<http_body_util::Empty<bytes::Bytes>>(None);
        assert!(answer.body().is_end_stream());
        assert_eq!(answer.status(), 502);
    }
}
