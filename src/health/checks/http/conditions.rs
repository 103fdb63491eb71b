//! Decides which responses are good: [`ResponseConditions`]. Pure.
//!
//! Not here: getting the response (`connection`).

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use http::{HeaderName, StatusCode};
use regex::bytes::Regex;

use super::CheckResponse;
use crate::health::checks::ProbeError;

/// A condition given as a closure.
pub(super) type ConditionFn = dyn Fn(&CheckResponse) -> Result<(), ProbeError> + Send + Sync;

/// Conditions, all of which have to hold.
#[derive(Clone, Default)]
pub(super) struct ResponseConditions {
    /// Any of these is good; if empty, 200 to 399 are good, unless there is a closure.
    statuses: Vec<(u16, u16)>,
    headers: Vec<(HeaderName, Vec<u8>)>,
    contains: Vec<String>,
    matches: Vec<Regex>,
    closures: Vec<Arc<ConditionFn>>,
}

impl ResponseConditions {
    pub(super) fn status(&mut self, statuses: &impl RangeBounds<u16>) {
        let first = match statuses.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let last = match statuses.end_bound() {
            Bound::Included(&last) => last,
            Bound::Excluded(&behind) => behind.saturating_sub(1),
            Bound::Unbounded => u16::MAX,
        };
        self.statuses.push((first, last));
    }

    pub(super) fn header(&mut self, name: HeaderName, value: &str) {
        self.headers.push((name, value.as_bytes().to_vec()));
    }

    pub(super) fn body(&mut self, text: &str) {
        self.contains.push(text.to_owned());
    }

    pub(super) fn body_matching(&mut self, regex: Regex) {
        self.matches.push(regex);
    }

    pub(super) fn judge(&mut self, judge: Arc<ConditionFn>) {
        self.closures.push(judge);
    }

    /// Returns whether a condition is about the body.
    pub(super) fn looks_at_bodies(&self) -> bool {
        !self.contains.is_empty() || !self.matches.is_empty()
    }

    /// Checks the response to the request of this name.
    pub(super) fn hold(&self, name: &str, response: &CheckResponse) -> Result<(), ProbeError> {
        if !self.has_status(response.status) {
            let words = format!("{name} answered {}", response.status.as_u16());
            return Err(words.into());
        }
        for (header, value) in &self.headers {
            let mut values = response.headers.get_all(header).iter();
            if !values.any(|it| it.as_bytes() == value) {
                let value = String::from_utf8_lossy(value);
                return Err(format!("{name}: the response has no {header}: {value}").into());
            }
        }
        let missing = |what: fmt::Arguments<'_>| -> ProbeError {
            let read = response.body.len();
            let place = if response.is_truncated {
                format!("the first {read} bytes of the body")
            } else {
                "the body".to_owned()
            };
            format!("{name}: {what} is not in {place}").into()
        };
        for text in &self.contains {
            if !contains(&response.body, text.as_bytes()) {
                return Err(missing(format_args!("{text:?}")));
            }
        }
        for regex in &self.matches {
            if !regex.is_match(&response.body) {
                return Err(missing(format_args!("a match of {:?}", regex.as_str())));
            }
        }
        let mut judged = self.closures.iter().map(|judge| judge(response));
        let judged = judged.try_for_each(|judged| judged);
        judged.map_err(|error| error.during(name))
    }

    fn has_status(&self, status: StatusCode) -> bool {
        let status = status.as_u16();
        match &self.statuses[..] {
            [] => !self.closures.is_empty() || (200..=399).contains(&status),
            any => any
                .iter()
                .any(|&(first, last)| (first..=last).contains(&status)),
        }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|it| it == text)
}

impl fmt::Debug for ResponseConditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseConditions")
            .field("statuses", &self.statuses)
            .field("headers", &self.headers)
            .field("contains", &self.contains)
            .field("matches", &self.matches)
            .field("closures", &self.closures.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseConditions;
    use crate::health::CheckResponse;
    use http::{HeaderMap, HeaderName, StatusCode};
    use std::sync::Arc;

    fn response_with(status: u16, body: &'static str) -> CheckResponse {
        let mut headers = HeaderMap::new();
        headers.append("x-role", "spare".parse().unwrap());
        headers.append("x-role", "primary".parse().unwrap());
        CheckResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
            is_truncated: false,
            trailers: None,
        }
    }

    fn wrong(expected: &ResponseConditions, response: &CheckResponse) -> Option<String> {
        expected
            .hold("GET /", response)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn statuses_from_200_to_399_are_good_by_default() {
        for (status, is_good) in [
            (100, false),
            (199, false),
            (200, true),
            (204, true),
            (299, true),
            (301, true),
            (304, true),
            (399, true),
            (400, false),
            (404, false),
            (429, false),
            (500, false),
            (503, false),
            (599, false),
        ] {
            let found = wrong(&ResponseConditions::default(), &response_with(status, ""));
            let wanted = (!is_good).then(|| format!("GET / answered {status}"));
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn ranges_of_any_kind_are_added_up() {
        let mut expected = ResponseConditions::default();
        expected.status(&(200..300));
        expected.status(&(404..=404));
        expected.status(&(500..));
        let good = |status| wrong(&expected, &response_with(status, "")).is_none();
        assert!(good(200) && good(299) && good(404) && good(500) && good(599));
        assert!(!good(300) && !good(199) && !good(403) && !good(405) && !good(499));
    }

    #[test]
    fn each_condition_has_to_hold() {
        let mut expected = ResponseConditions::default();
        expected.header(HeaderName::from_static("x-role"), "primary");
        expected.body("ready");
        expected.body_matching(regex::bytes::Regex::new("lag=[0-9]$").unwrap());
        assert_eq!(wrong(&expected, &response_with(200, "ready lag=3")), None);
        let no = wrong(&expected, &response_with(200, "ready lag=30"));
        assert_eq!(
            no.unwrap(),
            "GET /: a match of \"lag=[0-9]$\" is not in the body"
        );
        let mut cut = response_with(200, "read");
        cut.is_truncated = true;
        let no = wrong(&expected, &cut).unwrap();
        assert_eq!(
            no,
            "GET /: \"ready\" is not in the first 4 bytes of the body"
        );
        cut.headers.clear();
        assert_eq!(
            wrong(&expected, &cut).unwrap(),
            "GET /: the response has no x-role: primary"
        );
        assert_eq!(
            wrong(&expected, &response_with(503, "ready lag=3")).unwrap(),
            "GET / answered 503"
        );
    }

    #[test]
    fn a_closure_replaces_the_default_statuses() {
        let mut expected = ResponseConditions::default();
        expected.judge(Arc::new(|response| match response.status().as_u16() {
            500 => Err("it is a teapot".into()),
            _ => Ok(()),
        }));
        assert_eq!(wrong(&expected, &response_with(404, "")), None);
        assert_eq!(
            wrong(&expected, &response_with(500, "")).unwrap(),
            "GET /: it is a teapot"
        );
        expected.status(&(200..=299));
        assert_eq!(
            wrong(&expected, &response_with(404, "")).unwrap(),
            "GET / answered 404"
        );
    }
}
