//! Types of `key=value` parameters, and how each is parsed and printed: the types behind
//! the tables in `member_parameters` and `balancer_parameters`.
//!
//! Not here: the list of keys, and where they are allowed.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::text::{parse_duration, print_duration};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A parameter: its key, its type, and its effect compared with httpd.
pub(in crate::config) struct Parameter<T> {
    pub(super) key: &'static str,
    pub(super) kind: ParameterKind<T>,
    pub(super) effect: ParameterEffect,
}

/// Whether a setting has less effect than in httpd.
#[derive(Clone, Copy)]
pub(super) enum ParameterEffect {
    Full,
    /// It has no effect, and none is needed.
    Note(&'static str),
    /// It has a different effect.
    Warning(&'static str),
}

/// The type of a value, and the field that it sets.
pub(super) enum ParameterKind<T> {
    Count {
        field: fn(&mut T) -> &mut Option<u32>,
        range: RangeInclusive<u32>,
    },
    /// A size in bytes: 0, or at least `least`.
    Size {
        field: fn(&mut T) -> &mut Option<u32>,
        least: u32,
    },
    Duration {
        field: fn(&mut T) -> &mut Option<Duration>,
        unit: Unit,
        range: RangeInclusive<Duration>,
    },
    Short {
        field: fn(&mut T) -> &mut Option<u16>,
        range: RangeInclusive<u16>,
    },
    Special {
        read: fn(&mut T, &str) -> ReadOutcome,
        print: fn(&T) -> Option<String>,
    },
    Switch {
        field: fn(&mut T) -> &mut Option<bool>,
    },
    Text {
        field: fn(&mut T) -> &mut Option<String>,
        longest: usize,
    },
}

/// The unit of a duration in httpd.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Unit {
    /// In milliseconds, unless another unit is written.
    Milliseconds,
    /// In seconds, unless another unit is written.
    Seconds,
    /// In milliseconds; httpd ignores a written unit.
    WholeMilliseconds,
    /// In seconds; httpd ignores a written unit.
    WholeSeconds,
}

/// The result of parsing a value: accepted, perhaps with a warning, or refused.
pub(super) type ReadOutcome = Result<Option<Remark>, Remark>;

/// A message and a hint.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Remark {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<T: Clone> Parameter<T> {
    pub(super) const fn new(key: &'static str, kind: ParameterKind<T>) -> Self {
        Self {
            key,
            kind,
            effect: ParameterEffect::Full,
        }
    }

    pub(super) const fn effect(mut self, effect: ParameterEffect) -> Self {
        self.effect = effect;
        self
    }

    /// Parses a value into its field.
    pub(super) fn read(&self, target: &mut T, value: &str) -> ReadOutcome {
        let key = self.key;
        match &self.kind {
            ParameterKind::Count { field, range } => {
                *field(target) = Some(number(key, value, range)?);
            }
            ParameterKind::Size { field, least } => {
                let size = number(key, value, &(0..=u32::MAX))?;
                if size != 0 && size < *least {
                    let message =
                        format!("`{key}` must be 0, for the default, or at least {least}");
                    return Err(Remark::new(message));
                }
                *field(target) = Some(size);
            }
            ParameterKind::Duration { field, unit, range } => {
                let (duration, warning) = duration(key, value, *unit, range)?;
                *field(target) = Some(duration);
                return Ok(warning);
            }
            ParameterKind::Short { field, range } => {
                let range = u32::from(*range.start())..=u32::from(*range.end());
                *field(target) = u16::try_from(number(key, value, &range)?).ok();
            }
            ParameterKind::Special { read, .. } => return read(target, value),
            ParameterKind::Switch { field } => *field(target) = Some(switch(key, value)?),
            ParameterKind::Text { field, longest } => {
                *field(target) = Some(text(key, value, *longest)?);
            }
        }
        Ok(None)
    }

    /// Prints the value so that it reads back as the same value; `None` if it is not set.
    pub(super) fn print(&self, from: &T) -> Option<String> {
        let mut from = from.clone();
        match &self.kind {
            ParameterKind::Count { field, .. } | ParameterKind::Size { field, .. } => {
                field(&mut from).map(|number| number.to_string())
            }
            ParameterKind::Duration { field, unit, .. } => {
                field(&mut from).map(|duration| match unit {
                    Unit::WholeMilliseconds => duration.as_millis().to_string(),
                    Unit::WholeSeconds if duration.subsec_millis() == 0 => {
                        duration.as_secs().to_string()
                    }
                    _ => print_duration(duration),
                })
            }
            ParameterKind::Short { field, .. } => field(&mut from).map(|number| number.to_string()),
            ParameterKind::Special { print, .. } => print(&from),
            ParameterKind::Switch { field } => {
                field(&mut from).map(|on| print_switch(on).to_owned())
            }
            ParameterKind::Text { field, .. } => field(&mut from).clone(),
        }
    }
}

/// Prints all parameters that are set: `key=value`.
pub(in crate::config) fn print_all<T: Clone>(table: &[Parameter<T>], from: &T) -> Vec<String> {
    let print = |row: &Parameter<T>| Some(format!("{}={}", row.key, row.print(from)?));
    table.iter().filter_map(print).collect()
}

/// Parses a whole number.
pub(super) fn number(what: &str, value: &str, range: &RangeInclusive<u32>) -> Result<u32, Remark> {
    let digits = value.strip_prefix('+').unwrap_or(value);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let in_range = digits.parse().ok().filter(|number| range.contains(number));
    match in_range {
        Some(number) if all_digits => Ok(number),
        _ if all_digits => Err(Remark::new(format!(
            "`{what}` must be {}, not {value}",
            within(range)
        ))),
        _ => {
            let remark = Remark::new(format!("`{value}` is not a whole number"));
            let junk = value.trim_start_matches(|c: char| c.is_ascii_digit());
            Err(if junk.len() < value.len() && !value.is_empty() {
                remark.with_hint(format!("httpd 2.4 would ignore `{junk}`: remove it"))
            } else {
                remark.with_hint(format!("`{what}` must be {}", within(range)))
            })
        }
    }
}

fn within(range: &RangeInclusive<u32>) -> String {
    match (range.start(), range.end()) {
        (start, &u32::MAX) => format!("{start} or more"),
        (start, end) => format!("{start} to {end}"),
    }
}

/// Parses a duration, and warns if httpd would read a different one.
pub(super) fn duration(
    what: &str,
    value: &str,
    unit: Unit,
    range: &RangeInclusive<Duration>,
) -> Result<(Duration, Option<Remark>), Remark> {
    let default = match unit {
        Unit::Milliseconds | Unit::WholeMilliseconds => MILLISECOND,
        Unit::Seconds | Unit::WholeSeconds => SECOND,
    };
    let Some(duration) = parse_duration(value, default) else {
        let remark = Remark::new(format!("`{value}` is not a duration"));
        return Err(remark.with_hint("write 10s, 500ms, 5min or 2h"));
    };
    if !range.contains(&duration) {
        let (start, end) = (print_duration(*range.start()), print_duration(*range.end()));
        return Err(Remark::new(if *range.end() == Duration::MAX {
            format!("`{what}` must be at least {start}")
        } else {
            format!("`{what}` must be {start} to {end}")
        }));
    }
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let in_httpd = match unit {
        Unit::WholeMilliseconds | Unit::WholeSeconds => parse_duration(digits, default),
        Unit::Milliseconds | Unit::Seconds => Some(duration),
    };
    let warning = in_httpd.filter(|other| *other != duration).map(|other| {
        Remark::new(format!(
            "`{what}={value}` is {}; httpd 2.4 ignores the unit and would use {}",
            print_duration(duration),
            print_duration(other),
        ))
    });
    Ok((duration, warning))
}

/// Parses `On` or `Off`.
pub(super) fn switch(what: &str, value: &str) -> Result<bool, Remark> {
    if value.eq_ignore_ascii_case("on") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("off") {
        Ok(false)
    } else {
        Err(Remark::new(format!(
            "`{what}` must be `On` or `Off`, not `{value}`"
        )))
    }
}

pub(in crate::config) fn print_switch(on: bool) -> &'static str {
    if on { "On" } else { "Off" }
}

/// Checks the length of a text.
pub(super) fn text(what: &str, value: &str, longest: usize) -> Result<String, Remark> {
    if value.len() <= longest {
        return Ok(value.to_owned());
    }
    let length = value.len();
    let message = format!("`{what}` has {length} bytes; the limit is {longest}");
    Err(Remark::new(message))
}

/// Returns the most similar known word, if one is similar enough.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing names is slow, and no known name is longer.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &known.to_ascii_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    let tolerated = 1 + word.chars().count() / 4;
    (distance <= tolerated).then_some(known)
}
