use equipoise::Balancer;
use equipoise::service::{BalanceLayer, BufferUpTo, Failover, Timeouts};
use equipoise::timer::TokioTimer;
use http::{StatusCode, Uri};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let balancer = Balancer::new([
        ("a", Uri::from_static("http://10.0.0.1:8080")),
        ("b", Uri::from_static("http://10.0.0.2:8080")),
    ])?;
    let per_try = Timeouts::new().with_per_try_timeout(Duration::from_secs(30));
    let layer = BalanceLayer::new(balancer)
        .failover(Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]))
        .request_body(BufferUpTo(64 << 10)) // so that a `PUT` can be sent again, too
        .timeouts(TokioTimer::new(), per_try);
    println!("{layer:?}");
    Ok(())
}
