//! Where the reports go: [`Sink`], without the type of the balancer's payload.

use std::sync::Arc;

use super::OrcaError;
use super::report::OrcaReport;
use crate::balancer::Balancer;
use crate::scheduler::{HeartbeatReadings, PrequalReports};

/// The shared state of a layer's services.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) capacity: u32,
    pub(super) keeps_header: bool,
    pub(super) metrics: Arc<[String]>,
    pub(super) on_error: Option<Arc<OrcaErrorHook>>,
    give: Arc<Give>,
}

/// Passes what a member's report has to its balancer, by the settings of the layer.
type Give = dyn Fn(&Sink, &str, &OrcaReport) + Send + Sync;

pub(super) type OrcaErrorHook = dyn Fn(&str, &OrcaError) + Send + Sync;

impl Sink {
    pub(super) fn new<W>(balancer: &Balancer<W>, readings: &HeartbeatReadings) -> Self
    where
        W: Send + Sync + 'static,
    {
        let (balancer, readings) = (balancer.downgrade(), readings.clone());
        Self::with(move |sink, member, report| {
            let metrics = sink.metrics.iter().map(String::as_str);
            let reading = report.reading(sink.capacity, metrics);
            if let (Some(reading), Some(balancer)) = (reading, balancer.upgrade()) {
                // The name was a member's when it was picked. If the member was removed
                // since, its report is kept for a while, or dropped.
                let _ = readings.report(member, reading, balancer.now());
            }
        })
    }

    pub(super) fn for_prequal<W>(balancer: &Balancer<W>, reports: &PrequalReports) -> Self
    where
        W: Send + Sync + 'static,
    {
        let (balancer, reports) = (balancer.downgrade(), reports.clone());
        Self::with(move |_, member, report| {
            if let (Some(report), Some(balancer)) = (report.probe_report(), balancer.upgrade()) {
                reports.report(member, report, balancer.now());
            }
        })
    }

    fn with(give: impl Fn(&Self, &str, &OrcaReport) + Send + Sync + 'static) -> Self {
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
            Ok(report) => (self.give)(self, member, &report),
            Err(error) => {
                if let Some(on_error) = &self.on_error {
                    on_error(member, &error);
                }
            }
        }
    }
}
