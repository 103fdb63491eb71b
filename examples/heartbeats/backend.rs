//! A server that reports its idle capacity: the file to copy from. The code for its
//! failures is at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use equipoise::heartbeat::{HeartbeatSender, InFlight, InFlightGuard, InFlightLayer};
use equipoise::service::BoxError;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// How many requests a server can serve at once.
pub(crate) const SLOTS: u32 = 16;

/// Serves until standard input ends, and reports to a balancer.
pub(crate) async fn serve(
    address: SocketAddr,
    balancer: SocketAddr,
    interval: Duration,
) -> Result<(), BoxError> {
    let failures = Arc::<Failures>::default();
    let app = Router::new()
        .route("/", get(respond))
        .with_state(failures.clone());
    let listener = TcpListener::bind(address).await?;

    // These lines report the idle capacity.
    let in_flight = InFlight::new();
    let app = app.layer(InFlightLayer::new(&in_flight));
    let sending = HeartbeatSender::new(balancer)
        .capacity(SLOTS)
        .in_flight(&in_flight)
        .port(address.port())
        .interval(interval) // 1 s by default
        .spawn();

    let stop = async move {
        failures.read_commands(&in_flight).await;
        // The last report has no idle capacity. Requests in flight may end.
        drop(sending);
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop);
    Ok(serving.await?)
}

async fn respond(State(failures): State<Arc<Failures>>) -> &'static str {
    let is_slow = failures.is_slow.load(Ordering::Relaxed);
    sleep(Duration::from_millis(if is_slow { 1_000 } else { 100 })).await;
    "hello\n"
}

/// The failures of a server, set by its standard input.
#[derive(Default)]
struct Failures {
    is_slow: AtomicBool,
}

impl Failures {
    async fn read_commands(&self, in_flight: &InFlight) {
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        let mut other_work: Vec<InFlightGuard> = Vec::new();
        while let Ok(Some(command)) = commands.next_line().await {
            self.is_slow.store(command == "slow", Ordering::Relaxed);
            other_work.clear();
            if command == "occupied" {
                other_work.extend((2..SLOTS).map(|_| in_flight.begin()));
            }
        }
    }
}
