//! The heartbeats of the embedded backends: their capacity is reported to the scheduler
//! periodically. Real servers would report by UDP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use equipoise::HeartbeatReadings;
use equipoise::clock::{Clock, SystemClock};
use tokio::task::JoinSet;

use crate::backends::Site;

/// A real fleet would report every second; a short demonstration needs more reports.
const INTERVAL: Duration = Duration::from_millis(20);

/// Backends that report, until this is dropped.
pub(crate) struct Heartbeats {
    shares: Arc<Mutex<Shares>>,
    _beating: JoinSet<()>,
}

impl Heartbeats {
    /// Reports once before it returns, and then periodically. `clock` is the balancer's,
    /// which measures the age of readings.
    pub(crate) fn start(
        sites: Vec<Arc<Site>>,
        readings: HeartbeatReadings,
        clock: SystemClock,
    ) -> Self {
        let shares = Arc::new(Mutex::new(Shares::new(sites.len())));
        let noted = shares.clone();
        let beat = move || {
            let idle = sites.iter().map(|site| {
                let reading = site.reading();
                // Refused only for thousands of names that are not members.
                let _ = readings.report(site.profile.name, reading, clock.now());
                reading.idle()
            });
            let idle = idle.collect();
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.note(idle);
        };
        beat();
        let mut beating = JoinSet::new();
        beating.spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                beat();
            }
        });
        Self {
            shares,
            _beating: beating,
        }
    }

    /// Returns the mean share of each backend in the reported idle capacity.
    pub(crate) fn mean_shares(&self) -> Vec<f64> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.mean()
    }
}

/// The sums of shares over all heartbeats.
struct Shares {
    sums: Vec<f64>,
    beats: u32,
}

impl Shares {
    fn new(backends: usize) -> Self {
        Self {
            sums: vec![0.0; backends],
            beats: 0,
        }
    }

    fn note(&mut self, idle: Vec<u32>) {
        let total: u32 = idle.iter().sum();
        for (sum, idle) in self.sums.iter_mut().zip(idle) {
            *sum += f64::from(idle) / f64::from(total.max(1));
        }
        self.beats += 1;
    }

    fn mean(&self) -> Vec<f64> {
        let beats = f64::from(self.beats);
        self.sums.iter().map(|sum| sum / beats).collect()
    }
}
