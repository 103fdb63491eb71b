//! The builder of an HTTP check: [`HttpProbeBuilder`].
//!
//! Not here: the probe (`http`).

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use regex::bytes::Regex;

use super::conditions::ResponseConditions;
use super::path::CheckPath;
use super::{CheckResponse, HttpProbe, Manner, Settings};
use crate::health::checks::ProbeError;

impl HttpProbe {
    /// Returns a builder of a `GET` request.
    pub fn get(path: impl Into<String>) -> HttpProbeBuilder {
        Self::request(Method::GET, path)
    }

    /// Returns a builder of a `HEAD` request.
    pub fn head(path: impl Into<String>) -> HttpProbeBuilder {
        Self::request(Method::HEAD, path)
    }

    /// Returns a builder of `OPTIONS *`, which addresses the server as a whole.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{HttpProbe, Probe};
    ///
    /// assert_eq!(HttpProbe::options().build()?.name(), "OPTIONS *");
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn options() -> HttpProbeBuilder {
        Self::request(Method::OPTIONS, "*")
    }

    /// Returns a builder of a request with any method; the path `*` addresses the server as
    /// a whole.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    /// use http::Method;
    ///
    /// let probe = HttpProbe::request(Method::POST, "/ping").build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn request(method: Method, path: impl Into<String>) -> HttpProbeBuilder {
        HttpProbeBuilder::new(method, path.into())
    }
}

/// Builds an [`HttpProbe`].
#[must_use]
pub struct HttpProbeBuilder {
    method: Method,
    path: String,
    version: Version,
    host: Option<HeaderValue>,
    headers: HeaderMap,
    expected: ResponseConditions,
    keeps: bool,
    most: usize,
    /// The first invalid setting.
    wrong: Option<HttpProbeError>,
}

impl HttpProbeBuilder {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            version: Version::HTTP_11,
            host: None,
            headers: HeaderMap::new(),
            expected: ResponseConditions::default(),
            keeps: false,
            most: 64 * 1024,
            wrong: None,
        }
    }

    fn refuse(mut self, wrong: HttpProbeError) -> Self {
        self.wrong.get_or_insert(wrong);
        self
    }

    /// Sets the version: HTTP/1.0, HTTP/1.1 (the default) or HTTP/2. HTTP/2 without TLS
    /// uses prior knowledge; with TLS, the member has to agree to it (ALPN).
    ///
    /// # Examples
    ///
    /// As Apache's `hcmethod=HEAD` sends it:
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    /// use http::Version;
    ///
    /// let probe = HttpProbe::head("/status").version(Version::HTTP_10).build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        if [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2].contains(&version) {
            self
        } else {
            self.refuse(HttpProbeError::Version { version })
        }
    }

    /// Sets the host of the request; by default the member's own.
    pub fn host(mut self, host: &str) -> Self {
        let is_host = Authority::try_from(host).is_ok() && !host.contains('@');
        match HeaderValue::try_from(host) {
            Ok(value) if is_host => {
                self.host = Some(value);
                self
            }
            _ => self.refuse(HttpProbeError::Header {
                name: "Host".to_owned(),
            }),
        }
    }

    /// Adds a header field. The length of the empty body is set automatically.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let parsed = HeaderName::try_from(name).ok();
        let parsed = parsed.filter(|it| *it != CONTENT_LENGTH && *it != TRANSFER_ENCODING);
        match (parsed, HeaderValue::try_from(value)) {
            (Some(HOST), _) => self.host(value),
            (Some(name), Ok(value)) => {
                self.headers.append(name, value);
                self
            }
            _ => self.refuse(HttpProbeError::Header {
                name: name.to_owned(),
            }),
        }
    }

    /// Adds a range of good statuses; by default 200 to 399 are good.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    ///
    /// let probe = HttpProbe::get("/").status(200..300).status(401..=401).build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn status(mut self, statuses: impl RangeBounds<u16>) -> Self {
        self.expected.status(&statuses);
        self
    }

    /// Requires a header field of exactly this value in the response.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    ///
    /// let probe = HttpProbe::get("/role").expect_header("X-Role", "primary").build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn expect_header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(_)) => {
                self.expected.header(name, value);
                self
            }
            _ => self.refuse(HttpProbeError::Header {
                name: name.to_owned(),
            }),
        }
    }

    /// Requires a text in the part of the body that is [read](Self::max_body).
    pub fn expect_body(mut self, text: &str) -> Self {
        self.expected.body(text);
        self
    }

    /// Requires a match of a regular expression (syntax of the `regex` crate) in the part
    /// of the body that is [read](Self::max_body). It need not match the whole body.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    ///
    /// let probe = HttpProbe::get("/lag").expect_body_matching("^lag: [0-9]s$").build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn expect_body_matching(mut self, regex: &str) -> Self {
        match Regex::new(regex) {
            Ok(regex) => {
                self.expected.body_matching(regex);
                self
            }
            Err(source) => self.refuse(HttpProbeError::Regex { source }),
        }
    }

    /// Adds a condition of your own. It replaces the default statuses; all other conditions
    /// still have to hold.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{CheckResponse, HttpProbe};
    ///
    /// let probe = HttpProbe::get("/queue").expect_by(|response: &CheckResponse| {
    ///     let length = std::str::from_utf8(response.body()).ok().and_then(|it| it.trim().parse().ok());
    ///     match length {
    ///         Some(0..=99_u32) if response.status() == 200 => Ok(()),
    ///         Some(length) => Err(format!("has a queue of {length}").into()),
    ///         None => Err("the body is not a number".into()),
    ///     }
    /// });
    /// # let _ = probe;
    /// ```
    pub fn expect_by(
        mut self,
        judge: impl Fn(&CheckResponse) -> Result<(), ProbeError> + Send + Sync + 'static,
    ) -> Self {
        self.expected.judge(Arc::new(judge));
        self
    }

    /// Sets how many bytes of a body are read, 64 KiB by default. Bytes beyond that are
    /// ignored and are not a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    ///
    /// let probe = HttpProbe::get("/big").max_body(1 << 20).expect_body("the end").build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Keeps the connection to a member open from one check to the next, if the member
    /// does.
    ///
    /// That costs both sides less, and takes a file descriptor for each member all the
    /// time. It also detects less: a member that accepts no new connections may still
    /// respond on an old one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::HttpProbe;
    ///
    /// let probe = HttpProbe::get("/status").keep_alive().build()?;
    /// # let _ = probe;
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    pub fn keep_alive(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Builds the probe.
    ///
    /// # Errors
    ///
    /// [`HttpProbeError`] if a setting is invalid in a request, such as a line break in a
    /// path or a header, or if a condition is invalid.
    pub fn build(self) -> Result<HttpProbe, HttpProbeError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let Some(path) = CheckPath::parse(&self.path) else {
            return Err(HttpProbeError::Path { path: self.path });
        };
        let reads = ![Method::HEAD, Method::OPTIONS].contains(&self.method);
        if !reads && self.expected.looks_at_bodies() {
            return Err(HttpProbeError::NoBody {
                method: self.method,
            });
        }
        let shown = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        let settings = Settings {
            name: format!("{} {shown}", self.method),
            method: self.method,
            path,
            version: self.version,
            host: self.host,
            headers: self.headers,
            expected: self.expected,
            manner: Manner {
                by_2: self.version == Version::HTTP_2,
                keeps: self.keeps,
                most: reads.then_some(self.most),
            },
        };
        Ok(HttpProbe {
            settings: Arc::new(settings),
        })
    }
}

/// Why an [`HttpProbe`] cannot be built.
///
/// # Examples
///
/// ```
/// use equipoise::health::HttpProbe;
///
/// let error = HttpProbe::get("/status\r\nHost: other").build().unwrap_err();
/// let text = r#"the path "/status\r\nHost: other" is invalid in a request"#;
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpProbeError {
    /// The name or the value of a header field is invalid.
    #[error("the name or the value of header {name:?} is invalid")]
    Header {
        /// Its name.
        name: String,
    },
    /// A condition on the body needs a method whose response bodies are read.
    #[error("the body of a response to {method} is not read: expect only its head")]
    NoBody {
        /// The method.
        method: Method,
    },
    /// The path has a space, a line break or a fragment, for example.
    #[error("the path {path:?} is invalid in a request")]
    Path {
        /// The path.
        path: String,
    },
    /// The regular expression is invalid.
    #[error("the regular expression for the body is invalid")]
    Regex {
        /// The error of the regular expression.
        source: regex::Error,
    },
    /// Checks do not support this version.
    #[error("checks do not support {version:?}: use HTTP/1.0, HTTP/1.1 or HTTP/2")]
    Version {
        /// The version.
        version: Version,
    },
}

impl fmt::Debug for HttpProbeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProbeBuilder")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
