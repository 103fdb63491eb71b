//! All that can be said of an HTTP check: [`HttpProbeBuilder`].
//!
//! What does not live here: what is done with it (`http`).

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use regex::bytes::Regex;

use super::conditions::ResponseConditions;
use super::path::CheckPath;
use super::{CheckAnswer, HttpProbe, Manner, Settings};
use crate::health::checks::ProbeError;

impl HttpProbe {
    /// Begins one that asks for a path by `GET`.
    pub fn get(path: impl Into<String>) -> HttpProbeBuilder {
        Self::request(Method::GET, path)
    }

    /// Begins one that asks for a path by `HEAD`.
    pub fn head(path: impl Into<String>) -> HttpProbeBuilder {
        Self::request(Method::HEAD, path)
    }

    /// Begins one that asks the server as a whole, by `OPTIONS *`.
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

    /// Begins one that sends a request of any method; `*` as the path is the server as a whole.
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
    /// The first thing that cannot be.
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

    /// Sets the version: HTTP/1.0, HTTP/1.1 (the default) or HTTP/2. Without TLS, HTTP/2 is
    /// spoken from the first byte on; with TLS, the member has to agree to it (ALPN).
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

    /// Sets the host that is asked for, which otherwise is the member's own.
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

    /// Adds a header field. The length of the body, which is empty, is no matter of the caller's.
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

    /// Sets which statuses are good, 200 to 399 by default; again for further ones.
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

    /// Demands a header field of exactly this value in the answer.
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

    /// Demands that the body contains a text, within what is [read](Self::max_body) of it.
    pub fn expect_body(mut self, text: &str) -> Self {
        self.expected.body(text);
        self
    }

    /// Demands a match of a regular expression, of the syntax of the crate `regex`, within what
    /// is [read](Self::max_body) of the body. It need not match the whole.
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

    /// Adds a condition of your own. It stands in for the default statuses; the other conditions
    /// have to hold, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{CheckAnswer, HttpProbe};
    ///
    /// let probe = HttpProbe::get("/queue").expect_by(|answer: &CheckAnswer| {
    ///     let length = std::str::from_utf8(answer.body()).ok().and_then(|it| it.trim().parse().ok());
    ///     match length {
    ///         Some(0..=99_u32) if answer.status() == 200 => Ok(()),
    ///         Some(length) => Err(format!("has a queue of {length}").into()),
    ///         None => Err("told no number".into()),
    ///     }
    /// });
    /// # let _ = probe;
    /// ```
    pub fn expect_by(
        mut self,
        judge: impl Fn(&CheckAnswer) -> Result<(), ProbeError> + Send + Sync + 'static,
    ) -> Self {
        self.expected.judge(Arc::new(judge));
        self
    }

    /// Sets how many bytes of a body are read, 64 KiB by default. What is beyond is not looked
    /// at, and is no failure by itself.
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

    /// Keeps the connection to a member from one check to the next, where the member does, too.
    ///
    /// That costs both sides less, and takes a descriptor for each member all the time. It shows
    /// less: a member that accepts no new connection may still answer on an old one.
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

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`HttpProbeError`] for what cannot be in a request, such as a line break in a path or a
    /// header, and for what cannot be expected.
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

/// Why there is no such [`HttpProbe`].
///
/// # Examples
///
/// ```
/// use equipoise::health::HttpProbe;
///
/// let error = HttpProbe::get("/status\r\nHost: other").build().unwrap_err();
/// let told = r#""/status\r\nHost: other" is no path of a request"#;
/// assert_eq!(error.to_string(), told);
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpProbeError {
    /// A header has no such name or value.
    #[error("{name:?} is no header that can be sent or expected, or its value is none")]
    Header {
        /// Its name.
        name: String,
    },
    /// The body of an answer to this method is not read.
    #[error("the body of an answer to {method} is not read")]
    NoBody {
        /// The method.
        method: Method,
    },
    /// It has a blank, a line break or a fragment, for example.
    #[error("{path:?} is no path of a request")]
    Path {
        /// The path.
        path: String,
    },
    /// There is no such regular expression.
    #[error("the regular expression for the body is none")]
    Regex {
        /// What is wrong with it.
        source: regex::Error,
    },
    /// Checks do not speak this version.
    #[error("checks do not speak {version:?}")]
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
