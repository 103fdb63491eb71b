use equipoise::{Balancer, Outcome, PickRequest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let balancer = Balancer::new([("a", "10.0.0.1:5432"), ("b", "10.0.0.2:5432")])?;
    println!("{}", balancer.explain(&PickRequest::new()));
    let lease = balancer.pick(&PickRequest::new())?;
    println!("connecting to {}", *lease);
    lease.finish(Outcome::Success);
    Ok(())
}
