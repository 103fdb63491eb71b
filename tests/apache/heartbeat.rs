//! The file of heartbeats, as Apache's reader understands it: the readings that a case
//! elects by.

use std::collections::BTreeMap;

use equipoise::scheduler::Reading;

/// A server that was seen so many seconds ago is not counted on.
const STALE: i64 = 10;

/// What is known of an address; each line changes the fields that it has.
#[derive(Clone, Copy, Debug)]
struct Known {
    reading: Reading,
    last_seen: i64,
}

/// The readings that count, by address. The last character of a line is dropped,
/// whatever it is.
pub(crate) fn parse(lines: &[String], final_newline: bool) -> Vec<(String, Reading)> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let mut line = line.as_str();
        if at + 1 == lines.len() && !final_newline {
            let end = line.char_indices().last().map_or(0, |(end, _)| end);
            line = &line[..end];
        }
        if line.starts_with('#') {
            continue;
        }
        let Some((host, fields)) = line.split_once(' ') else {
            continue;
        };
        let field = |wanted: &str| {
            let pairs = fields.trim().split('&');
            let mut values = pairs.filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
                name.eq_ignore_ascii_case(wanted).then(|| unescape(value))
            });
            values.next_back()
        };
        let known = all.entry(host.to_owned()).or_insert(Known {
            reading: Reading { ready: 0, busy: 0 },
            last_seen: 0,
        });
        // What is idle counts a quarter after each line; after the last, the method does it.
        if known.reading.busy == 0 {
            known.reading.ready /= 4;
        }
        let slots = |name| {
            let value = number(&field(name)?);
            Some(u32::try_from(value).unwrap_or(0))
        };
        known.reading.ready = slots("ready").unwrap_or(known.reading.ready);
        known.reading.busy = slots("busy").unwrap_or(known.reading.busy);
        let last_seen = field("lastseen").map(|value| number(&value));
        known.last_seen = last_seen.unwrap_or(known.last_seen);
    }
    let fresh = all.into_iter().filter(|(_, known)| known.last_seen < STALE);
    fresh.map(|(host, known)| (host, known.reading)).collect()
}

/// A whole number that fits; anything else is 0.
fn number(text: &str) -> i64 {
    let value = text.trim_start().parse::<i32>();
    value.map_or(0, i64::from).max(0)
}

/// A text with its `%` escapes resolved.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = rest.clone().take(2).collect::<Vec<_>>();
        let digits = std::str::from_utf8(&escaped).ok();
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) if byte == b'%' && escaped.len() == 2 => {
                bytes.push(value);
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
