//! The accept loop: it accepts connections within a limit until it is told to stop.
//! [`Accepting`].
//!
//! Not here: how a connection is served, and which idle connection is closed
//! when another client waits (`idle`).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::accepted::Accepted;
use super::idle::IdleConnections;
use super::listener::Listener;
use super::stopped::Stopped;
use super::stopping::{Phase, Stopping};
use super::stream::Stream;
use crate::timer::timeout;

/// The permit of one connection, out of the maximum number. Dropping it frees the permit.
pub(crate) type ConnectionPermit = OwnedSemaphorePermit;

/// A client's connection, and the handles that tie it to the loop that accepted it.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) accepted: Accepted,
    pub(crate) place: ConnectionPermit,
    pub(crate) stopping: Stopping,
    /// The idle connections of the same loop.
    #[cfg_attr(
        not(any(feature = "forward", feature = "proxy")),
        expect(dead_code, reason = "for what serves connections of others")
    )]
    pub(crate) idle: IdleConnections,
}

#[cfg(all(test, feature = "forward"))]
impl Arrived {
    /// A connection that was not accepted by a loop.
    pub(crate) fn alone(stream: Stream) -> Option<Self> {
        Some(Self {
            accepted: Accepted::arrived(stream, None),
            place: Arc::new(Semaphore::new(1)).try_acquire_owned().ok()?,
            stopping: Stopping::new(Duration::ZERO).1,
            idle: IdleConnections::default(),
        })
    }
}

/// How many connections are accepted, and how long they may continue after the stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepting {
    pub(crate) most: u32,
    pub(crate) drain: Duration,
}

/// An upper bound that no system reaches.
const MOST: u32 = 1 << 28;

impl Accepting {
    /// Accepts connections until `stop` resolves, and runs `serve` for each in its own
    /// task. After the stop, it also serves the connections in the system's queue.
    /// Connections that still hold a [`ConnectionPermit`] when the drain time is over are
    /// cut.
    ///
    /// While a client waits for a permit, the connection that has been idle the longest is
    /// evicted from time to time.
    pub(crate) async fn serve<F, T>(
        self,
        listener: Listener,
        serve: F,
        stop: impl Future<Output = ()>,
    ) -> Stopped
    where
        F: Fn(Arrived) -> T + Clone + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (phase, stopping) = Stopping::new(self.drain);
        let idle = IdleConnections::default();
        let most = self.most.clamp(1, MOST);
        let places = Arc::new(Semaphore::new(most as usize));
        let mut tasks = JoinSet::new();
        let arrived = |(stream, peer), place| Arrived {
            accepted: Accepted::arrived(stream, peer),
            place,
            stopping: stopping.clone(),
            idle: idle.clone(),
        };
        let mut stop = std::pin::pin!(stop);
        // Accepted, but without a permit yet; there is at most one.
        let mut waiting = None;
        {
            // Kept across turns of the loop, so that each waiting client evicts idle
            // connections at its own pace.
            let mut place = std::pin::pin!(free_place(&places, &idle));
            loop {
                tokio::select! {
                    accepted = next(&listener), if waiting.is_none() => {
                        // In most cases a permit is free.
                        match places.clone().try_acquire_owned() {
                            Ok(free) => drop(tasks.spawn(serve(arrived(accepted, free)))),
                            Err(_) => waiting = Some(accepted),
                        }
                    }
                    free = &mut place, if waiting.is_some() => {
                        place.set(free_place(&places, &idle));
                        if let Some(accepted) = waiting.take() {
                            tasks.spawn(serve(arrived(accepted, free)));
                        }
                    }
                    // Tasks that have ended are dropped.
                    Some(_) = tasks.join_next() => while tasks.try_join_next().is_some() {},
                    () = &mut stop => break,
                }
            }
        }
        for queued in waiting.into_iter().chain(listener.close()) {
            let (serve, places) = (serve.clone(), places.clone());
            let (stopping, idle) = (stopping.clone(), idle.clone());
            tasks.spawn(async move {
                if let Ok(place) = places.acquire_owned().await {
                    let (stream, peer) = queued;
                    serve(Arrived {
                        accepted: Accepted::arrived(stream, peer),
                        place,
                        stopping,
                        idle,
                    })
                    .await;
                }
            });
        }
        drain(self.drain, most, &phase, &places, tasks).await
    }
}

/// Returns the next connection.
async fn next(listener: &Listener) -> (Stream, Option<SocketAddr>) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has closed the connection already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // For example too many open files: this passes, but must not be retried in a
            // busy loop.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// If no permit becomes free in this time, another idle connection is evicted.
const NEXT_LOOK: Duration = Duration::from_millis(100);

/// Waits for the permit of one connection, evicting idle connections meanwhile.
async fn free_place(places: &Arc<Semaphore>, idle: &IdleConnections) -> ConnectionPermit {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return place;
    }
    let mut freed = std::pin::pin!(places.clone().acquire_owned());
    loop {
        idle.evict_longest();
        match timeout(NEXT_LOOK, freed.as_mut()).await {
            Ok(Ok(place)) => return place,
            // The semaphore is never closed.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => {}
        }
    }
}

async fn drain(
    limit: Duration,
    most: u32,
    phase: &watch::Sender<Phase>,
    places: &Semaphore,
    mut tasks: JoinSet<()>,
) -> Stopped {
    phase.send_replace(Phase::Draining);
    // All permits are free once all connections and their tunnels have ended.
    let gone = async {
        while tasks.join_next().await.is_some() {}
        drop(places.acquire_many(most).await);
    };
    if timeout(limit, gone).await.is_ok() {
        return Stopped::after(0);
    }
    let cut = (most as usize).saturating_sub(places.available_permits());
    phase.send_replace(Phase::Cut);
    tasks.shutdown().await;
    // Tunnels have tasks of their own. They end as soon as they see the cutoff.
    let gone = places.acquire_many(most);
    let _ = timeout(Duration::from_secs(1), gone).await;
    Stopped::after(cut)
}
