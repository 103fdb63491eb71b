//! The heartbeat method (specification 2.5 and 7): what servers have reported, and who may be
//! drawn. The model says who is drawn only where there is no choice.

use std::collections::BTreeMap;

use super::fixes::Fix;
use super::params::{SECOND, int};
use super::site::Site;

/// What one address has reported.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub busy: i64,
    pub ready: i64,
    /// When, on the model's clock; `None` in a file: it stays as old as the file says.
    pub at: Option<i64>,
    pub age: i64,
}

/// The outcome of a draw.
#[derive(Debug, Eq, PartialEq)]
pub enum Draw {
    Member(usize),
    Nobody,
    Random,
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

impl Site {
    /// Who would be drawn. A report counts for 10 s; an idle server's slots count a quarter; the
    /// draw includes its upper end, so the last server is drawn even with nothing ready.
    pub fn draw(&mut self, skipped: &[usize]) -> Draw {
        let fixed = self.has(Fix::Heartbeats);
        let group = if fixed {
            self.group(&[])
        } else {
            (0..self.members.len()).collect()
        };
        let mut by_ip: Vec<(String, usize)> = Vec::new();
        let mut up = Vec::new();
        let mut open = 0;
        for at in group {
            let (now, is_passed_over) = (self.now, self.passes_over(at));
            let member = &mut self.members[at];
            let Some(report) = self.reports.get(&member.ip).copied() else {
                continue;
            };
            if !member.usable() {
                member.retry(now);
            }
            if !member.usable() || is_passed_over || skipped.contains(&at) {
                continue;
            }
            by_ip.push((member.ip.clone(), at));
            let age = report.at.map_or(report.age, |at| (now - at) / SECOND);
            if age < 10 {
                let idle = report.busy == 0 && report.ready != 0;
                let ready = if idle { report.ready / 4 } else { report.ready };
                open += if fixed { ready.max(0) } else { ready };
                up.push((at, member.ip.clone(), ready));
            }
        }
        if open <= 0 && self.has(Fix::HeartbeatFallback) {
            return self
                .elect_from_group(skipped)
                .map_or(Draw::Nobody, Draw::Member);
        }
        if open == 0 {
            return Draw::Nobody;
        }
        let last = up.len() - 1;
        let mut drawn: Vec<usize> = Vec::new();
        for (place, (at, ip, ready)) in up.into_iter().enumerate() {
            // Both of one address are the later one, unless the fix keeps them apart.
            let of_ip = by_ip.iter().rfind(|(other, _)| *other == ip && !fixed);
            let at = of_ip.map_or(at, |(_, at)| *at);
            if (ready != 0 || (place == last && !fixed)) && !drawn.contains(&at) {
                drawn.push(at);
            }
        }
        match drawn[..] {
            [] => Draw::Nobody,
            [only] => Draw::Member(only),
            _ => Draw::Random,
        }
    }
}
