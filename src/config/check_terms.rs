//! Conditions on the response to a health check (Apache: `ProxyHCExpr`): [`read`] and
//! [`holds`].
//!
//! Not here: the syntax of expressions (`expression`), and when members are checked
//! (`assemble`).

use std::borrow::Cow;

use super::{Expression, ExpressionError, ExpressionLookup, ExpressionName};
use crate::health::{CheckResponse, ProbeError};

/// The supported terms, for a hint.
pub(super) const TERMS: &str =
    "supported are `%{REQUEST_STATUS}`, `resp('Name-Of-Header')` and `hc('body')`";

/// Parses a condition, and checks that it uses only supported terms.
pub(super) fn read(text: &str) -> Result<Expression, ExpressionError> {
    let expression = Expression::parse(text)?;
    expression.check(|name| match name {
        ExpressionName::Function(name) => ["hc", "resp"].iter().any(|it| same(it, name)),
        ExpressionName::Variable(name) => same("REQUEST_STATUS", name),
    })?;
    Ok(expression)
}

/// Returns whether a condition uses the body.
pub(super) fn looks_at_body(expression: &Expression) -> bool {
    expression.calls("hc")
}

/// Checks that a response meets a condition.
pub(super) fn holds(expression: &Expression, response: &CheckResponse) -> Result<(), ProbeError> {
    match expression.evaluate(&CheckLookup(response)) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let status = response.status().as_u16();
            Err(format!("the response with status {status} does not meet the condition").into())
        }
        Err(error) => Err(ProbeError::caused_by(
            "the condition cannot be evaluated",
            error,
        )),
    }
}

fn same(known: &str, name: &str) -> bool {
    known.eq_ignore_ascii_case(name)
}

struct CheckLookup<'a>(&'a CheckResponse);

impl ExpressionLookup for CheckLookup<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let status = || self.0.status().as_u16().to_string().into_bytes();
        same("REQUEST_STATUS", name).then(|| status().into())
    }

    fn function(&self, name: &str, argument: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
        let response = self.0;
        if same("resp", name) {
            return Some(Ok(header(response, argument)));
        }
        if !same("hc", name) {
            return None;
        }
        Some(if !argument.eq_ignore_ascii_case(b"body") {
            Err("only `hc('body')` is supported".to_owned())
        } else if response.is_truncated() {
            let read = response.body().len();
            Err(format!("the body is longer than {read} bytes"))
        } else {
            Ok(response.body().into())
        })
    }
}

/// Returns the values of a header, joined by commas.
fn header<'a>(response: &'a CheckResponse, name: &[u8]) -> Cow<'a, [u8]> {
    let Ok(name) = http::HeaderName::from_bytes(name) else {
        return Cow::Borrowed(b"");
    };
    let fields = response.headers().get_all(name).iter();
    let fields: Vec<&[u8]> = fields.map(http::HeaderValue::as_bytes).collect();
    match fields[..] {
        [only] => only.into(),
        _ => fields.join(&b", "[..]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{looks_at_body, read};

    #[test]
    fn a_condition_asks_only_for_what_there_is() {
        for (text, wrong) in [
            (
                "%{request_status} == 200 && hc('body') =~ /ok/ && resp('X') == ''",
                None,
            ),
            ("HC('body') == ''", None),
            (
                "%{REQUEST_URI} == '/'",
                Some("1:1: unknown variable `REQUEST_URI`"),
            ),
            (
                "true || req('Host') == ''",
                Some("1:9: unknown function `req`"),
            ),
            ("%{REQUEST_STATUS}", Some("1:18: the expression ends here")),
        ] {
            let found = read(text).err().map(|error| error.to_string());
            match (found, wrong) {
                (Some(found), Some(wrong)) => assert!(found.starts_with(wrong), "{found}"),
                (found, wrong) => assert_eq!(found.as_deref(), wrong, "{text}"),
            }
        }
        assert!(looks_at_body(&read("'%{hc:body}' == ''").unwrap()));
        assert!(!looks_at_body(&read("resp('hc') == ''").unwrap()));
    }
}
