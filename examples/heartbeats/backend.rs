//! A server that announces its idle capacity: the file to copy from. What its troubles need is
//! at the end.

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

/// How many requests a server serves at once.
pub(crate) const PLACES: u32 = 16;

/// Serves until standard input ends, and reports to a balancer.
pub(crate) async fn serve(
    address: SocketAddr,
    balancer: SocketAddr,
    interval: Duration,
) -> Result<(), BoxError> {
    let trouble = Arc::<Trouble>::default();
    let app = Router::new()
        .route("/", get(answer))
        .with_state(trouble.clone());
    let listener = TcpListener::bind(address).await?;

    // These three announce what is idle.
    let in_flight = InFlight::new();
    let app = app.layer(InFlightLayer::new(&in_flight));
    let sending = HeartbeatSender::new(balancer)
        .capacity(PLACES)
        .in_flight(&in_flight)
        .port(address.port())
        .interval(interval) // a second, if it is left out
        .spawn();

    let stop = async move {
        trouble.obey(&in_flight).await;
        // The last report: nothing is idle. What is in flight may end.
        drop(sending);
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop);
    Ok(serving.await?)
}

async fn answer(State(trouble): State<Arc<Trouble>>) -> &'static str {
    let is_slow = trouble.is_slow.load(Ordering::Relaxed);
    sleep(Duration::from_millis(if is_slow { 1_000 } else { 100 })).await;
    "hello\n"
}

/// What ails a server, as it is told by its standard input.
#[derive(Default)]
struct Trouble {
    is_slow: AtomicBool,
}

impl Trouble {
    async fn obey(&self, in_flight: &InFlight) {
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        let mut other_work: Vec<InFlightGuard> = Vec::new();
        while let Ok(Some(order)) = orders.next_line().await {
            self.is_slow.store(order == "slow", Ordering::Relaxed);
            other_work.clear();
            if order == "occupied" {
                other_work.extend((2..PLACES).map(|_| in_flight.begin()));
            }
        }
    }
}
