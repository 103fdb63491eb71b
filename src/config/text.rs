//! Reads and writes durations, weights and flags, for both configuration formats.
//!
//! Not here: which values a setting accepts (`directive`).

use std::time::Duration;

use crate::member::Flag;

/// Apache's letter for each flag, and the name of the flag in other formats.
pub(super) const FLAGS: [(char, &str, Flag); 8] = [
    ('D', "disabled", Flag::Disabled),
    ('S', "stopped", Flag::Stopped),
    ('N', "draining", Flag::Draining),
    ('I', "ignore_errors", Flag::IgnoreErrors),
    ('R', "hot_spare", Flag::HotSpare),
    ('H', "hot_standby", Flag::HotStandby),
    ('E', "in_error", Flag::InError),
    ('C', "failed_check", Flag::FailedCheck),
];

/// Returns whether a header determines the length of a body. A changed value would allow
/// request smuggling.
pub(super) fn is_framing(header: &str) -> bool {
    let names = ["content-length", "transfer-encoding"];
    names.iter().any(|name| name.eq_ignore_ascii_case(header))
}

/// The longest duration: long enough for any use, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Reads `10`, `10s`, `500ms`, `5min` or `2h`; a number without a unit is in `unit`s.
/// Returns `None` for other texts and for more than a century. Units are in lower case, as
/// in httpd. httpd looks only at the first letters of a unit, and would read `1h30m` as one
/// hour.
pub(super) fn parse_duration(text: &str, unit: Duration) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let of = match suffix {
        "" => unit,
        "ms" | "msec" => Duration::from_millis(1),
        "s" | "sec" | "second" | "seconds" => Duration::from_secs(1),
        "mi" | "min" | "minute" | "minutes" => Duration::from_secs(60),
        "h" | "hour" | "hours" => Duration::from_secs(3600),
        _ => return None,
    };
    let milliseconds = number.checked_mul(u64::try_from(of.as_millis()).ok()?)?;
    Some(Duration::from_millis(milliseconds)).filter(|duration| *duration <= LONGEST)
}

/// Writes a duration in a form that reads back as the same duration: `90s`, or `1500ms`.
pub(super) fn print_duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(feature = "serde")]
pub(super) mod duration {
    //! A duration as a text with a unit.

    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for a reference to the field")]
    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&super::print_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        // A number without a unit is ambiguous.
        let bare = text.ends_with(|c: char| c.is_ascii_digit());
        let duration = super::parse_duration(&text, Duration::from_secs(1)).filter(|_| !bare);
        let error = || {
            D::Error::custom(format!(
                "{text:?} is not a duration: write 10s, 500ms, 5min or 2h"
            ))
        };
        duration.map(Some).ok_or_else(error)
    }
}

#[cfg(feature = "serde")]
pub(super) mod weight {
    //! A weight as a number.

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::member::Weight;

    #[expect(clippy::ref_option, reason = "serde asks for a reference to the field")]
    pub(in crate::config) fn serialize<S: Serializer>(
        weight: &Option<Weight>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match weight {
            Some(weight) => serializer.serialize_some(&(f64::from(weight.hundredths()) / 100.0)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Weight>, D::Error> {
        match Option::<f64>::deserialize(deserializer)? {
            Some(number) => Weight::try_from(number).map(Some).map_err(D::Error::custom),
            None => Ok(None),
        }
    }
}

#[cfg(feature = "serde")]
pub(super) mod flags {
    //! Flags by name.

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::FLAGS;
    use crate::member::Flag;

    pub(in crate::config) fn serialize<S: Serializer>(
        flags: &[Flag],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let name = |flag: &Flag| FLAGS.iter().find(|row| row.2 == *flag).map(|row| row.1);
        serializer.collect_seq(flags.iter().filter_map(name))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Flag>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let flag = |name: &String| {
            let row = FLAGS.iter().find(|row| row.1 == *name);
            row.map(|row| row.2).ok_or_else(|| {
                let known: Vec<_> = FLAGS.iter().map(|row| row.1).collect();
                D::Error::custom(format!(
                    "unknown flag {name:?}: use one of {}",
                    known.join(", ")
                ))
            })
        };
        names.iter().map(flag).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_duration, print_duration};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit_or_without() {
        for (text, expected) in [
            ("1500ms", "1500ms"),
            ("5min", "300s"),
            ("2h", "7200s"),
            ("4294967295", "4294967295s"),
        ] {
            let duration = parse_duration(text, SECOND).unwrap();
            assert_eq!(print_duration(duration), expected);
            assert_eq!(parse_duration(expected, SECOND), Some(duration));
        }
    }

    #[test]
    fn what_is_no_duration_or_too_long_is_none() {
        for text in [
            "",
            "s",
            "-1",
            "+1",
            "1.5",
            "1 s",
            "10x",
            "10S",
            "4294967296",
            "99999999999999999999h",
        ] {
            assert_eq!(parse_duration(text, SECOND), None, "{text}");
        }
    }
}
