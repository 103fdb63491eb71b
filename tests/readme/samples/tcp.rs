use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::{Listener, shutdown_signal};
use equipoise::{Balancer, ByBusyness, MemberSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limit = MemberSpec::new().with_max_in_flight(100);
    let balancer = Balancer::builder()
        .scheduler(ByBusyness::new())
        .member(
            "db-1",
            Address::host("localhost", Some(8081)),
            limit.clone(),
        )
        .member("db-2", "127.0.0.1:8082".parse()?, limit)
        .build()?;
    let listener = Listener::bind("127.0.0.1:5433".parse()?)?;
    TcpForwarder::new(balancer)
        .serve(listener, shutdown_signal()?)
        .await;
    Ok(())
}
