//! Numbers as text.

use std::time::Duration;

/// Returns a number with three significant digits, or all of the whole part.
pub(crate) fn number(number: f64) -> String {
    match number {
        n if n < 0.000_5 => "0".to_owned(),
        n if n < 0.1 => format!("{n:.3}"),
        n if n < 10.0 => format!("{n:.2}"),
        n if n < 100.0 => format!("{n:.1}"),
        n => grouped(&format!("{n:.0}")),
    }
}

/// As [`number`], for one that is not zero: a very small one is not written as zero.
pub(crate) fn above_zero(value: f64) -> String {
    match number(value).as_str() {
        "0" => "less than 0.001".to_owned(),
        text => text.to_owned(),
    }
}

/// Writes a length of time in a unit that suits it.
pub(crate) fn period(time: Duration) -> String {
    let units = [(86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")];
    let seconds = time.as_secs_f64();
    let unit = units.into_iter().find(|(unit, _)| seconds >= 2.0 * unit);
    let (unit, name) = unit.unwrap_or((1.0, "seconds"));
    format!("{} {name}", number(seconds / unit))
}

/// Groups the digits of a whole number in threes, with narrow spaces.
pub(crate) fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Writes a round number, with as few digits as it needs.
pub(crate) fn round_number(number: f64) -> String {
    if number.abs() >= 1.0 || number == 0.0 {
        let text = format!("{:.3}", number);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return match text.contains('.') {
            true => text.to_owned(),
            false => grouped(text),
        };
    }
    let digits = (-number.abs().log10()).ceil().max(0.0) as usize;
    let text = format!("{number:.0$}", digits + 1);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
