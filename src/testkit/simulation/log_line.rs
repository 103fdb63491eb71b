//! One line of an access log: [`LoggedRequest`].
//!
//! Not here: reading a file, and the order of its lines (`access_log`).

use std::time::Duration;

use crate::stable_hash::hash_bytes;

/// The longest duration that is read. A larger number is something else, such as nginx's
/// `$msec`, the seconds since 1970.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What a line of an access log has about a request's client and times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LoggedRequest<'l> {
    /// The hash of the client's address or name.
    pub(super) client: u64,
    /// In whole seconds since 1970, UTC.
    pub(super) second: i64,
    /// How long the request took, if the line has it.
    pub(super) took: Option<Duration>,
    /// Whether `second` is that of the end of the request and not that of its start.
    pub(super) at_end: bool,
    /// The last field, if a duration may be there but it cannot be read as one.
    pub(super) unread: Option<&'l str>,
}

impl<'l> LoggedRequest<'l> {
    /// Reads a line in the common or combined format:
    /// `host ident user [time] "request" status bytes "referer" "agent" duration`, where the
    /// last three may be missing, and other fields may be before the duration.
    ///
    /// A whole number is Apache's `%D`, in microseconds; the time is then that of the start.
    /// A number with a point is nginx's `$request_time`, in seconds; the time is then that of
    /// the end. A name may come before it, as in `rt=0.005`. `-` is no duration.
    pub(super) fn parse(line: &'l str) -> Option<Self> {
        let (client, rest) = line.split_once('[')?;
        let client = client.split(' ').next().unwrap_or_default();
        let (time, rest) = rest.split_once(']')?;
        let second = parse_time(time)?;
        let mut fields = LogFields(rest);
        fields.next()?; // the request
        let status = fields.next()?.text;
        let is_status = status.len() == 3 && status.bytes().all(|it| it.is_ascii_digit());
        let bytes = fields.next()?.text;
        let is_count = bytes == "-" || bytes.bytes().all(|it| it.is_ascii_digit());
        if !is_status || !is_count {
            return None;
        }
        // A referer or an agent is no duration, even if it is a number.
        let last = fields.enumerate().last();
        let last = last.filter(|(at, field)| *at > 1 || !field.is_quoted);
        let last = last.map(|(_, field)| value(field.text));
        let last = last.filter(|text| *text != "-");
        let duration = last.and_then(parse_duration);
        Some(Self {
            client: hash_bytes(client.as_bytes()),
            second,
            took: duration.map(|(took, _)| took),
            at_end: duration.is_some_and(|(_, at_end)| at_end),
            unread: last.filter(|_| duration.is_none()),
        })
    }
}

/// A field of a line, without its quotes.
struct LogField<'l> {
    text: &'l str,
    is_quoted: bool,
}

/// The fields of the rest of a line. A quoted field may contain spaces; in it, a backslash
/// takes away the meaning of the next character.
struct LogFields<'l>(&'l str);

impl<'l> Iterator for LogFields<'l> {
    type Item = LogField<'l>;

    fn next(&mut self) -> Option<LogField<'l>> {
        let rest = self.0.trim_start();
        if rest.is_empty() {
            return None;
        }
        let quoted = rest.strip_prefix('"');
        let (text, rest) = match quoted {
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.bytes().position(|byte| {
                    let ends = byte == b'"' && !escaped;
                    escaped = byte == b'\\' && !escaped;
                    ends
                });
                // Without an end, the line was cut off.
                let end = end?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        self.0 = rest;
        Some(LogField {
            text,
            is_quoted: quoted.is_some(),
        })
    }
}

/// Returns the value of a field such as `rt=0.005` or `rt="0.005"`.
fn value(field: &str) -> &str {
    let value = field.rsplit_once('=').map_or(field, |(_, value)| value);
    value.trim_matches('"')
}

/// Reads a duration, and returns whether it is one of nginx.
fn parse_duration(number: &str) -> Option<(Duration, bool)> {
    if !number.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
        return None;
    }
    let at_end = number.contains('.');
    let took = if at_end {
        Duration::try_from_secs_f64(number.parse().ok()?).ok()?
    } else {
        Duration::from_micros(number.parse().ok()?)
    };
    (took <= LONGEST).then_some((took, at_end))
}

/// Reads a time such as `10/Oct/2000:13:55:36 -0700`, in seconds since 1970, UTC.
fn parse_time(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (date, zone) = text.split_once(' ')?;
    let mut parts = date.splitn(3, '/');
    let day = number(parts.next()?)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|it| it.eq_ignore_ascii_case(name))?;
    let mut clock = parts.next()?.split(':');
    let mut next = || number(clock.next()?);
    let (year, hour, minute, second) = (next()?, next()?, next()?, next()?);
    let month = i64::try_from(month).ok()? + 1;
    let (next_year, next_month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    let days = days_since_1970(next_year, next_month, 1) - days_since_1970(year, month, 1);
    // A leap second is 60.
    let valid = (1..=days).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !valid || clock.next().is_some() {
        return None;
    }
    let (sign, zone) = match zone.as_bytes().first()? {
        b'+' => (1, zone.get(1..)?),
        b'-' => (-1, zone.get(1..)?),
        _ => return None,
    };
    let zone = (zone.len() == 4).then(|| number(zone))??;
    // The offsets of the world are from -12:00 to +14:00.
    if zone > 1400 || zone % 100 >= 60 {
        return None;
    }
    let offset = sign * (zone / 100 * 60 + zone % 100);
    let days = days_since_1970(year, month, day);
    Some(((days * 24 + hour) * 60 + minute - offset) * 60 + second)
}

fn number(digits: &str) -> Option<i64> {
    let plain = digits.len() <= 4 && digits.bytes().all(|it| it.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar.
///
/// Source: Hinnant: *chrono-compatible low-level date algorithms*, `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::{LoggedRequest, hash_bytes};
    use std::time::Duration;

    const APACHE: &str =
        r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326"#;

    #[test]
    fn the_common_format_has_no_duration() {
        let read = LoggedRequest::parse(APACHE).unwrap();
        let expected = LoggedRequest {
            client: hash_bytes(b"127.0.0.1"),
            second: 971_211_336,
            took: None,
            at_end: false,
            unread: None,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_whole_number_is_in_microseconds_and_the_time_that_of_the_start() {
        for tail in [
            " 1500",
            r#" "http://a/" "Mozilla/5.0 (X11)" 1500"#,
            r#" "-" "a \"quoted\" agent" 1500"#,
            " D=1500",
        ] {
            let line = format!("{APACHE}{tail}");
            let read = LoggedRequest::parse(&line).unwrap();
            assert_eq!(read.took, Some(Duration::from_micros(1_500)), "{tail}");
            assert!(!read.at_end);
        }
    }

    #[test]
    fn a_number_with_a_point_is_in_seconds_and_the_time_that_of_the_end() {
        for tail in [
            r#" "-" "curl/8.5" 0.005"#,
            r#" "-" "curl/8.5" "-" rt=0.005"#,
            r#" "-" "curl/8.5" "0.005""#,
            r#" "-" "curl/8.5" ut="-" rt="0.005""#,
        ] {
            let line = format!("{APACHE}{tail}");
            let read = LoggedRequest::parse(&line).unwrap();
            assert_eq!(read.took, Some(Duration::from_millis(5)), "{tail}");
            assert!(read.at_end);
        }
    }

    #[test]
    fn a_combined_line_without_a_duration_has_none() {
        let line = format!(r#"{APACHE} "-" "curl/8.5.0""#);
        let read = LoggedRequest::parse(&line).unwrap();
        assert_eq!((read.took, read.unread), (None, None));
    }

    #[test]
    fn a_referer_or_agent_that_is_a_number_is_no_duration() {
        for tail in [
            r#" "-" "1500""#,
            r#" "-" "v=0.5""#,
            r#" "http://a/?page=5" "curl"#,
            r#" "-" "curl" -"#,
            r#" "-" "curl" rt="-""#,
        ] {
            let line = format!("{APACHE}{tail}");
            let read = LoggedRequest::parse(&line).unwrap();
            assert_eq!((read.took, read.unread), (None, None), "{tail}");
        }
    }

    #[test]
    fn a_last_field_that_is_no_duration_is_kept() {
        for last in [
            "nan",
            "-0.100",
            "1e400",
            "99999999999999999999",
            "1617181920.123",
            "0.5.1",
            "www.example.com",
        ] {
            let line = format!(r#"{APACHE} "-" "curl" rt={last}"#);
            let read = LoggedRequest::parse(&line).unwrap();
            assert_eq!((read.took, read.unread), (None, Some(last)));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "no log",
            "[]",
            r#"::1 - - [10/Oct/2000:13:55:36] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [10/Foo/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [10/Oct/2000:24:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [31/Feb/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [29/Feb/2100:13:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [31/Nov/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [32/Dec/2000:13:55:36 +0000] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [10/Oct/2000:13:55:36 +0099] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [10/Oct/2000:13:55:36 -9900] "GET / HTTP/1.0" 200 5"#,
            r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" 200"#,
            r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0 200 5"#,
            r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.0" ok 5"#,
            r#"::1 - - [10/Oct/2000:13:55:36 é000] "GET / HTTP/1.0" 200 5"#,
        ] {
            assert_eq!(LoggedRequest::parse(line), None, "{line}");
        }
    }

    #[test]
    fn days_are_counted_through_leap_years() {
        for (date, seconds) in [
            ("01/Jan/1970:00:00:00 +0000", 0),
            ("29/Feb/2000:00:00:00 +0000", 951_782_400),
            ("01/Mar/2100:00:00:00 +0000", 4_107_542_400),
            ("31/Dec/1969:23:59:59 +0000", -1),
            ("01/Jan/1970:05:30:00 +0530", 0),
        ] {
            assert_eq!(super::parse_time(date), Some(seconds), "{date}");
        }
    }
}
