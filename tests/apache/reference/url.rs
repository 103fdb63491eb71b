//! From a request's path to the URL in which Apache looks for a session (specification 3.1, 8.1 and
//! 8.2): as much of the mapping as the cases' plain rules need.

use serde_json::Value;

/// One `ProxyPass`.
#[derive(Clone, Debug)]
pub struct Rule {
    path: String,
    target: String,
    raw: bool,
}

/// Where a path leads.
#[derive(Debug, Eq, PartialEq)]
pub enum Mapped {
    /// To the balancer, by this URL.
    Balancer(String),
    /// Not to the balancer.
    Elsewhere,
    /// The plain rules do not say: the recording has to.
    Undecided,
}

/// The rules of a case; `None` if there are others that this model does not read.
pub fn rules(config: &Value) -> Option<Vec<Rule>> {
    let texts = ["server", "extra"]
        .into_iter()
        .flat_map(|key| config[key].as_array());
    let mut lines = texts.flatten().filter_map(Value::as_str);
    if lines.any(|line| line.trim_start().starts_with("ProxyPass") && !line.contains("Reverse")) {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rule = |value: &Value| Rule {
        path: text(&value["path"]),
        target: text(&value["target"]),
        raw: value["flags"]
            .as_array()
            .is_some_and(|flags| flags.contains(&"nocanon".into())),
    };
    Some(config["mapping"].as_array()?.iter().map(rule).collect())
}

/// Maps a path and a query.
pub fn map(rules: Option<&[Rule]>, name: &str, raw: &str, query: &str) -> Mapped {
    let lower = raw.to_ascii_lowercase();
    let odd = lower.contains("%2f") || lower.contains("%00") || !raw.starts_with('/');
    let (Some(rules), false) = (rules, odd) else {
        return Mapped::Undecided;
    };
    let (raw, query) = match raw.split_once('?') {
        Some((raw, inline)) if query.is_empty() => (raw, inline),
        _ => (raw, query),
    };
    let path = normal(&decoded(raw));
    for rule in rules {
        let prefix = rule.path.trim_end_matches('/');
        let slash = rule.path.len() > prefix.len();
        let Some(rest) = path.strip_prefix(prefix) else {
            continue;
        };
        if (slash && !rest.starts_with('/')) || !(rest.is_empty() || rest.starts_with('/')) {
            continue;
        }
        if rule.target == "!" {
            return Mapped::Elsewhere;
        }
        let raw_rest = raw.strip_prefix(prefix).filter(|_| rule.raw);
        let rest = raw_rest.unwrap_or(rest);
        let rest = if slash { &rest[1..] } else { rest };
        let joined = format!("{}{rest}", rule.target);
        if !joined.is_empty() && !joined.starts_with('/') {
            return Mapped::Undecided;
        }
        let question = if query.is_empty() { "" } else { "?" };
        return Mapped::Balancer(format!("balancer://{name}{joined}{question}{query}"));
    }
    Mapped::Elsewhere
}

/// %-decodes a text; what is no escape stays.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Merges slashes and resolves dot segments.
fn normal(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let pieces: Vec<&str> = path.split('/').filter(|piece| !piece.is_empty()).collect();
    for piece in &pieces {
        match *piece {
            "." => {}
            ".." => {
                segments.pop();
            }
            piece => segments.push(piece),
        }
    }
    let directory = path.ends_with('/') || matches!(pieces.last(), Some(&("." | "..")));
    let slash = if directory && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{slash}", segments.join("/"))
}
