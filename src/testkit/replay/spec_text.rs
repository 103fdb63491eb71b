//! The settings of members as text, and percent-encoded words.

use std::fmt::Write;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::member::{Flag, MemberSpec, Overrides, Ramp, Status, Weight};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b':')
    .remove(b'/')
    .remove(b'[')
    .remove(b']');

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Encodes a text as one word.
pub(super) fn encoded(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    utf8_percent_encode(text, ENCODED).to_string()
}

pub(super) fn decoded(word: &str) -> Result<String, String> {
    if word == "%" {
        return Ok(String::new());
    }
    let mut escapes = word.split('%').skip(1).map(str::as_bytes);
    let is_escape = |it: &[u8]| it.len() >= 2 && it[..2].iter().all(u8::is_ascii_hexdigit);
    if !escapes.all(is_escape) {
        return Err(format!("`{word}` has a `%` without two hexadecimal digits"));
    }
    let text = percent_decode_str(word).decode_utf8();
    text.map(Into::into)
        .map_err(|_| format!("`{word}` is not UTF-8"))
}

/// Reads a number.
pub(super) fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse()
        .map_err(|_| format!("`{word}` is not a number"))
}

/// Reads a time in nanoseconds.
pub(super) fn time_of(word: &str) -> Result<Duration, String> {
    let nanos: u128 = number(word)?;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND);
    let seconds = seconds.map_err(|_| format!("`{word}` is too long a time"))?;
    let rest = (nanos % NANOS_PER_SECOND) as u32;
    Ok(Duration::new(seconds, rest))
}

/// The name of a flag as one word.
pub(super) fn flag_word(flag: Flag) -> String {
    flag.to_string().replace(' ', "_")
}

pub(super) fn flag_of(word: &str) -> Result<Flag, String> {
    let mut flags = Flag::ALL.into_iter();
    let found = flags.find(|&flag| flag_word(flag) == word);
    found.ok_or_else(|| format!("there is no flag `{word}`"))
}

pub(super) fn ramp_text(ramp: Ramp, between: char) -> String {
    let window = ramp.window().as_nanos();
    let (aggression, percent) = (ramp.aggression(), ramp.min_percent());
    format!("{window}{between}{aggression}{between}{percent}")
}

pub(super) fn ramp_of<'w>(mut words: impl Iterator<Item = &'w str>) -> Result<Ramp, String> {
    let mut word = || words.next().ok_or("a ramp has three numbers");
    let window = time_of(word()?)?;
    let ramp = Ramp::over(window).with_aggression(number(word()?)?);
    let ramp = ramp.map_err(|error| error.to_string())?;
    Ok(ramp.with_min_percent(number(word()?)?))
}

/// Returns the settings that differ from the defaults, each after a space.
pub(super) fn spec_text(spec: &MemberSpec) -> String {
    let plain = MemberSpec::new();
    let mut text = String::new();
    let mut add = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = write!(text, " {name}={value}");
    };
    if spec.weight() != plain.weight() {
        add("weight", spec.weight().hundredths().to_string());
    }
    if spec.tier() != plain.tier() {
        add("tier", spec.tier().to_string());
    }
    if let Some(cap) = spec.max_in_flight() {
        add("cap", cap.to_string());
    }
    if spec.recovery_delay() != plain.recovery_delay() {
        add("recovery", spec.recovery_delay().as_nanos().to_string());
    }
    if let Some(route) = spec.route() {
        add("route", encoded(route));
    }
    if let Some(route) = spec.redirect_route() {
        add("redirect", encoded(route));
    }
    if let Some(ramp) = spec.ramp() {
        add("ramp", ramp_text(ramp, '/'));
    }
    if spec.status() != Status::NORMAL {
        let flags: Vec<String> = spec.status().iter().map(flag_word).collect();
        add("flags", flags.join("+"));
    }
    for (name, label) in spec.labels().iter() {
        add("label", format!("{}={}", encoded(name), encoded(label)));
    }
    text
}

/// Returns the settings of an operator, each after a space.
pub(super) fn overrides_text(overrides: &Overrides) -> String {
    let (set, cleared) = overrides.flags();
    let flags = |flags: Status| {
        let words: Vec<String> = flags.iter().map(flag_word).collect();
        (flags != Status::NORMAL).then(|| words.join("+"))
    };
    let settings = [
        (
            "weight",
            overrides.weight().map(|it| it.hundredths().to_string()),
        ),
        ("tier", overrides.tier().map(|tier| tier.to_string())),
        ("cap", overrides.max_in_flight().map(|cap| cap.to_string())),
        ("route", overrides.route().map(encoded)),
        ("redirect", overrides.redirect_route().map(encoded)),
        ("flags", flags(set)),
        ("flags_off", flags(cleared)),
    ];
    let settings = settings.into_iter();
    let present = settings.filter_map(|(name, value)| Some(format!(" {name}={}", value?)));
    present.collect()
}

/// Reads the settings of an operator.
pub(super) fn overrides_of<'w>(words: impl Iterator<Item = &'w str>) -> Result<Overrides, String> {
    let mut overrides = Overrides::new();
    let mut seen = Vec::new();
    for word in words {
        let (name, value) = setting(word, &mut seen)?;
        overrides = match name {
            "weight" => overrides.with_weight(weight_of(value)?),
            "tier" => overrides.with_tier(number(value)?),
            "cap" => overrides.with_max_in_flight(number(value)?),
            "route" => overrides.with_route(decoded(value)?),
            "redirect" => overrides.with_redirect_route(decoded(value)?),
            "flags" => flags_of(value)?.fold(overrides, Overrides::with_flag),
            "flags_off" => flags_of(value)?.fold(overrides, Overrides::with_flag_off),
            _ => return Err(format!("there is no setting `{name}`")),
        };
    }
    Ok(overrides)
}

/// Splits a setting, which `seen` must not contain yet; there may be several labels.
fn setting<'w>(word: &'w str, seen: &mut Vec<&'w str>) -> Result<(&'w str, &'w str), String> {
    let setting = word.split_once('=');
    let (name, value) = setting.ok_or_else(|| format!("`{word}` is not a setting"))?;
    once(name, seen)?;
    Ok((name, value))
}

/// Refuses a name that `seen` contains, unless it is that of a label.
pub(super) fn once<'w>(name: &'w str, seen: &mut Vec<&'w str>) -> Result<(), String> {
    if seen.contains(&name) && name != "label" {
        return Err(format!("`{name}` is set twice"));
    }
    seen.push(name);
    Ok(())
}

/// Reads a weight in hundredths.
fn weight_of(word: &str) -> Result<Weight, String> {
    let weight = Weight::from_hundredths(number(word)?);
    weight.map_err(|error| error.to_string())
}

fn flags_of(word: &str) -> Result<impl Iterator<Item = Flag> + use<>, String> {
    let flags = word.split('+').map(flag_of);
    Ok(flags.collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// Reads settings.
pub(super) fn spec_of<'w>(words: impl Iterator<Item = &'w str>) -> Result<MemberSpec, String> {
    let mut spec = MemberSpec::new();
    let mut seen = Vec::new();
    for word in words {
        let (name, value) = setting(word, &mut seen)?;
        spec = match name {
            "weight" => spec.with_weight(weight_of(value)?),
            "tier" => spec.with_tier(number(value)?),
            "cap" => spec.with_max_in_flight(number(value)?),
            "recovery" => spec.with_recovery_delay(time_of(value)?),
            "route" => spec.with_route(decoded(value)?),
            "redirect" => spec.with_redirect_route(decoded(value)?),
            "ramp" => spec.with_ramp(ramp_of(value.split('/'))?),
            "flags" => flags_of(value)?.fold(spec, MemberSpec::with_flag),
            "label" => {
                let (name, text) = value.split_once('=').ok_or("a label is `NAME=TEXT`")?;
                spec.with_label(decoded(name)?, decoded(text)?)
            }
            _ => return Err(format!("there is no setting `{name}`")),
        };
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        decoded, encoded, flag_of, flag_word, overrides_of, overrides_text, spec_of, spec_text,
    };
    use crate::member::{Flag, MemberSpec, Overrides, Ramp, Weight};

    #[test]
    fn a_spec_is_read_as_it_was_written() {
        let ramp = Ramp::over(Duration::from_millis(1_500));
        let ramp = ramp.with_aggression(1.7).unwrap().with_min_percent(3);
        let spec = MemberSpec::new()
            .with_weight(Weight::from_hundredths(150).unwrap())
            .with_tier(3)
            .with_max_in_flight(7)
            .with_recovery_delay(Duration::from_micros(1))
            .with_route("node 1")
            .with_redirect_route("é=+")
            .with_ramp(ramp)
            .with_flag(Flag::HotSpare)
            .with_flag(Flag::IgnoreErrors)
            .with_label("zone", "a=b")
            .with_label("rack", "");
        let text = spec_text(&spec);
        assert_eq!(spec_of(text.split_whitespace()), Ok(spec), "{text}");
        let longest = MemberSpec::new()
            .with_recovery_delay(Duration::MAX)
            .with_ramp(Ramp::over(Duration::MAX));
        let text = spec_text(&longest);
        assert_eq!(spec_of(text.split_whitespace()), Ok(longest), "{text}");
        assert!(spec_of([&*format!("recovery={}", u128::MAX)].into_iter()).is_err());
        assert_eq!(spec_text(&MemberSpec::new()), "");
        assert_eq!(spec_of("".split_whitespace()), Ok(MemberSpec::new()));
    }

    #[test]
    fn overrides_are_read_as_they_were_written() {
        let overrides = Overrides::new()
            .with_weight(Weight::from_hundredths(1).unwrap())
            .with_tier(2)
            .with_max_in_flight(0)
            .with_route("")
            .with_redirect_route("b c")
            .with_flag(Flag::Draining)
            .with_flag(Flag::HotSpare)
            .with_flag_off(Flag::Disabled);
        for overrides in [overrides, Overrides::new()] {
            let text = overrides_text(&overrides);
            assert_eq!(
                overrides_of(text.split_whitespace()),
                Ok(overrides),
                "{text}"
            );
        }
    }

    #[test]
    fn every_text_is_one_word() {
        for text in ["", "%", "a b", "a,b=c", "ü\n", "10.0.0.1:80"] {
            let word = encoded(text);
            assert!(!word.contains([' ', ',', '=', '\n', '+']), "{word}");
            assert_eq!(decoded(&word).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_word_with_a_wrong_escape_is_refused() {
        for word in ["%%", "a%", "a%2", "%2g", "%-1", "% 1", "%ü"] {
            assert!(decoded(word).is_err(), "{word}");
        }
        assert_eq!(decoded("%c3%BC").as_deref(), Ok("ü"));
    }

    #[test]
    fn every_flag_has_a_word() {
        for flag in Flag::ALL {
            assert_eq!(flag_of(&flag_word(flag)), Ok(flag));
        }
        assert!(flag_of("fast").is_err());
    }

    #[test]
    fn wrong_settings_are_refused() {
        for text in [
            "weight",
            "weight=0",
            "tier=-1",
            "colour=red",
            "flags=fast",
            "ramp=1/2",
            "label=a",
            "label=a%=b",
            "weight=200 weight=300",
        ] {
            assert!(spec_of(text.split_whitespace()).is_err(), "{text}");
        }
    }
}
