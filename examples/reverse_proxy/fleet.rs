//! The embedded backends together with their balancer.

use std::sync::Arc;
use std::time::Duration;

use equipoise::clock::SystemClock;
use equipoise::proxy::Endpoint;
use equipoise::service::BoxError;
use equipoise::{Balancer, HeartbeatReadings, StickySession};

use crate::backends::{Backend, PROFILES};
use crate::heartbeats::Heartbeats;
use crate::schedulers::SchedulerName;
use crate::stopwatch::Stopwatch;

/// Running backends, and the balancer that has them as members.
pub(crate) struct Fleet {
    pub(crate) balancer: Balancer<Endpoint>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) stopwatch: Arc<Stopwatch>,
    /// The balancer's clock, which dates heartbeats.
    clock: SystemClock,
    /// `None` unless the scheduler needs them.
    heartbeats: Option<Heartbeats>,
}

impl Fleet {
    /// Starts all backends; with a `session`, they set the cookie of that name.
    pub(crate) fn start(session: Option<&StickySession>) -> Result<Self, BoxError> {
        let (clock, stopwatch) = (SystemClock::new(), Arc::new(Stopwatch::default()));
        let mut builder = Balancer::builder().clock(clock).observer(stopwatch.clone());
        let mut backends = Vec::new();
        for profile in &PROFILES {
            let backend = Backend::start(profile, session.cloned())?;
            builder = builder.member(profile.name, backend.member()?, backend.spec()?);
            backends.push(backend);
        }
        Ok(Self {
            balancer: builder.build()?,
            backends,
            stopwatch,
            clock,
            heartbeats: None,
        })
    }

    /// Changes the scheduler while the proxy runs.
    pub(crate) fn schedule_by(&mut self, scheduler: SchedulerName) {
        // Readings belong to one scheduler; the next one starts without any.
        let readings = HeartbeatReadings::new();
        scheduler.set(&self.balancer, &readings);
        self.heartbeats = (scheduler == SchedulerName::Heartbeat).then(|| {
            let sites = self.backends.iter().map(|it| it.site.clone()).collect();
            Heartbeats::start(sites, readings, self.clock)
        });
    }

    /// Returns the mean share of each backend in the reported idle capacity.
    pub(crate) fn reported_shares(&self) -> Vec<f64> {
        let heartbeats = self.heartbeats.as_ref();
        heartbeats.map_or(Vec::new(), Heartbeats::mean_shares)
    }

    /// Returns the number of bytes received from each backend.
    pub(crate) fn received(&self) -> Vec<u64> {
        let members = self.balancer.members();
        members.iter().map(|it| it.bytes_received()).collect()
    }

    /// Returns the number of requests in flight at each backend once all have ended; it
    /// waits up to one second for that.
    pub(crate) async fn left_in_flight(&self) -> Vec<u32> {
        let mut attempts = 100;
        loop {
            let members = self.balancer.members();
            let left: Vec<u32> = members.iter().map(|it| it.in_flight()).collect();
            if attempts == 0 || left.iter().all(|&left| left == 0) {
                return left;
            }
            attempts -= 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn backend(&mut self, name: &str) -> Option<&mut Backend> {
        let mut backends = self.backends.iter_mut();
        backends.find(|it| it.site.profile.name == name)
    }
}
