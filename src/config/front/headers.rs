//! Changes to headers: [`HeaderEdit`], with variables in values.

use std::borrow::Cow;
use std::fmt;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

use crate::config::text::is_framing;
use crate::config::{HeaderAction, HeaderRule, HeaderWhen};
use crate::proxy::reads_as;

/// A prepared change of a header.
#[derive(Clone, Debug)]
pub(in crate::config) struct HeaderEdit {
    action: HeaderAction,
    name: HeaderName,
    value: HeaderTemplate,
    when: HeaderWhen,
    /// The variable of the condition, and whether it must be set.
    condition: Option<(String, bool)>,
}

/// A value with variables.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct HeaderTemplate {
    pieces: Vec<HeaderPiece>,
}

#[derive(Clone, Debug)]
enum HeaderPiece {
    Text(String),
    Variable(String),
}

/// Why a header cannot be changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::config) enum HeaderError {
    #[error("{0:?} is not a header name")]
    Name(String),
    #[error("{0} determines the length of a body and cannot be changed")]
    Framing(String),
    #[error(
        "{0:?} is not a valid format: use `%{{NAME}}e` for a variable and `%%` for a percent sign"
    )]
    Format(String),
}

impl HeaderEdit {
    pub(in crate::config) fn new(rule: &HeaderRule) -> Result<Self, HeaderError> {
        let name = HeaderName::from_bytes(rule.name.as_bytes());
        if rule.action != HeaderAction::Unset && is_framing(&rule.name) {
            return Err(HeaderError::Framing(rule.name.clone()));
        }
        let condition = rule.condition.as_deref().map(|condition| {
            let not = condition.strip_prefix('!');
            (not.unwrap_or(condition).to_owned(), not.is_none())
        });
        Ok(Self {
            action: rule.action,
            name: name.map_err(|_| HeaderError::Name(rule.name.clone()))?,
            value: HeaderTemplate::new(&rule.value)?,
            when: rule.when,
            condition,
        })
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Returns whether it applies to a response, which may or may not come from a member.
    pub(super) fn is_for(&self, delivered: bool) -> bool {
        delivered || self.when == HeaderWhen::Always
    }

    /// Removes the header's name from `Connection`: a client could name it there to have it
    /// removed.
    pub(super) fn keep(&self, headers: &mut HeaderMap) {
        let is_it = |token: &&[u8]| {
            let token = token.trim_ascii();
            token.eq_ignore_ascii_case(self.name.as_str().as_bytes())
        };
        let tokens = |value: &HeaderValue| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|it| is_it(&it))
        };
        if !headers.get_all(CONNECTION).iter().any(tokens) {
            return;
        }
        let lines: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        headers.remove(CONNECTION);
        for line in lines {
            let tokens = line.as_bytes().split(|byte| *byte == b',');
            let left: Vec<&[u8]> = tokens.filter(|token| !is_it(token)).collect();
            let left = HeaderValue::from_bytes(&left.join(&b","[..]));
            // A part of a valid header value is valid.
            headers.extend(left.ok().map(|left| (CONNECTION, left)));
        }
    }

    /// Applies the change, with `variable` as the source of variables. A value that is not
    /// a valid header value is ignored.
    pub(super) fn apply<'v>(
        &self,
        headers: &mut HeaderMap,
        variable: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) {
        if let Some((name, set)) = &self.condition {
            if variable(name).is_some() != *set {
                return;
            }
        }
        if self.action == HeaderAction::Unset {
            headers.remove(&self.name);
            self.remove_spellings(headers);
            return;
        }
        let text = self.value.fill(variable);
        let Ok(value) = HeaderValue::from_str(&text) else {
            return;
        };
        match self.action {
            HeaderAction::Add => {
                headers.append(&self.name, value);
            }
            HeaderAction::Append => {
                // Several field lines are joined to one, which has the same meaning.
                let mut all: Vec<u8> = Vec::new();
                for known in headers.get_all(&self.name).iter().chain([&value]) {
                    if !all.is_empty() {
                        all.extend_from_slice(b", ");
                    }
                    all.extend_from_slice(known.as_bytes());
                }
                if let Ok(all) = HeaderValue::try_from(all) {
                    headers.insert(&self.name, all);
                }
            }
            HeaderAction::Set | HeaderAction::Unset => {
                headers.insert(&self.name, value);
                self.remove_spellings(headers);
            }
        }
    }

    /// Removes headers that many servers would treat as this header, because they read `_`
    /// as `-`. Removing a name with underscores does not remove the name with hyphens.
    fn remove_spellings(&self, headers: &mut HeaderMap) {
        let is_set = self.action == HeaderAction::Set;
        let is_spelling = |name: &&HeaderName| {
            **name != self.name
                && (is_set || name.as_str().contains('_'))
                && reads_as(name, &self.name)
        };
        let spellings: Vec<_> = headers.keys().filter(is_spelling).cloned().collect();
        for name in spellings {
            headers.remove(name);
        }
    }
}

impl HeaderTemplate {
    pub(in crate::config) fn new(text: &str) -> Result<Self, HeaderError> {
        let wrong = || HeaderError::Format(text.to_owned());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            if at > 0 {
                pieces.push(HeaderPiece::Text(rest[..at].to_owned()));
            }
            let format = &rest[at + 1..];
            if let Some(after) = format.strip_prefix('%') {
                pieces.push(HeaderPiece::Text("%".to_owned()));
                rest = after;
                continue;
            }
            let named = format.strip_prefix('{').and_then(|it| it.split_once('}'));
            let (name, after) = named.ok_or_else(wrong)?;
            rest = after.strip_prefix('e').ok_or_else(wrong)?;
            pieces.push(HeaderPiece::Variable(name.to_owned()));
        }
        if !rest.is_empty() {
            pieces.push(HeaderPiece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    fn fill<'v>(&self, variable: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                HeaderPiece::Text(piece) => text.push_str(piece),
                // httpd writes this for a variable that is not set.
                HeaderPiece::Variable(name) => {
                    text.push_str(&variable(name).unwrap_or(Cow::Borrowed("(null)")));
                }
            }
        }
        text
    }
}

impl fmt::Display for HeaderTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                HeaderPiece::Text(text) => f.write_str(&text.replace('%', "%%"))?,
                HeaderPiece::Variable(name) => write!(f, "%{{{name}}}e")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use http::HeaderMap;

    use super::{HeaderEdit, HeaderTemplate};
    use crate::config::{HeaderAction, HeaderRule, HeaderWhen};

    fn edited(action: HeaderAction, value: &str, condition: Option<&str>) -> Vec<String> {
        let rule = HeaderRule {
            action,
            name: "x".to_owned(),
            value: value.to_owned(),
            when: HeaderWhen::Always,
            condition: condition.map(str::to_owned),
        };
        let mut headers = HeaderMap::new();
        headers.append("x", "one".parse().unwrap());
        headers.append("x", "two".parse().unwrap());
        let variable = |name: &str| (name == "V").then_some(Cow::Borrowed("set"));
        HeaderEdit::new(&rule)
            .unwrap()
            .apply(&mut headers, variable);
        let all = headers.get_all("x").iter();
        all.map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn each_action_does_what_it_is_called() {
        assert_eq!(edited(HeaderAction::Add, "v", None), ["one", "two", "v"]);
        assert_eq!(edited(HeaderAction::Append, "v", None), ["one, two, v"]);
        assert_eq!(edited(HeaderAction::Set, "v", None), ["v"]);
        assert!(edited(HeaderAction::Unset, "", None).is_empty());
    }

    #[test]
    fn a_variable_decides_and_fills_the_value() {
        assert_eq!(
            edited(HeaderAction::Set, "[%{V}e]%%", Some("V")),
            ["[set]%"]
        );
        assert_eq!(edited(HeaderAction::Set, "%{W}e", Some("!W")), ["(null)"]);
        assert_eq!(edited(HeaderAction::Set, "v", Some("W")), ["one", "two"]);
        assert_eq!(edited(HeaderAction::Set, "v", Some("!V")), ["one", "two"]);
    }

    #[test]
    fn a_value_that_cannot_stand_in_a_header_is_left_out() {
        assert_eq!(edited(HeaderAction::Set, "a\nb", None), ["one", "two"]);
    }

    #[test]
    fn headers_that_determine_the_length_of_a_body_are_refused() {
        for name in ["Content-Length", "transfer-encoding"] {
            let rule = HeaderRule {
                action: HeaderAction::Set,
                name: name.to_owned(),
                value: "3".to_owned(),
                when: HeaderWhen::Always,
                condition: None,
            };
            assert!(HeaderEdit::new(&rule).is_err(), "{name}");
        }
    }

    #[test]
    fn unknown_formats_are_refused() {
        for text in ["%", "%t", "%{V}", "%{V", "%{V}i"] {
            assert!(HeaderTemplate::new(text).is_err(), "{text}");
        }
        let text = "a%%b%{V}ec";
        assert_eq!(HeaderTemplate::new(text).unwrap().to_string(), text);
    }
}
