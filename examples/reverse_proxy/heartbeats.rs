//! The heartbeats of the embedded backends: what each can take, told to the scheduler
//! again and again. In a data centre this would come in by UDP, or be scraped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use equipoise::HeartbeatReadings;
use equipoise::clock::{Clock, SystemClock};
use tokio::task::JoinSet;

use crate::backends::Site;

/// Seconds would do for a real fleet; a short demonstration needs many.
const INTERVAL: Duration = Duration::from_millis(20);

/// Backends that report; they stop when this is dropped.
pub(crate) struct Heartbeats {
    shares: Arc<Mutex<Shares>>,
    _beating: JoinSet<()>,
}

impl Heartbeats {
    /// Reports once before it returns, and from then on regularly. `clock` is the
    /// balancer's: by it a reading that is too old is known.
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
                // Refused only to thousands of names that are no members.
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

    /// The share of each backend in the idle capacity that was reported, on average.
    pub(crate) fn mean_shares(&self) -> Vec<f64> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.mean()
    }
}

/// Sums of shares over the heartbeats.
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
