//! A request on its way, and how it ended. What moves it is in `attempt` and `exchange`.

use serde_json::{Map, Value};

use super::site::Site;

/// How a request ended for its client.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `None`: the connection was closed without an answer.
    pub status: Option<i64>,
    pub served_by: Option<String>,
    /// A member gave the answer, whoever's page the client got.
    pub from_member: bool,
    /// The client's connection does not outlive this.
    pub closes: bool,
}

impl Ending {
    /// An answer that the proxy made.
    pub fn of_proxy(status: i64) -> Self {
        Self {
            status: Some(status),
            served_by: None,
            from_member: false,
            closes: false,
        }
    }

    /// The client's connection is closed, without a byte.
    pub fn closed() -> Self {
        Self {
            status: None,
            served_by: None,
            from_member: false,
            closes: true,
        }
    }
}

/// A member has the request and holds its answer.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    pub member: usize,
    pub deadline: i64,
    pub reused: bool,
}

/// A request on its way, and what is known of it afterwards.
#[derive(Debug)]
pub struct Running {
    pub event: Value,
    /// Whether it has come to the balancer at all.
    pub reached: bool,
    pub url: String,
    pub tried: Vec<usize>,
    pub seen: Vec<usize>,
    pub env: Map<String, Value>,
    /// Members that count it as busy.
    pub busy: Vec<usize>,
    /// The member of the last attempt, if there was one.
    pub last: Option<usize>,
    /// A time limit has passed somewhere (4.2: a note on the request).
    pub timed_out: bool,
    pub holding: Option<Holding>,
    pub ending: Option<Ending>,
    /// Chance decided: the recording says who was elected.
    pub random: bool,
}

impl Running {
    pub fn text(&self, key: &str) -> &str {
        self.event[key].as_str().unwrap_or_default()
    }

    /// All `Cookie` headers, without the blanks around them, which are no part of a value.
    pub fn cookies(&self) -> Vec<String> {
        let headers = self.event["headers"].as_array().into_iter().flatten();
        let cookies = headers.filter(|pair| {
            pair[0]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case("cookie"))
        });
        cookies
            .filter_map(|pair| Some(pair[1].as_str()?.trim().to_owned()))
            .collect()
    }

    /// Whether doing it twice does no harm.
    pub fn is_idempotent(&self) -> bool {
        let method = self.event["method"].as_str();
        !matches!(method, Some("POST" | "PATCH" | "CONNECT"))
    }

    pub fn has_body(&self) -> bool {
        self.event["body"].as_i64().is_some_and(|size| size > 0)
            || self.event.get("body_chunked").is_some()
    }

    pub fn connection(&self) -> Option<&str> {
        self.event["connection"].as_str()
    }

    /// Answers that the recording gives where chance decides.
    pub fn recorded_member(&self, site: &Site) -> Option<usize> {
        let name = self.event["expect"]["tried"][self.tried.len()].as_str()?;
        site.find(name)
    }
}
