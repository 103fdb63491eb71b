//! The header of a report, in the text form of ORCA.

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};

use crate::scheduler::ProbeReport;

pub(super) const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics");

/// The metrics of a report.
const METRICS: [&[u8]; 2] = [b"named_metrics.rif", b"named_metrics.latency"];

/// Adds a report to a response: to the text that is there already, or as a new field. An
/// earlier report in that text is dropped: a metric that is there twice makes it invalid.
pub(super) fn add(headers: &mut HeaderMap, report: &ProbeReport) {
    let latency = report.latency;
    let metrics = format!(
        "named_metrics.rif={},named_metrics.latency={}.{:09}",
        report.in_flight,
        latency.as_secs(),
        latency.subsec_nanos(),
    );
    if let Entry::Occupied(mut fields) = headers.entry(HEADER) {
        // The last one in text form is the one that is read.
        let in_text = |it: &&mut HeaderValue| it.as_bytes().starts_with(b"TEXT ");
        if let Some(field) = fields.iter_mut().rev().find(in_text) {
            let text = field.as_bytes().strip_prefix(b"TEXT ").unwrap_or_default();
            let others = text
                .split(|&byte| byte == b',')
                .filter(|one| !is_report(one));
            let parts: Vec<&[u8]> = others.chain([metrics.as_bytes()]).collect();
            let joined = [b"TEXT ", parts.join(&b',').as_slice()].concat();
            if let Ok(joined) = HeaderValue::from_bytes(&joined) {
                *field = joined;
                return;
            }
        }
    }
    if let Ok(value) = HeaderValue::try_from(format!("TEXT {metrics}")) {
        headers.append(HEADER, value);
    }
}

/// Returns whether a pair of a metric and its value belongs to a report.
fn is_report(pair: &[u8]) -> bool {
    let name = pair.split(|&byte| byte == b'=').next();
    name.is_some_and(|name| METRICS.contains(&name.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::{HEADER, add};
    use crate::heartbeat::OrcaReport;
    use crate::scheduler::ProbeReport;
    use http::HeaderMap;
    use std::time::Duration;

    const REPORT: ProbeReport = ProbeReport {
        in_flight: 3,
        latency: Duration::from_micros(1_500),
    };

    #[test]
    fn the_report_is_read_as_it_was_written() {
        let mut headers = HeaderMap::new();
        add(&mut headers, &REPORT);
        let text = "TEXT named_metrics.rif=3,named_metrics.latency=0.001500000";
        assert_eq!(headers[HEADER], text);
        let read = OrcaReport::parse(text.as_bytes()).unwrap();
        assert_eq!(read.probe_report(), Some(REPORT));
    }

    #[test]
    fn the_metrics_of_the_application_stay() {
        let mut headers = HeaderMap::new();
        for value in ["TEXT eps=1", "BIN CZqZmZmZmbk/"] {
            headers.append(HEADER, value.parse().unwrap());
        }
        add(&mut headers, &REPORT);
        let once = headers.clone();
        add(&mut headers, &REPORT);
        assert_eq!(headers, once, "one report, though it was added twice");
        let values: Vec<_> = headers.get_all(HEADER).iter().collect();
        let joined = "TEXT eps=1,named_metrics.rif=3,named_metrics.latency=0.001500000";
        assert_eq!(values, [joined, "BIN CZqZmZmZmbk/"]);
    }
}
