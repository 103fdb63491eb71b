use equipoise::{Balancer, MemberSpec, PickRequest};
use std::{error::Error, net::SocketAddr, time::Duration};
use tokio::{net::lookup_host, time::interval};

/// Resolves a host every ten seconds and makes its addresses the members.
async fn discover(balancer: Balancer<SocketAddr>, host: &'static str) {
    let source = balancer.source("dns");
    let mut ticks = interval(Duration::from_secs(10));
    loop {
        ticks.tick().await;
        // After a failed lookup, the members stay.
        let Ok(addresses) = lookup_host(host).await else {
            continue;
        };
        let members = addresses.map(|it| (it.to_string(), it, MemberSpec::new()));
        if let Err(error) = source.replace_all(members) {
            eprintln!("{error}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let balancer = Balancer::builder().build()?;
    tokio::spawn(discover(balancer.clone(), "localhost:8081"));
    balancer.wait_for_members(1).await;
    let lease = balancer.pick(&PickRequest::new())?;
    println!("{}", *lease);
    Ok(())
}
