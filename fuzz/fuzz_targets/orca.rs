//! No bytes make the reader of ORCA headers panic, and the idle capacity that follows from one is
//! never more than there is, unless the member names it itself.

#![no_main]

use equipoise::heartbeat::OrcaReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &[u8])| {
    let (capacity, bytes) = input;
    match OrcaReport::parse(bytes) {
        Ok(report) => {
            assert!(report.utilization().is_none_or(|it| it.is_finite() && it >= 0.0));
            let metrics = ["named_metrics.x"];
            if let Some(reading) = report.reading(capacity, metrics) {
                let is_named = report.metric("named_metrics.ready").is_some();
                assert!(is_named || reading.ready <= capacity);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
