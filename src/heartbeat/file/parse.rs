//! Parses the text of a file into records: [`HeartbeatFile::parse`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::error::{HeartbeatLineError, LineFault};
use crate::heartbeat::message::shown;
use crate::heartbeat::pairs::{self, Pairs, decimal};
use crate::heartbeat::{HeartbeatRecord, SenderId};
use crate::scheduler::HeartbeatReading;

/// The port that httpd writes for servers without one.
pub(super) const NO_PORT: u16 = 80;

/// The most errors that are returned.
const MAX_ERRORS: usize = 100;

/// The reports of servers in the format of httpd's `HeartbeatStorage`, one line for each
/// server.
///
/// ```text
/// 10.0.0.1 &ready=30&busy=2&lastseen=3&port=80
/// ```
///
/// `lastseen` is in seconds, relative to the time of the file. Lines that start with `#`
/// are comments, and other keys are ignored. If a server (an address with a port) has
/// several lines, the later values win, value by value. Port 80 means no port, as httpd
/// writes it for servers without one.
///
/// A line with an error is skipped; httpd reads an invalid number as 0. A record without
/// `lastseen` is not used for picks; httpd treats it as fresh.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatFile;
/// use std::time::Duration;
///
/// let (file, errors) = HeartbeatFile::parse(b"10.0.0.1 &ready=30&busy=2&lastseen=3&port=80\n");
/// assert!(errors.is_empty());
/// let record = file.records()[0];
/// assert_eq!(record.sender().to_string(), "10.0.0.1");
/// assert_eq!(record.reading().ready, 30);
/// assert_eq!(record.last_seen(), Some(Duration::from_secs(3)));
/// ```
///
/// Importing every five seconds the reports that an httpd on this machine has received:
///
/// ```no_run
/// use equipoise::heartbeat::{HeartbeatFile, HeartbeatMonitor};
/// use std::time::Duration;
///
/// # async fn example(monitor: HeartbeatMonitor) -> std::io::Result<()> {
/// loop {
///     let (file, errors) = HeartbeatFile::read("/run/apache2/hb.dat")?;
///     errors.iter().for_each(|error| eprintln!("{error}"));
///     file.report_to(&monitor);
///     tokio::time::sleep(Duration::from_secs(5)).await;
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeartbeatFile {
    pub(super) records: Vec<HeartbeatRecord>,
}

/// The values of a server that were present.
#[derive(Clone, Copy, Default)]
struct Values {
    ready: Option<u32>,
    busy: Option<u32>,
    last_seen: Option<u64>,
}

/// The values of several lines of one server.
struct Merged {
    /// The number of the last of these lines.
    line: usize,
    sender: SenderId,
    values: Values,
}

impl HeartbeatFile {
    /// Creates a file from records, such as those of a monitor.
    #[must_use]
    pub fn new(records: Vec<HeartbeatRecord>) -> Self {
        Self { records }
    }

    /// Returns the records, in the order of their first lines.
    #[must_use]
    pub fn records(&self) -> &[HeartbeatRecord] {
        &self.records
    }

    /// Parses the text of a file. Lines with errors are skipped and reported, at most a
    /// hundred of them.
    #[must_use]
    pub fn parse(text: &[u8]) -> (Self, Vec<HeartbeatLineError>) {
        let (mut merged, mut errors) = (Vec::<Merged>::new(), Vec::new());
        let mut indices = HashMap::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let number = index + 1;
            let line = line.trim_ascii_end();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match line_of(line) {
                Ok((sender, values)) => {
                    let slot = *indices.entry(sender).or_insert(merged.len());
                    if slot == merged.len() {
                        merged.push(Merged {
                            line: number,
                            sender,
                            values,
                        });
                    } else {
                        merged[slot].line = number;
                        merged[slot].values.update(values);
                    }
                }
                Err(wrong) => push_error(&mut errors, HeartbeatLineError::new(number, wrong)),
            }
        }
        let mut records = Vec::with_capacity(merged.len());
        for Merged {
            line,
            sender,
            values,
        } in merged
        {
            match values.record(sender) {
                Ok(record) => records.push(record),
                Err(wrong) => push_error(&mut errors, HeartbeatLineError::new(line, wrong)),
            }
        }
        errors.sort_by_key(HeartbeatLineError::line);
        (Self { records }, errors)
    }
}

impl Values {
    /// Takes over the values that are present in `later`.
    fn update(&mut self, later: Self) {
        self.ready = later.ready.or(self.ready);
        self.busy = later.busy.or(self.busy);
        self.last_seen = later.last_seen.or(self.last_seen);
    }

    fn record(self, sender: SenderId) -> Result<HeartbeatRecord, LineFault> {
        let ready = self.ready.ok_or(LineFault::Missing("ready"))?;
        let busy = self.busy.ok_or(LineFault::Missing("busy"))?;
        let record = HeartbeatRecord::new(sender, HeartbeatReading { ready, busy });
        Ok(match self.last_seen {
            Some(seconds) => record.with_last_seen(Duration::from_secs(seconds)),
            None => record,
        })
    }
}

/// An error takes more memory than the shortest invalid line, hence the bound.
fn push_error(errors: &mut Vec<HeartbeatLineError>, error: HeartbeatLineError) {
    if errors.len() < MAX_ERRORS {
        errors.push(error);
    }
}

fn line_of(line: &[u8]) -> Result<(SenderId, Values), LineFault> {
    let end = line.iter().position(|&byte| byte == b' ' || byte == b'\t');
    let (address, fields) = line.split_at(end.unwrap_or(line.len()));
    let text = std::str::from_utf8(address).ok();
    let ip = text.and_then(|text| text.parse::<IpAddr>().ok());
    let ip = ip.ok_or_else(|| LineFault::Address(shown(address)))?;
    if fields.is_empty() {
        return Err(LineFault::Values);
    }
    let (mut values, mut port) = (Values::default(), None);
    for (key, value) in Pairs::new(fields.trim_ascii_start()) {
        let wrong = |field| LineFault::Number(field, shown(&value));
        match key.to_ascii_lowercase().as_slice() {
            b"ready" => values.ready = Some(slots("ready", &value)?),
            b"busy" => values.busy = Some(slots("busy", &value)?),
            b"lastseen" => {
                let seconds = decimal(&value).ok_or_else(|| wrong("lastseen"))?;
                values.last_seen = Some(seconds);
            }
            b"port" => {
                let number = decimal(&value).and_then(|it| u16::try_from(it).ok());
                port = Some(number.ok_or_else(|| wrong("port"))?);
            }
            _ => {}
        }
    }
    let port = port.filter(|&port| port != NO_PORT);
    Ok((SenderId::new(ip, port), values))
}

fn slots(field: &'static str, value: &[u8]) -> Result<u32, LineFault> {
    pairs::slots(value).ok_or_else(|| LineFault::Number(field, shown(value)))
}

#[cfg(test)]
mod tests {
    use super::HeartbeatFile;
    use proptest::prelude::*;

    /// Each record in a line of its own, and the errors.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let (file, errors) = HeartbeatFile::parse(text.as_bytes());
        let records = file.records().iter().map(|it| {
            let seen = it.last_seen().map(|it| it.as_secs());
            let reading = it.reading();
            format!(
                "{} {} {} {seen:?}",
                it.sender(),
                reading.ready,
                reading.busy
            )
        });
        let errors = errors.iter().map(ToString::to_string);
        (records.collect(), errors.collect())
    }

    fn records(text: &str) -> Vec<String> {
        let (records, errors) = read(text);
        assert!(errors.is_empty(), "{text}: {errors:?}");
        records
    }

    #[test]
    fn files_of_httpd_are_parsed() {
        let text = "10.0.0.1 &ready=30&busy=2&lastseen=3&port=80\n\
                    2001:db8::1 &ready=1&busy=0&lastseen=0&port=8080\n";
        let expected = ["10.0.0.1 30 2 Some(3)", "[2001:db8::1]:8080 1 0 Some(0)"];
        assert_eq!(records(text), expected);
    }

    #[test]
    fn the_last_character_counts_and_ends_of_lines_do_not() {
        for text in [
            "10.0.0.1 busy=2&lastseen=1&ready=30",
            "10.0.0.1 busy=2&lastseen=1&ready=30\r\n",
            "# of today\n\n10.0.0.1\tREADY=30&busy=2&lastseen=1\n",
        ] {
            assert_eq!(records(text), ["10.0.0.1 30 2 Some(1)"], "{text}");
        }
    }

    #[test]
    fn later_values_of_a_server_win_one_by_one() {
        let text = "10.0.0.1 ready=30&busy=2&lastseen=1\n\
                    10.0.0.2 ready=5&busy=5&lastseen=5\n\
                    10.0.0.1 ready=8&lastseen=4\n\
                    10.0.0.1 ready=9&port=80\n";
        let expected = ["10.0.0.1 9 2 Some(4)", "10.0.0.2 5 5 Some(5)"];
        assert_eq!(records(text), expected);
    }

    #[test]
    fn a_port_makes_another_server_of_an_address() {
        let text = "10.0.0.1 ready=1&busy=1&lastseen=1&port=8081\n\
                    10.0.0.1 ready=2&busy=2&lastseen=2&port=8082\n";
        let expected = ["10.0.0.1:8081 1 1 Some(1)", "10.0.0.1:8082 2 2 Some(2)"];
        assert_eq!(records(text), expected);
    }

    #[test]
    fn a_line_with_an_error_is_skipped_and_reported() {
        let huge = "9".repeat(60);
        let text = format!(
            "localhost &ready=1&busy=1&lastseen=1\n\
             10.0.0.1\n\
             10.0.0.2 ready=NaN&busy=1&lastseen=1\n\
             10.0.0.3 ready=1&busy={huge}&lastseen=1\n\
             10.0.0.4 ready=1&busy=1&lastseen=-1\n\
             10.0.0.5 ready=1&busy=1&lastseen=1&port=99999\n\
             10.0.0.6 ready=1&lastseen=1\n\
             10.0.0.7 ready=-4&busy=1&lastseen=1\n"
        );
        let (records, errors) = read(&text);
        assert_eq!(records, ["10.0.0.7 0 1 Some(1)"]);
        let shown = &huge[..40];
        let expected = [
            "line 1: not an IP address: \"localhost\"",
            "line 2: no values after the address",
            "line 3: `ready` is not a number: \"NaN\"",
            &format!("line 4: `busy` is not a number: \"{shown}\""),
            "line 5: `lastseen` is not a number: \"-1\"",
            "line 6: `port` is not a number: \"99999\"",
            "line 7: `busy` is missing",
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn at_most_a_hundred_errors_are_reported() {
        let text = "x\n".repeat(100_000) + "10.0.0.1 ready=1&busy=1&lastseen=1\n10.0.0.2 ready=1\n";
        let (records, errors) = read(&text);
        assert_eq!(records, ["10.0.0.1 1 1 Some(1)"]);
        assert_eq!(errors.len(), 100);
        assert_eq!(errors[99], "line 100: not an IP address: \"x\"");
    }

    #[test]
    fn a_record_without_an_age_has_none() {
        assert_eq!(records("10.0.0.1 ready=1&busy=1"), ["10.0.0.1 1 1 None"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = HeartbeatFile::parse(&text);
        }

        #[test]
        fn nearly_a_file_does_not_panic(text in "([0-9.:a-f]{0,12}[ \n]&?(ready|busy|port|lastseen)?=[-0-9a]{0,12}\n?){0,6}") {
            let _ = HeartbeatFile::parse(text.as_bytes());
        }
    }
}
