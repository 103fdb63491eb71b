//! The heartbeat method (specification 2.5 and 7): what servers have reported. Draws are in
//! `election`.

use std::collections::BTreeMap;

use super::params::int;

/// What one address has reported.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub busy: i64,
    pub ready: i64,
    /// When, on the model's clock; `None` in a file: it stays as old as the file says.
    pub at: Option<i64>,
    pub age: i64,
}

/// A number as 2.4.71 reads it: digits with at most a sign; anything else is 0.
fn strict(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = int(text);
    if fits && i32::try_from(number).is_ok() {
        number
    } else {
        0
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, "1"));
            let value = super::url::decoded(value);
            (super::url::decoded(key).to_ascii_lowercase(), value)
        })
        .collect()
}

/// The lines of a heartbeat file. `{{ip:a}}` stands for an address.
pub fn read_file(
    lines: &[String],
    final_newline: bool,
    ips: &BTreeMap<String, String>,
) -> BTreeMap<String, Report> {
    let mut found: BTreeMap<String, Report> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let mut line = line.clone();
        for (name, ip) in ips {
            line = line.replace(&format!("{{{{ip:{name}}}}}"), ip);
        }
        if number + 1 == lines.len() && !final_newline {
            line.pop();
        }
        let Some((ip, rest)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let pairs = pairs(rest);
        let number = |key: &str| pairs.get(key).map(|text| strict(text).max(0));
        // A later line of an address changes the fields that it has. What is idle counts a
        // quarter after each line; after the last, the draw does it.
        let report = found.entry(ip.to_owned()).or_insert(Report {
            busy: 0,
            ready: 0,
            at: None,
            age: 0,
        });
        if report.busy == 0 {
            report.ready /= 4;
        }
        report.busy = number("busy").unwrap_or(report.busy);
        report.ready = number("ready").unwrap_or(report.ready);
        report.age = number("lastseen").unwrap_or(report.age);
    }
    found
}

/// A message that a server sends; `None` if it is malformed. `v` is needed over UDP only.
pub fn read_message(message: &str, needs_version: bool, now: i64) -> Option<Report> {
    let pairs = pairs(message);
    let complete = !needs_version || pairs.contains_key("v");
    Some(Report {
        busy: strict(pairs.get("busy").filter(|_| complete)?),
        ready: strict(pairs.get("ready")?),
        at: Some(now),
        age: 0,
    })
}
