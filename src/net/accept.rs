//! The life of a server: it accepts, serves, and stops. [`Server::serve`], [`Stopped`].

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use super::connection::Connection;
use super::descriptors::default_connections;
use super::idle::IdleConnections;
use super::stopping::{Phase, Stopping};
use super::{ClientBody, Listener, Server};
use crate::proxy::stream::Stream;
use crate::service::BoxError;
use crate::timer::timeout;

/// How a server ended.
///
/// # Examples
///
/// See [`Server`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stopped {
    cut: usize,
}

impl Stopped {
    #[cfg(feature = "config")]
    pub(crate) const fn after(cut: usize) -> Self {
        Self { cut }
    }

    /// Returns how many connections, tunnels included, were cut because they had not ended
    /// in time.
    ///
    /// # Examples
    ///
    /// See [`Server`].
    #[must_use]
    pub const fn cut(&self) -> usize {
        self.cut
    }
}

impl Server {
    /// Serves connections until `stop` resolves; then it takes what waits in the system's
    /// queue, closes the listener, lets requests that have begun end, and cuts what still
    /// goes on after the [`drain_timeout`](Self::drain_timeout).
    ///
    /// A client over HTTP/1 cannot know yet that the server stops. For one second, or a quarter
    /// of the `drain_timeout` if that is less, a connection without a request may send one more,
    /// which is answered with `Connection: close`. Over HTTP/2, the end is announced (`GOAWAY`).
    ///
    /// It serves one listener; for several, join it with clones.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cuts all of its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
    ///
    /// # Examples
    ///
    /// See [`Server`].
    pub async fn serve<S, B>(
        self,
        listener: Listener,
        service: S,
        stop: impl Future<Output = ()>,
    ) -> Stopped
    where
        S: Service<Request<ClientBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (phase, stopping) = Stopping::new();
        let most = self.options.max_connections;
        let most = most.unwrap_or_else(default_connections);
        let places = Arc::new(Semaphore::new(most as usize));
        let mut tasks = JoinSet::new();
        let options = Arc::new(self.options);
        let draining = options.drain;
        let idle = IdleConnections::default();
        // It owns what it clones, so that a service need not be `Sync`.
        let connections = idle.clone();
        let serve = move |(stream, peer), place: OwnedSemaphorePermit| {
            let connection = Connection {
                stream,
                peer,
                place,
                service: service.clone(),
                options: options.clone(),
                stopping: stopping.clone(),
                idle: connections.clone(),
            };
            connection.serve()
        };
        let mut stop = std::pin::pin!(stop);
        // Accepted, but without a place yet; there is at most one.
        let mut waiting = None;
        {
            // It goes on over the turns of the loop, so that each that waits evicts but one.
            let mut place = std::pin::pin!(free_place(&places, &idle));
            loop {
                tokio::select! {
                    accepted = next(&listener), if waiting.is_none() => waiting = Some(accepted),
                    free = &mut place, if waiting.is_some() => {
                        place.set(free_place(&places, &idle));
                        if let Some(accepted) = waiting.take() {
                            tasks.spawn(serve(accepted, free));
                        }
                    }
                    // A connection that has ended is forgotten.
                    Some(_) = tasks.join_next() => {}
                    () = &mut stop => break,
                }
            }
        }
        for queued in waiting.into_iter().chain(listener.socket.close()) {
            let (serve, place) = (serve.clone(), places.clone().acquire_owned());
            tasks.spawn(async move {
                if let Ok(place) = place.await {
                    serve(queued, place).await;
                }
            });
        }
        drain(draining, most, &phase, &places, tasks).await
    }
}

type Accepted = (Stream, Option<std::net::SocketAddr>);

/// The next connection.
async fn next(listener: &Listener) -> Accepted {
    loop {
        match listener.socket.accept().await {
            Ok(accepted) => return accepted,
            // It has gone again.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // Too many open files, say: it passes, but not by asking without a pause.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// If no place becomes free in this time, another idle connection is looked for.
const NEXT_LOOK: Duration = Duration::from_millis(100);

/// A place for a connection that waits for one; if there is none, that of the connection
/// which has been idle the longest.
async fn free_place(places: &Arc<Semaphore>, idle: &IdleConnections) -> OwnedSemaphorePermit {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return place;
    }
    let mut freed = std::pin::pin!(places.clone().acquire_owned());
    loop {
        idle.evict_longest();
        match timeout(NEXT_LOOK, freed.as_mut()).await {
            Ok(Ok(place)) => return place,
            // It is never closed.
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
    // All places are free once all connections, and what became of them, are gone.
    let gone = async {
        while tasks.join_next().await.is_some() {}
        drop(places.acquire_many(most).await);
    };
    if timeout(limit, gone).await.is_ok() {
        return Stopped { cut: 0 };
    }
    let cut = (most as usize).saturating_sub(places.available_permits());
    phase.send_replace(Phase::Cut);
    tasks.shutdown().await;
    // Tunnels have tasks of their own, and end as soon as they have heard of it.
    let gone = places.acquire_many(most);
    let _ = timeout(Duration::from_secs(1), gone).await;
    Stopped { cut }
}
