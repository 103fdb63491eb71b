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

/// Backends that run, and the balancer whose members they are.
pub(crate) struct Fleet {
    pub(crate) balancer: Balancer<Endpoint>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) stopwatch: Arc<Stopwatch>,
    /// The balancer's, by which heartbeats are dated.
    clock: SystemClock,
    /// `None` unless the scheduler wants them.
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
    pub(crate) fn elect_by(&mut self, scheduler: SchedulerName) {
        // Readings belong to one scheduler: the next one starts with none.
        let readings = HeartbeatReadings::new();
        scheduler.set(&self.balancer, &readings);
        self.heartbeats = (scheduler == SchedulerName::Heartbeat).then(|| {
            let sites = self.backends.iter().map(|it| it.site.clone()).collect();
            Heartbeats::start(sites, readings, self.clock)
        });
    }

    /// The share of each backend in the idle capacity that was reported, on average.
    pub(crate) fn reported_shares(&self) -> Vec<f64> {
        let heartbeats = self.heartbeats.as_ref();
        heartbeats.map_or(Vec::new(), Heartbeats::mean_shares)
    }

    /// How many bytes have come from each backend.
    pub(crate) fn received(&self) -> Vec<u64> {
        let members = self.balancer.members();
        members.iter().map(|it| it.bytes_received()).collect()
    }

    /// How many requests are in flight at each backend once all have ended, for which
    /// this waits up to a second.
    pub(crate) async fn left_in_flight(&self) -> Vec<u32> {
        let mut patience = 100;
        loop {
            let members = self.balancer.members();
            let left: Vec<u32> = members.iter().map(|it| it.in_flight()).collect();
            if patience == 0 || left.iter().all(|&left| left == 0) {
                return left;
            }
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn backend(&mut self, name: &str) -> Option<&mut Backend> {
        let mut backends = self.backends.iter_mut();
        backends.find(|it| it.site.profile.name == name)
    }
}
