use axum::{Router, routing::get};
use equipoise::heartbeat::{HeartbeatSender, InFlight, InFlightLayer};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app: Router = Router::new().route("/", get(async || "hello"));
    let listener = TcpListener::bind("127.0.0.1:8083").await?;

    let in_flight = InFlight::new();
    let app = app.layer(InFlightLayer::new(&in_flight)); // outside all other layers
    let sender = HeartbeatSender::new("127.0.0.1:27998".parse()?).capacity(64);
    let _sending = sender.in_flight(&in_flight).port(8083).spawn();

    Ok(axum::serve(listener, app).await?)
}
