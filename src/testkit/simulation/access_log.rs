//! Reads an access log as a trace: [`AccessLog`].
//!
//! Not here: the format of a line (`log_line`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufRead, Read};
use std::time::Duration;

use super::arrivals::TracedRequest;
use super::log_line::LoggedRequest;
use super::nanos;
use crate::random::Random;

/// The longest line that is read, in bytes.
const LONGEST_LINE: u64 = 65_536;

/// How many requests are held at most, to bring them into order.
const MOST_HELD: usize = 1_000_000;

const SECOND: u64 = 1_000_000_000;

/// The time, the number of the line, the duration, and the hash of the client. Times are in
/// nanoseconds; the first is since 1970.
type LogEntry = (u64, u64, Option<u64>, u64);

/// The requests of an access log in the common or combined format of Apache and nginx, for
/// [`Arrivals::trace`](super::Arrivals::trace).
///
/// If the last field of a line is the duration of the request, that is its service time:
/// Apache's `%D`, a whole number of microseconds, or nginx's `$request_time`, in seconds with
/// a point. It includes the time that the request waited in the server that wrote the log. `-`
/// is no duration; other fields that are none, or are longer than a week, are counted as
/// [`bad_durations`](Self::bad_durations). Apache's `%T` looks like `%D`: make sure that whole
/// numbers are microseconds.
///
/// The hash key of a request is that of the client, the first field of the line.
///
/// The times of such a log are whole seconds. A request is put at a random time within its
/// second, the same one each time that the log is read. nginx logs the end of a request, from
/// which the duration is subtracted. Apache logs the start, but writes the line at the end:
/// lines are brought into order within a [`window`](Self::window).
///
/// The log is read as a stream, and may be larger than the memory.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::AccessLog;
/// use std::time::Duration;
///
/// let text = r#"10.0.0.1 - - [10/Oct/2026:13:55:36 +0200] "GET / HTTP/1.1" 200 512 "-" "curl" 1500
/// not a request
/// 10.0.0.1 - - [10/Oct/2026:13:55:37 +0200] "GET / HTTP/1.1" 200 512 "-" "curl" 900
/// "#;
/// let mut log = AccessLog::new(text.as_bytes());
/// let requests: Vec<_> = log.by_ref().collect();
/// assert_eq!(requests[0].at, Duration::ZERO, "times are from the first request");
/// assert_eq!(requests[0].service_time, Some(Duration::from_micros(1_500)));
/// assert!(requests[1].at < Duration::from_secs(2));
/// assert_eq!((log.lines(), log.bad_lines()), (3, 1));
/// assert_eq!(log.first_bad_line(), Some((2, "not a request")));
/// ```
#[derive(Debug)]
pub struct AccessLog<R> {
    reader: R,
    window: u64,
    /// Requests that are not in order yet.
    held: BinaryHeap<Reverse<LogEntry>>,
    newest: u64,
    /// The time of the first request, and of the last one, that were returned.
    first: Option<u64>,
    last: u64,
    buffer: Vec<u8>,
    fractions: Random,
    lines: u64,
    bad_lines: u64,
    first_bad: Option<(u64, String)>,
    bad_durations: u64,
    first_bad_duration: Option<(u64, String)>,
    late: u64,
    error: Option<io::Error>,
    is_over: bool,
}

impl<R: BufRead> AccessLog<R> {
    /// Reads a log, with a window of a minute.
    #[must_use]
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            window: 60 * SECOND,
            held: BinaryHeap::new(),
            newest: 0,
            first: None,
            last: 0,
            buffer: Vec::new(),
            fractions: Random::seeded(0),
            lines: 0,
            bad_lines: 0,
            first_bad: None,
            bad_durations: 0,
            first_bad_duration: None,
            late: 0,
            error: None,
            is_over: false,
        }
    }

    /// Sets how far a line may be from its place in the order of time. Requests of that time,
    /// but at most a million, are held in memory. A request that is later than that is
    /// [`late`](Self::late).
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = nanos(window);
        self
    }

    /// Returns how many lines were read.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns how many lines are no requests in a known format; empty lines do not count.
    #[must_use]
    pub fn bad_lines(&self) -> u64 {
        self.bad_lines
    }

    /// Returns the number, from 1, and the start of the first such line.
    #[must_use]
    pub fn first_bad_line(&self) -> Option<(u64, &str)> {
        self.first_bad
            .as_ref()
            .map(|(number, text)| (*number, &**text))
    }

    /// Returns how many requests have a last field that cannot be read as a duration. Their
    /// service times are drawn, as those of requests without a duration.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::testkit::simulation::AccessLog;
    ///
    /// let text = r#"10.0.0.1 - - [10/Oct/2026:13:55:36 +0200] "GET / HTTP/1.1" 200 512 0.010
    /// 10.0.0.1 - - [10/Oct/2026:13:55:36 +0200] "GET / HTTP/1.1" 200 512 -0.010
    /// "#;
    /// let mut log = AccessLog::new(text.as_bytes());
    /// assert_eq!(log.by_ref().count(), 2);
    /// assert_eq!(log.bad_durations(), 1);
    /// assert_eq!(log.first_bad_duration(), Some((2, "-0.010")));
    /// ```
    #[must_use]
    pub fn bad_durations(&self) -> u64 {
        self.bad_durations
    }

    /// Returns the number of the line, from 1, and the start of the first such field.
    #[must_use]
    pub fn first_bad_duration(&self) -> Option<(u64, &str)> {
        self.first_bad_duration
            .as_ref()
            .map(|(number, text)| (*number, &**text))
    }

    /// Returns how many requests were out of order by more than the window. They arrive
    /// together with the request before them.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Returns the error that ended the reading, if one did.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Reads the next line into the buffer; returns whether there is one. The rest of a line
    /// that is too long is skipped.
    fn read_line(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(LONGEST_LINE);
        if limited.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(false);
        }
        let mut is_cut = self.buffer.last() != Some(&b'\n');
        if is_cut && self.buffer.len() as u64 == LONGEST_LINE {
            while is_cut {
                let rest = self.reader.fill_buf()?;
                let end = rest.iter().position(|&byte| byte == b'\n');
                is_cut = end.is_none() && !rest.is_empty();
                let used = end.map_or(rest.len(), |end| end + 1);
                self.reader.consume(used);
            }
            // No line of a request is that long.
            self.buffer.truncate(80);
        }
        Ok(true)
    }

    /// Reads a line and holds its request, if it is one.
    fn read_request(&mut self) {
        match self.read_line() {
            Ok(true) => {}
            Ok(false) => {
                self.is_over = true;
                return;
            }
            Err(error) => {
                self.error = Some(error);
                self.is_over = true;
                return;
            }
        }
        let text = String::from_utf8_lossy(&self.buffer);
        let line = text.trim_end();
        let number = self.lines + 1;
        self.lines = number;
        if line.is_empty() {
            return;
        }
        let logged = LoggedRequest::parse(line);
        let Some((at, took, client)) = logged.and_then(|it| start(it, &self.fractions)) else {
            self.bad_lines += 1;
            self.first_bad
                .get_or_insert_with(|| (number, start_of(line)));
            return;
        };
        if let Some(field) = logged.and_then(|it| it.unread) {
            self.bad_durations += 1;
            self.first_bad_duration
                .get_or_insert_with(|| (number, start_of(field)));
        }
        self.newest = self.newest.max(at);
        self.held.push(Reverse((at, number, took, client)));
    }
}

/// Returns the start of a text, to be shown.
fn start_of(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Returns when a request started and how long it took, in nanoseconds, and its client. Its
/// second is filled up with a random fraction.
fn start(logged: LoggedRequest<'_>, fractions: &Random) -> Option<(u64, Option<u64>, u64)> {
    let second = u64::try_from(logged.second).ok()?;
    let took = logged.took.map(nanos);
    let logged_at = second.checked_mul(SECOND)? + fractions.below(SECOND);
    let before = took.filter(|_| logged.at_end).unwrap_or(0);
    Some((logged_at.saturating_sub(before), took, logged.client))
}

impl<R: BufRead> Iterator for AccessLog<R> {
    type Item = TracedRequest;

    fn next(&mut self) -> Option<TracedRequest> {
        while !self.is_over {
            let oldest = self.held.peek().map(|Reverse((at, ..))| *at);
            let complete = oldest.is_some_and(|at| at.saturating_add(self.window) < self.newest);
            if complete || self.held.len() >= MOST_HELD {
                break;
            }
            self.read_request();
        }
        let Reverse((at, _, took, client)) = self.held.pop()?;
        if at < self.last {
            self.late += 1;
        }
        self.last = self.last.max(at);
        let first = *self.first.get_or_insert(at);
        let request = TracedRequest::new(Duration::from_nanos(self.last - first)).with_hash(client);
        Some(match took {
            Some(took) => request.with_service_time(Duration::from_nanos(took)),
            None => request,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AccessLog;
    use std::io::{self, BufReader, Read};
    use std::time::Duration;

    fn line(second: u32, tail: &str) -> String {
        let (minute, second) = (second / 60, second % 60);
        format!(
            "h - - [10/Oct/2026:13:{minute:02}:{second:02} +0000] \"GET / HTTP/1.1\" 200 5{tail}\n"
        )
    }

    #[test]
    fn lines_within_the_window_are_brought_into_order() {
        let text: String = [30, 10, 50, 40]
            .iter()
            .map(|&at| line(at, " 700"))
            .collect();
        let mut log = AccessLog::new(text.as_bytes());
        let seconds: Vec<_> = log.by_ref().map(|it| it.at.as_secs_f64().round()).collect();
        assert!(seconds.is_sorted());
        assert!((seconds[3] - 40.0).abs() < 1.5, "{seconds:?}");
        assert_eq!((log.late(), log.bad_lines()), (0, 0));
    }

    #[test]
    fn a_line_that_is_later_than_the_window_is_reported() {
        let text: String = [0, 100, 200, 5].iter().map(|&at| line(at, "")).collect();
        let mut log = AccessLog::new(text.as_bytes()).window(Duration::from_secs(60));
        let at: Vec<_> = log.by_ref().map(|it| it.at).collect();
        assert_eq!((at.len(), log.late()), (4, 1));
        assert!(at.is_sorted());
    }

    #[test]
    fn the_end_that_nginx_logs_becomes_the_start() {
        let text = line(20, " 5.000") + &line(21, " 0.001");
        let at: Vec<_> = AccessLog::new(text.as_bytes()).map(|it| it.at).collect();
        let apart = (at[1] - at[0]).as_secs_f64();
        assert!((5.0..7.0).contains(&apart), "{apart}");
    }

    #[test]
    fn bad_lines_are_counted_and_the_first_is_shown() {
        let long = "x".repeat(200_000);
        let text = format!("{}{long}\n\u{0}\n{}", line(1, ""), line(2, ""));
        let mut bytes = text.into_bytes();
        bytes.extend(b"\xff\xfe");
        let mut log = AccessLog::new(&*bytes);
        assert_eq!(log.by_ref().count(), 2);
        assert_eq!((log.lines(), log.bad_lines()), (5, 3));
        let (number, start) = log.first_bad_line().unwrap();
        assert_eq!((number, start.len()), (2, 80));
    }

    #[test]
    fn the_same_log_gives_the_same_times() {
        let text: String = (0..100).map(|at| line(at / 10, "")).collect();
        let read = || AccessLog::new(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(read(), read());
    }

    #[test]
    fn the_hash_key_is_that_of_the_client() {
        let text = line(1, "") + &line(2, "") + &line(3, "").replacen('h', "other", 1);
        let keys: Vec<_> = AccessLog::new(text.as_bytes()).map(|it| it.hash).collect();
        assert!(keys[0].is_some() && keys[0] == keys[1] && keys[1] != keys[2]);
    }

    #[test]
    fn an_error_ends_the_log_and_is_kept() {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let text = line(1, "");
        let mut log = AccessLog::new(BufReader::new(text.as_bytes().chain(Breaks)));
        assert_eq!(log.by_ref().count(), 1);
        assert_eq!(log.error().unwrap().to_string(), "the disk is gone");
    }
}
