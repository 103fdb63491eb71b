//! The report in a response: [`OrcaReport`].

use std::time::Duration;

use super::error::OrcaError;
use crate::heartbeat::message::shown;
use crate::scheduler::{HeartbeatReading, ProbeReport};

/// The load report of a member, in the text form of ORCA: the word `TEXT`, followed by
/// metrics separated by commas. Metrics with other names are ignored.
///
/// | metric | a number | used for |
/// |---|---|---|
/// | `application_utilization` | 0 and more | the utilization, unless it is 0 |
/// | `cpu_utilization` | 0 and more | the utilization, without the above |
/// | `mem_utilization` | 0 to 1 | |
/// | `rps_fractional`, `eps` | 0 and more | |
/// | `named_metrics.<name>` | any | the utilization, if [configured](super::OrcaLayer::metric) |
/// | `named_metrics.ready`, `named_metrics.busy` | 0 to 4294967295 | the idle capacity itself, as in a heartbeat |
/// | `named_metrics.rif` | 0 to 4294967295 | requests in flight, for [`Prequal`](crate::scheduler::Prequal) |
/// | `named_metrics.latency` | 0 and more | the time of a request in seconds, for `Prequal` |
///
/// Source: the header of the design document for ORCA, and `orca_load_report.proto` of xDS.
/// The last three rows are extensions of this crate.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::OrcaReport;
/// use equipoise::scheduler::HeartbeatReading;
///
/// let report = OrcaReport::parse(b"TEXT cpu_utilization=0.25, rps_fractional=10.0")?;
/// assert_eq!(report.utilization(), Some(0.25));
/// assert_eq!(report.metric("rps_fractional"), Some(10.0));
/// assert_eq!(report.reading(100, []), Some(HeartbeatReading { ready: 75, busy: 25 }));
/// # Ok::<(), equipoise::heartbeat::OrcaError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrcaReport {
    metrics: Vec<(String, f64)>,
}

const MAX_BYTES: usize = 4096;

const APPLICATION: &str = "application_utilization";
const CPU: &str = "cpu_utilization";
const NAMED: &str = "named_metrics.";

/// The metrics without a prefix, and the largest value of each.
const KNOWN: [(&str, f64); 5] = [
    (APPLICATION, f64::INFINITY),
    (CPU, f64::INFINITY),
    ("eps", f64::INFINITY),
    ("mem_utilization", 1.0),
    ("rps_fractional", f64::INFINITY),
];

impl OrcaReport {
    /// Parses the value of a header `endpoint-load-metrics`.
    ///
    /// # Errors
    ///
    /// If it is not in text form, is longer than 4096 bytes, or has an invalid part: a
    /// number that is infinite, `NaN`, or out of the range of its metric; a metric that
    /// occurs twice.
    pub fn parse(value: &[u8]) -> Result<Self, OrcaError> {
        if value.len() > MAX_BYTES {
            return Err(OrcaError::TooLong { bytes: value.len() });
        }
        let Some(text) = text_of(value) else {
            return Err(OrcaError::Form);
        };
        let mut metrics: Vec<(String, f64)> = Vec::new();
        for part in text.split(|&byte| byte == b',') {
            let part = part.trim_ascii();
            if part.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(part).ok();
            let pair = text.and_then(|text| text.split_once('='));
            let pair = pair.map(|(name, number)| (name.trim_ascii(), number.trim_ascii()));
            let Some((name, number)) = pair.filter(|(name, _)| !name.is_empty()) else {
                return Err(OrcaError::Pair { text: shown(part) });
            };
            let Some(range) = range_of(name) else {
                continue;
            };
            let value = number.parse::<f64>().ok();
            let is_possible = |it: &f64| it.is_finite() && range.contains(it);
            let value = value.filter(is_possible).ok_or_else(|| OrcaError::Number {
                metric: shown(name.as_bytes()),
                text: shown(number.as_bytes()),
            })?;
            metrics.push((name.to_owned(), value));
        }
        metrics.sort_by(|one, other| one.0.cmp(&other.0));
        match metrics.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(OrcaError::Duplicate {
                metric: shown(pair[0].0.as_bytes()),
            }),
            None => Ok(Self { metrics }),
        }
    }

    /// Returns whether it is in text form.
    pub(super) fn is_text(value: &[u8]) -> bool {
        text_of(value).is_some()
    }

    /// Returns a metric by its full name: `eps`, `named_metrics.queue`.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let index = self
            .metrics
            .binary_search_by(|(metric, _)| metric.as_str().cmp(name));
        index.ok().map(|index| self.metrics[index].1)
    }

    /// Returns the utilization: 1 is the full intended load. It is the application's own
    /// value or, if that is missing or 0, the processor's.
    #[must_use]
    pub fn utilization(&self) -> Option<f64> {
        let application = self.metric(APPLICATION).filter(|&it| it > 0.0);
        application.or_else(|| self.metric(CPU))
    }

    /// Returns the idle capacity that follows from the report.
    ///
    /// If the report has `ready` and `busy`, these are returned. Otherwise the utilization
    /// splits `capacity` into busy and idle slots. The utilization is the highest of the
    /// metrics named here, or [`utilization`](Self::utilization) if the report has none of
    /// them. At least one slot is busy, as the member has just responded. `None` if the
    /// report has none of these metrics.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::OrcaReport;
    /// use equipoise::scheduler::HeartbeatReading;
    ///
    /// let report = OrcaReport::parse(b"TEXT cpu_utilization=0.1,named_metrics.queue=0.75")?;
    /// let by_queue = report.reading(100, ["named_metrics.queue"]);
    /// assert_eq!(by_queue, Some(HeartbeatReading { ready: 25, busy: 75 }));
    ///
    /// let report = OrcaReport::parse(b"TEXT named_metrics.ready=12,named_metrics.busy=4")?;
    /// assert_eq!(report.reading(100, []), Some(HeartbeatReading { ready: 12, busy: 4 }));
    /// # Ok::<(), equipoise::heartbeat::OrcaError>(())
    /// ```
    #[must_use]
    pub fn reading<'m>(
        &self,
        capacity: u32,
        metrics: impl IntoIterator<Item = &'m str>,
    ) -> Option<HeartbeatReading> {
        let ready = self.metric("named_metrics.ready");
        if let (Some(ready), Some(busy)) = (ready, self.metric("named_metrics.busy")) {
            let (ready, busy) = (whole(ready), whole(busy));
            return Some(HeartbeatReading { ready, busy });
        }
        let named = metrics.into_iter().filter_map(|name| self.metric(name));
        let highest = named.reduce(f64::max).or_else(|| self.utilization())?;
        let used = whole(highest.max(0.0) * f64::from(capacity));
        Some(HeartbeatReading {
            ready: capacity.saturating_sub(used),
            busy: used.max(1),
        })
    }

    /// Returns the requests in flight and the latency, for
    /// [`Prequal`](crate::scheduler::Prequal): `named_metrics.rif` and
    /// `named_metrics.latency`. `None` without the first. A latency that is missing or too
    /// long is [`Duration::MAX`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::OrcaReport;
    /// use std::time::Duration;
    ///
    /// let report = OrcaReport::parse(b"TEXT named_metrics.rif=3,named_metrics.latency=0.25")?;
    /// let report = report.probe_report().unwrap();
    /// assert_eq!((report.in_flight, report.latency), (3, Duration::from_millis(250)));
    /// # Ok::<(), equipoise::heartbeat::OrcaError>(())
    /// ```
    #[must_use]
    pub fn probe_report(&self) -> Option<ProbeReport> {
        let in_flight = whole(self.metric("named_metrics.rif")?);
        let seconds = self.metric("named_metrics.latency");
        let latency = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        Some(ProbeReport {
            in_flight,
            latency: latency.unwrap_or(Duration::MAX),
        })
    }
}

/// Returns the text after the word `TEXT`.
fn text_of(value: &[u8]) -> Option<&[u8]> {
    value.trim_ascii().strip_prefix(b"TEXT ")
}

/// Returns the nearest integer from 0 to `u32::MAX`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and `NaN` does not come in"
)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

/// Returns the range of a metric; `None` for one that is ignored.
fn range_of(name: &str) -> Option<std::ops::RangeInclusive<f64>> {
    match name.strip_prefix(NAMED) {
        // As in a heartbeat: a larger number is not a capacity, and must not attract all
        // requests.
        Some("ready" | "busy" | "rif") => Some(0.0..=f64::from(u32::MAX)),
        Some("latency") => Some(0.0..=f64::MAX),
        Some(_) => Some(f64::MIN..=f64::MAX),
        None => {
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            known.map(|&(_, most)| 0.0..=most)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OrcaError, OrcaReport};
    use crate::scheduler::HeartbeatReading;
    use proptest::prelude::*;
    use std::time::Duration;

    fn read(text: &str) -> Result<OrcaReport, OrcaError> {
        OrcaReport::parse(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_design_is_understood() {
        let report = read(
            "TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, \
             named_metrics.custom_metric_util=0.4",
        )
        .unwrap();
        assert_eq!(report.utilization(), Some(0.3));
        assert_eq!(report.metric("mem_utilization"), Some(0.8));
        assert_eq!(report.metric("eps"), Some(1.0));
        assert_eq!(report.metric("named_metrics.custom_metric_util"), Some(0.4));
        assert_eq!(report.metric("custom_metric_util"), None);
    }

    #[test]
    fn an_invalid_report_is_an_error_that_names_the_part() {
        for (text, error) in [
            ("JSON {\"eps\": 1}", "the report does not begin with `TEXT`"),
            ("BIN CZqZmZmZmbk/", "the report does not begin with `TEXT`"),
            (
                "cpu_utilization=0.3",
                "the report does not begin with `TEXT`",
            ),
            ("", "the report does not begin with `TEXT`"),
            ("TEXT eps", "not a name and a value: \"eps\""),
            ("TEXT =1", "not a name and a value: \"=1\""),
            ("TEXT eps=1,eps=1", "the metric \"eps\" occurs twice"),
            ("TEXT eps=-1", "`eps` is not a number in its range: \"-1\""),
            (
                "TEXT eps=inf",
                "`eps` is not a number in its range: \"inf\"",
            ),
            (
                "TEXT eps=1e999",
                "`eps` is not a number in its range: \"1e999\"",
            ),
            (
                "TEXT eps=0x10",
                "`eps` is not a number in its range: \"0x10\"",
            ),
            (
                "TEXT mem_utilization=1.1",
                "`mem_utilization` is not a number in its range: \"1.1\"",
            ),
            (
                "TEXT named_metrics.ready=-1",
                "`named_metrics.ready` is not a number in its range: \"-1\"",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), error, "{text}");
        }
        let long = format!("TEXT {}", "x".repeat(5000));
        assert_eq!(read(&long), Err(OrcaError::TooLong { bytes: 5005 }));
    }

    #[test]
    fn metrics_that_are_not_known_are_ignored() {
        let report =
            read("TEXT request_cost.bytes=abc,utilization.disk=7,rps=x,,cpu_utilization=1");
        assert_eq!(report.unwrap().utilization(), Some(1.0));
    }

    #[test]
    fn the_applications_own_figure_counts_before_the_processors() {
        let utilization = |text| read(text).unwrap().utilization();
        let both = "TEXT cpu_utilization=0.2,application_utilization=0.9";
        assert_eq!(utilization(both), Some(0.9));
        let unset = "TEXT cpu_utilization=0.2,application_utilization=0";
        assert_eq!(utilization(unset), Some(0.2));
        assert_eq!(utilization("TEXT eps=1"), None);
    }

    #[test]
    fn idle_capacity_is_never_more_than_there_is() {
        for (utilization, ready, busy) in [
            ("0", 100, 1),
            ("0.004", 100, 1),
            ("0.5", 50, 50),
            ("1", 0, 100),
            ("2.5", 0, 250),
            ("1e300", 0, u32::MAX),
        ] {
            let report = read(&format!("TEXT cpu_utilization={utilization}")).unwrap();
            let reading = report.reading(100, []);
            assert_eq!(
                reading,
                Some(HeartbeatReading { ready, busy }),
                "{utilization}"
            );
        }
        let negative = read("TEXT named_metrics.x=-3").unwrap();
        let reading = negative.reading(100, ["named_metrics.x"]);
        assert_eq!(reading.unwrap().ready, 100);
        for huge in ["1e40", "4294967296", "1e308"] {
            let huge = read(&format!(
                "TEXT named_metrics.ready={huge},named_metrics.busy=0"
            ));
            assert!(matches!(huge, Err(OrcaError::Number { .. })), "{huge:?}");
        }
    }

    #[test]
    fn the_signals_of_prequal_are_read() {
        for (text, expected) in [
            ("rif=0,named_metrics.latency=0", Some((0, Duration::ZERO))),
            ("rif=2.6", Some((3, Duration::MAX))),
            (
                "rif=1,named_metrics.latency=1e300",
                Some((1, Duration::MAX)),
            ),
            ("latency=1", None),
        ] {
            let report = read(&format!("TEXT named_metrics.{text}")).unwrap();
            let signals = report.probe_report().map(|it| (it.in_flight, it.latency));
            assert_eq!(signals, expected, "{text}");
        }
        for text in [
            "rif=-1",
            "rif=NaN",
            "rif=4294967296",
            "latency=-0.1",
            "latency=inf",
        ] {
            let report = read(&format!("TEXT named_metrics.{text}"));
            assert!(matches!(report, Err(OrcaError::Number { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = OrcaReport::parse(&value);
        }

        #[test]
        fn whatever_is_read_has_possible_numbers(
            text in "TEXT (named_metrics\\.)?(cpu_utilization|eps|ready|busy|x)=[-+.0-9enaif]{0,12}",
            capacity: u32,
        ) {
            if let Ok(report) = OrcaReport::parse(text.as_bytes()) {
                let reading = report.reading(capacity, []);
                let named = text.contains("named");
                prop_assert!(reading.is_none_or(|it| named || it.ready <= capacity));
            }
        }
    }
}
