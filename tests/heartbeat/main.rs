//! Capacity that members report themselves: on real sockets, by POST, through files, with
//! answers, and to and from Apache httpd.

#![cfg(feature = "heartbeat")]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod files;
mod following;
mod forms;
#[cfg(unix)]
mod httpd;
mod in_flight;
mod orca;
mod prequal;
mod signed;
mod udp;

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::heartbeat::{HeartbeatMonitor, MemberAddress};
use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec, PickRequest};
use tokio::time::{sleep, timeout};

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}

/// Resolves when it is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Members at addresses, elected by their heartbeats and by nothing else.
fn balancer(members: &[(&str, &str)]) -> (Balancer<SocketAddr>, HeartbeatReadings) {
    let readings = HeartbeatReadings::new();
    let members = members.iter();
    let members = members.map(|(name, at)| (*name, at.parse().unwrap(), MemberSpec::new()));
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings).without_fallback())
        .members(members)
        .build()
        .unwrap();
    (balancer, readings)
}

/// A balancer whose members' reports come from a monitor, as long as both live.
fn followed(monitor: &HeartbeatMonitor, members: &[(&str, &str)]) -> Balancer<SocketAddr> {
    let (balancer, readings) = balancer(members);
    let address = |&at: &SocketAddr| [MemberAddress::from(at)];
    monitor.follow(&balancer, &readings, address).detach();
    balancer
}

/// The idle capacity by which a member is elected; `None` if it has not reported.
fn idle<W>(balancer: &Balancer<W>, name: &str) -> Option<i64> {
    balancer.standing(name)
}

/// Which member is elected, if one is.
fn elected<W>(balancer: &Balancer<W>) -> Option<String> {
    let lease = balancer.pick(&PickRequest::new()).ok()?;
    Some(lease.member().name().to_owned())
}
