//! Reads numbers and parameter lists as Apache reads them (prefixes of numbers count, fractions of
//! weights are cut). Knows no parameter by name.

use std::collections::BTreeMap;

use serde_json::Value;

/// The parameters of a member or of the balancer; names are case-insensitive.
#[derive(Clone, Debug, Default)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    pub fn of(value: &Value) -> Self {
        let mut found = BTreeMap::new();
        for (key, value) in value.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            found.insert(key.to_ascii_lowercase(), text);
        }
        Self(found)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn on(&self, key: &str) -> bool {
        self.text(key)
            .is_some_and(|text| text.eq_ignore_ascii_case("on"))
    }

    pub fn off(&self, key: &str) -> bool {
        self.text(key)
            .is_some_and(|text| text.eq_ignore_ascii_case("off"))
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.text(key).map(int)
    }

    /// Whole seconds, in microseconds.
    pub fn seconds(&self, key: &str) -> Option<i64> {
        self.int(key).map(|seconds| seconds * SECOND)
    }

    /// A number with a unit, which is `unit` if it has none, in microseconds.
    pub fn duration(&self, key: &str, unit: i64) -> Option<i64> {
        let text = self.text(key)?;
        let named = text
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .to_ascii_lowercase();
        let scale = match named.as_str() {
            "" => unit,
            named if named.starts_with("ms") => SECOND / 1000,
            named if named.starts_with("mi") => 60 * SECOND,
            named if named.starts_with('h') => 3_600 * SECOND,
            _ => SECOND,
        };
        Some(int(text) * scale)
    }
}

/// The unit of the model's clock is the microsecond, as in Apache.
pub const SECOND: i64 = 1_000_000;

/// C's `atoi`: the integer that the text starts with, else 0.
pub fn int(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end]
        .parse::<i64>()
        .map_or(0, |number| sign * number)
}

/// C's `atof`: the number that the text starts with, else 0.
pub fn float(text: &str) -> f64 {
    let text = text.trim_start();
    (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find_map(|end| text[..end].parse::<f64>().ok())
        .unwrap_or(0.0)
}

/// A load factor in hundredths, cut as C cuts it: 1.15 is 114.
pub fn hundredths_cut(text: &str) -> i64 {
    (float(text) * 100.0) as i64
}

/// A load factor in hundredths, as it was meant: 1.15 is 115.
pub fn hundredths_exact(text: &str) -> i64 {
    (float(text) * 100.0).round() as i64
}
