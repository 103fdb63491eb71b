use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor, MemberAddress};
use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec};
use http::Uri;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let readings = HeartbeatReadings::new();
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings))
        .member(
            "a",
            Uri::from_static("http://127.0.0.1:8081"),
            MemberSpec::new(),
        )
        .member(
            "b",
            Uri::from_static("http://127.0.0.1:8082"),
            MemberSpec::new(),
        )
        .build()?;
    let monitor = HeartbeatMonitor::new();
    monitor
        .follow(&balancer, &readings, MemberAddress::of_uri)
        .detach();
    let listening = HeartbeatListener::bind("127.0.0.1:27999".parse()?)?.spawn(&monitor);
    drop(listening); // it listens until here
    Ok(())
}
