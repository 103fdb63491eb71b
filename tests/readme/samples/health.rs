use equipoise::Balancer;
use equipoise::health::{
    AdaptiveLimit, Check, Gradient2, HealthChecks, HttpProbe, OutlierDetector,
};
use std::{error::Error, net::SocketAddr, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let a: SocketAddr = "127.0.0.1:8081".parse()?;
    let b: SocketAddr = "127.0.0.1:8082".parse()?;
    let balancer = Balancer::new([("a", a), ("b", b)])?;
    // A request to each member every five seconds, until `checks` is dropped.
    let check = Check::builder(HttpProbe::get("/status").expect_body("ready").build()?)
        .interval(Duration::from_secs(5))
        .fails(2) // in a row
        .build()?;
    let checks = HealthChecks::new(&balancer, check);
    // Ejects members that fail far more often than the others (Envoy's defaults).
    OutlierDetector::new(&balancer).detach();
    // Limits the requests in flight of each member by its latency (Netflix's gradient).
    AdaptiveLimit::new(&balancer, Gradient2::new).detach();
    drop(checks);
    Ok(())
}
