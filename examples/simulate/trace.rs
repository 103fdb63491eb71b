//! An access log as an experiment: [`TraceReading`].
//!
//! Not here: the format of the log, which is in the crate.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use equipoise::testkit::simulation::{AccessLog, Arrivals, TracedRequest};

use crate::numbers::{grouped, number, period};
use crate::printable::printable;

/// The load that members are made for if nothing is asked for.
const LOAD: f64 = 0.7;

/// How many of the longest times without a request are looked at.
const GAPS: usize = 16;

/// How compressed files begin, and what compresses so.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
];

/// What a first reading of the log has found.
pub(crate) struct TraceReading {
    pub(crate) requests: u64,
    /// From the first request to the last.
    lasted: Duration,
    /// The same without the long times in which none arrives.
    active: Duration,
    /// The sum of the durations, the longest one, and how many requests have one.
    work: Duration,
    longest: Duration,
    timed: u64,
    /// How many requests have something else in the place of a duration.
    mistimed: u64,
    /// What was found about the lines, in words.
    pub(crate) remarks: Vec<String>,
}

impl TraceReading {
    /// Reads the whole log.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        check_kind(path)?;
        let mut log = open(path)?;
        let mut reading = Self {
            requests: 0,
            lasted: Duration::ZERO,
            active: Duration::ZERO,
            work: Duration::ZERO,
            longest: Duration::ZERO,
            timed: 0,
            mistimed: 0,
            remarks: Vec::new(),
        };
        let mut lasted = Duration::ZERO;
        let mut gaps = BinaryHeap::new();
        for request in log.by_ref() {
            reading.requests += 1;
            gaps.push(Reverse(request.at - lasted));
            if gaps.len() > GAPS {
                gaps.pop();
            }
            lasted = request.at;
            if let Some(time) = request.service_time {
                reading.timed += 1;
                reading.work += time;
                reading.longest = reading.longest.max(time);
            }
        }
        if let Some(error) = log.error() {
            let text = format!("after line {}: {error}", log.lines());
            return Err(io::Error::new(error.kind(), text));
        }
        if let Some((number, start)) = log.first_bad_line() {
            let (bad, all) = (log.bad_lines(), log.lines());
            reading.remarks.push(format!(
                "{bad} of {all} lines are no requests in the common or combined format and were \
                 left out; the first is line {number}: {}",
                printable(start)
            ));
        }
        reading.mistimed = log.bad_durations();
        if let Some((line, field)) = log.first_bad_duration() {
            reading.remarks.push(format!(
                "the last field of {} requests is no duration; the first is in line {line}: {}",
                grouped(&reading.mistimed.to_string()),
                printable(field)
            ));
        }
        if log.late() > 0 {
            reading.remarks.push(format!(
                "{} requests are out of order by more than a minute; each arrives together with \
                 the request before it",
                log.late()
            ));
        }
        if reading.requests < 2 {
            let text = match reading.remarks.first() {
                Some(remark) => format!("there are not two requests in it ({remark})"),
                None => "there are not two requests in it".to_owned(),
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let gaps = gaps.into_sorted_vec();
        let quiet = quiet(
            gaps.into_iter().map(|Reverse(gap)| gap),
            lasted,
            reading.requests,
        );
        reading.lasted = lasted;
        reading.active = lasted - quiet;
        if !quiet.is_zero() {
            reading.remarks.push(format!(
                "no requests arrive for {} of the {} of the log, in few long gaps; the load is \
                 that of the rest of the time",
                period(quiet),
                period(lasted)
            ));
        }
        Ok(reading)
    }

    /// Returns the mean service time: that of the log, or `otherwise` if it has none.
    pub(crate) fn mean(&self, otherwise: Duration) -> Duration {
        match self.is_timed() {
            true => self.logged_mean(),
            false => otherwise,
        }
    }

    fn logged_mean(&self) -> Duration {
        self.work.div_f64(self.timed.max(1) as f64)
    }

    /// Returns whether the log has durations that can be service times.
    ///
    /// Apache's `%T`, in whole seconds, looks like its `%D`, in microseconds. Hardly a server
    /// answers in 20 microseconds, or keeps to 0.1 ms without a request that takes 1 ms. And
    /// nginx's `$request_time` is often 0.000, as it has no fractions of a millisecond.
    fn is_timed(&self) -> bool {
        let least = match self.longest < Duration::from_millis(1) {
            true => Duration::from_micros(100),
            false => Duration::from_micros(20),
        };
        self.timed > 0 && self.logged_mean() >= least
    }

    /// Returns where the service times are from, in words; `mean` is their mean.
    pub(crate) fn service_times(&self, mean: Duration) -> String {
        let millis = |time: Duration| number(time.as_secs_f64() * 1_000.0);
        let drawn = format!(
            "service times are exponential, {} ms on average",
            millis(mean)
        );
        let count = |count: u64| grouped(&count.to_string());
        if self.timed == 0 {
            let found = match self.mistimed {
                0 => "the log has no durations",
                _ => "no duration of the log can be read",
            };
            return format!(
                "{found} (write %D in Apache, or $request_time in nginx, as the \
                 last field): {drawn}"
            );
        }
        if !self.is_timed() {
            let logged = self.logged_mean();
            return format!(
                "the durations of the log are not used: {} microseconds on average is too short \
                 (they may be whole seconds, as Apache's %T, or have too few digits): {drawn}",
                number(logged.as_secs_f64() * 1e6)
            );
        }
        let logged = format!(
            "{} ms on average, with the waits of that time",
            millis(mean)
        );
        match self.requests - self.timed {
            0 => format!("service times are the durations of the log: {logged}"),
            untimed => format!(
                "service times of {} requests are the durations of the log: {logged}; those of \
                 the other {} are exponential, with the same mean",
                count(self.timed),
                count(untimed)
            ),
        }
    }

    /// Returns the arrivals of the log, with all times between them multiplied by `stretch`.
    /// Each run reads the file again.
    pub(crate) fn arrivals(&self, path: &Path, stretch: f64) -> Arrivals {
        let path = path.to_owned();
        let is_timed = self.is_timed();
        Arrivals::trace(move || {
            // It was read to its end before. If it is gone now, nothing arrives.
            let log = open(&path).ok();
            log.into_iter().flatten().map(move |request| {
                let mut moved = TracedRequest::new(request.at.mul_f64(stretch));
                moved.service_time = request.service_time.filter(|_| is_timed);
                moved.hash = request.hash;
                moved
            })
        })
    }

    /// Returns how many requests the log has in service on average.
    pub(crate) fn offered(&self, mean: Duration) -> f64 {
        let active = self.active.as_secs_f64().max(1e-3);
        self.requests as f64 * mean.as_secs_f64() / active
    }

    /// Returns the time from the first request to the last, multiplied by `stretch`, and that
    /// of all the work, in seconds.
    pub(crate) fn seconds(&self, mean: Duration, stretch: f64) -> f64 {
        self.lasted.as_secs_f64() * stretch + self.requests as f64 * mean.as_secs_f64()
    }

    /// Returns how many members of so many servers are needed.
    pub(crate) fn members(&self, mean: Duration, load: Option<f64>, servers: u32) -> u32 {
        let needed = self.offered(mean) / load.unwrap_or(LOAD) / f64::from(servers);
        (needed.ceil() as u32).max(2)
    }
}

/// Refuses what cannot be a log that is read several times.
fn check_kind(path: &Path) -> io::Result<()> {
    let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    if !path.metadata()?.is_file() {
        return invalid("it is no regular file, and is read once for each scheduler".to_owned());
    }
    let mut start = Vec::new();
    File::open(path)?.take(8).read_to_end(&mut start)?;
    let packed = COMPRESSED
        .iter()
        .find(|(magic, _)| start.starts_with(magic));
    match packed {
        Some((_, name)) => invalid(format!("it is compressed with {name}: unpack it first")),
        None => Ok(()),
    }
}

fn open(path: &Path) -> io::Result<AccessLog<BufReader<File>>> {
    Ok(AccessLog::new(BufReader::with_capacity(
        1 << 18,
        File::open(path)?,
    )))
}

/// Returns for how long no requests arrive, in gaps that are much longer than the others. `gaps`
/// are the longest ones, from the longest down.
///
/// If requests arrive evenly, a gap of a tenth of the time does not occur among hundred.
fn quiet(gaps: impl Iterator<Item = Duration>, lasted: Duration, requests: u64) -> Duration {
    let usual = 0.1 + 5.0 / requests as f64;
    let mut active = lasted;
    for gap in gaps {
        if gap <= active.mul_f64(usual) {
            break;
        }
        active -= gap;
    }
    lasted - active
}

#[cfg(test)]
mod tests {
    use super::{TraceReading, quiet};
    use std::time::Duration;

    fn reading(mean: Duration, longest: Duration) -> TraceReading {
        TraceReading {
            requests: 100,
            lasted: Duration::from_secs(10),
            active: Duration::from_secs(10),
            work: 100 * mean,
            longest,
            timed: 100,
            mistimed: 0,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn whole_seconds_are_not_taken_for_microseconds() {
        let (micros, otherwise) = (Duration::from_micros, Duration::from_millis(10));
        for (mean, longest, used) in [
            (0, 0, false),
            (2, 30, false),
            (60, 300, false),
            (10, 5_000, false),
            (150, 900, true),
            (60, 5_000, true),
        ] {
            let reading = reading(micros(mean), micros(longest));
            let expected = if used { micros(mean) } else { otherwise };
            assert_eq!(reading.mean(otherwise), expected, "{mean} {longest}");
        }
    }

    #[test]
    fn only_gaps_that_are_longer_than_usual_are_quiet() {
        let second = Duration::from_secs(1);
        let gaps = |seconds: &[u32]| seconds.iter().map(|it| *it * second).collect::<Vec<_>>();
        for (longest, lasted, requests, expected) in [
            (&[1_000_000, 3, 2][..], 1_000_060, 1_000, 1_000_000),
            (&[500_000, 500_000, 3], 1_000_060, 1_000, 1_000_000),
            (&[5, 4, 3], 60, 1_000, 0),
            (&[30, 10], 60, 10, 0),
            (&[60], 60, 2, 0),
        ] {
            let quiet = quiet(gaps(longest).into_iter(), lasted * second, requests);
            assert_eq!(quiet, expected * second, "{longest:?}");
        }
    }
}
