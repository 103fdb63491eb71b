//! An access log as an experiment: [`TraceReading`].
//!
//! Not here: the format of the log, which is in the crate.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

use equipoise::testkit::simulation::{AccessLog, Arrivals, TracedRequest};

/// The load that members are made for if nothing is asked for.
const LOAD: f64 = 0.7;

/// What a first reading of the log has found.
pub(crate) struct TraceReading {
    pub(crate) requests: u64,
    /// From the first request to the last.
    lasted: Duration,
    /// The sum of the durations, and how many requests have one.
    work: Duration,
    timed: u64,
    /// What was found about the lines, in words.
    pub(crate) remarks: Vec<String>,
}

impl TraceReading {
    /// Reads the whole log.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let mut log = open(path)?;
        let mut reading = Self {
            requests: 0,
            lasted: Duration::ZERO,
            work: Duration::ZERO,
            timed: 0,
            remarks: Vec::new(),
        };
        for request in log.by_ref() {
            reading.requests += 1;
            reading.lasted = request.at;
            if let Some(time) = request.service_time {
                reading.timed += 1;
                reading.work += time;
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
                 left out; the first is line {number}: {start}"
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
        Ok(reading)
    }

    /// Returns the mean service time: that of the log, or `otherwise` if it has none.
    pub(crate) fn mean(&self, otherwise: Duration) -> Duration {
        if self.timed == 0 {
            return otherwise;
        }
        let mean = self.work.as_secs_f64() / self.timed as f64;
        Duration::from_secs_f64(mean.max(1e-6))
    }

    /// Returns whether the log has durations.
    pub(crate) fn is_timed(&self) -> bool {
        self.timed > 0
    }

    /// Returns how many requests the log has in service on average.
    pub(crate) fn offered(&self, mean: Duration) -> f64 {
        let lasted = self.lasted.as_secs_f64().max(1e-3);
        self.requests as f64 * mean.as_secs_f64() / lasted
    }

    /// Returns how many members of so many servers are needed.
    pub(crate) fn members(&self, mean: Duration, load: Option<f64>, servers: u32) -> u32 {
        let needed = self.offered(mean) / load.unwrap_or(LOAD) / f64::from(servers);
        (needed.ceil() as u32).max(2)
    }
}

fn open(path: &Path) -> io::Result<AccessLog<BufReader<File>>> {
    Ok(AccessLog::new(BufReader::with_capacity(
        1 << 18,
        File::open(path)?,
    )))
}

/// Returns the arrivals of the log, with all times between them multiplied by `stretch`. Each
/// run reads the file again.
pub(crate) fn arrivals(path: &Path, stretch: f64) -> Arrivals {
    let path = path.to_owned();
    Arrivals::trace(move || {
        // It was read to its end before. If it is gone now, nothing arrives.
        let log = open(&path).ok();
        log.into_iter().flatten().map(move |request| {
            let mut moved = TracedRequest::new(request.at.mul_f64(stretch));
            moved.service_time = request.service_time;
            moved.hash = request.hash;
            moved
        })
    })
}
