//! What is asked for, how, and by how many clients at once: [`Work`], and its [`Task`].

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Work {
    /// 100 bytes, 64 connections
    Small,
    /// 10 kB, 64 connections
    Medium,
    /// 1 MB, 8 connections
    Large,
    /// 100 bytes, one connection
    Single,
    /// POST of 100 bytes, 64 connections
    Post,
    /// POST of 10 kB, 64 connections
    PostMedium,
    /// 100 bytes, with the cookie of a session
    Cookie,
    /// 100 bytes, HTTP/2, 8 connections with 8 streams each
    Http2,
    /// 100 bytes, a new connection for each request
    Connections,
    /// 100 bytes, 4 000 requests offered each second
    Offered,
    /// 100 bytes, TLS, 64 connections
    #[cfg(feature = "tls")]
    Tls,
    /// 100 bytes, a new TLS connection with a full handshake for each request
    #[cfg(feature = "tls")]
    TlsNew,
    /// 100 bytes, a new TLS connection that resumes a session for each request
    #[cfg(feature = "tls")]
    TlsResumed,
}

/// What a work consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) title: &'static str,
    pub(crate) path: &'static str,
    /// The bytes of an answer.
    pub(crate) answer: usize,
    /// The bytes that a POST carries; without them it is a GET.
    pub(crate) body: Option<usize>,
    /// Whether requests belong to a session.
    pub(crate) has_cookie: bool,
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    /// With so many requests at once on each connection.
    Http2 {
        streams: usize,
    },
    Tls,
}

/// When the next request is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// As soon as there is an answer.
    Kept,
    /// The same, on another connection, which may resume a session of TLS.
    Anew { resumed: bool },
    /// So many a second, whether or not there are answers.
    Offered(u32),
}

/// The session that requests with a cookie belong to, in `ROUTEID`.
pub(crate) const COOKIE: &str = "theme=dark; ROUTEID=.r1; lang=en";

/// GET of 100 bytes on 64 connections.
const SMALL: Task = Task {
    title: "100-byte responses, 64 connections",
    path: "/100",
    answer: 100,
    body: None,
    has_cookie: false,
    protocol: Protocol::Http1,
    connections: 64,
    pace: Pace::Kept,
};

impl Work {
    pub(crate) const fn task(self) -> Task {
        match self {
            Self::Small => SMALL,
            Self::Medium => Task {
                title: "10 kB responses, 64 connections",
                path: "/10k",
                answer: 10_000,
                ..SMALL
            },
            Self::Large => Task {
                title: "1 MB responses, 8 connections",
                path: "/1m",
                answer: 1_000_000,
                connections: 8,
                ..SMALL
            },
            Self::Single => Task {
                title: "100-byte responses, one connection (latency)",
                connections: 1,
                ..SMALL
            },
            Self::Post => Task {
                title: "POST of 100 bytes, 64 connections",
                body: Some(100),
                ..SMALL
            },
            Self::PostMedium => Task {
                title: "POST of 10 kB, 64 connections",
                body: Some(10_000),
                ..SMALL
            },
            Self::Cookie => Task {
                title: "100-byte responses with a session's cookie, 64 connections",
                has_cookie: true,
                ..SMALL
            },
            Self::Http2 => Task {
                title: "100-byte responses over HTTP/2, 8 connections with 8 streams each",
                protocol: Protocol::Http2 { streams: 8 },
                connections: 8,
                ..SMALL
            },
            Self::Connections => Task {
                title: "100-byte responses, a new connection for each",
                pace: Pace::Anew { resumed: false },
                ..SMALL
            },
            Self::Offered => Task {
                title: "100-byte responses, 4 000 requests offered each second",
                pace: Pace::Offered(4_000),
                ..SMALL
            },
            #[cfg(feature = "tls")]
            Self::Tls => Task {
                title: "100-byte responses over TLS, 64 connections",
                protocol: Protocol::Tls,
                ..SMALL
            },
            #[cfg(feature = "tls")]
            Self::TlsNew => Task {
                title: "100-byte responses, a new TLS connection for each",
                protocol: Protocol::Tls,
                connections: 8,
                pace: Pace::Anew { resumed: false },
                ..SMALL
            },
            #[cfg(feature = "tls")]
            Self::TlsResumed => Task {
                title: "100-byte responses, a resumed TLS connection for each",
                protocol: Protocol::Tls,
                connections: 8,
                pace: Pace::Anew { resumed: true },
                ..SMALL
            },
        }
    }

    /// As a user chooses it.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
