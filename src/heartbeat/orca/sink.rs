//! Where the reports go: [`Sink`], without the type of the balancer's payload.

use std::sync::Arc;

use super::OrcaError;
use super::report::OrcaReport;
use crate::balancer::Balancer;
use crate::scheduler::{HeartbeatReading, HeartbeatReadings};

/// The shared state of a layer's services.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) capacity: u32,
    pub(super) keeps_header: bool,
    pub(super) metrics: Arc<[String]>,
    pub(super) on_error: Option<Arc<OrcaErrorHook>>,
    give: Arc<Give>,
}

/// Passes a member's reading to the balancer.
type Give = dyn Fn(&str, HeartbeatReading) + Send + Sync;

pub(super) type OrcaErrorHook = dyn Fn(&str, &OrcaError) + Send + Sync;

impl Sink {
    pub(super) fn new<W>(balancer: &Balancer<W>, readings: &HeartbeatReadings) -> Self
    where
        W: Send + Sync + 'static,
    {
        let (balancer, readings) = (balancer.downgrade(), readings.clone());
        let give = move |member: &str, reading| {
            if let Some(balancer) = balancer.upgrade() {
                // The name was a member's when it was picked. If the member was removed
                // since, its report is kept for a while, or dropped.
                let _ = readings.report(member, reading, balancer.now());
            }
        };
        Self {
            capacity: 100,
            keeps_header: false,
            metrics: Arc::default(),
            on_error: None,
            give: Arc::new(give),
        }
    }

    /// Handles the report of a member.
    pub(super) fn take(&self, member: &str, value: &[u8]) {
        match OrcaReport::parse(value) {
            Ok(report) => {
                let metrics = self.metrics.iter().map(String::as_str);
                if let Some(reading) = report.reading(self.capacity, metrics) {
                    (self.give)(member, reading);
                }
            }
            Err(error) => {
                if let Some(on_error) = &self.on_error {
                    on_error(member, &error);
                }
            }
        }
    }
}
