//! Real services by way of the forwarders: servers and clients from packages, unchanged.
//!
//! Not here: the forwarders' own rules, which sockets of the tests show better.

mod dns;
mod ftp;
mod iperf3;
mod postgresql;
mod redis;

use std::time::Duration;

use equipoise::forward::Address;
use equipoise::{Balancer, MemberSpec, Scheduler};
use tokio::process::Command;
use tokio::time::timeout;

/// A service takes seconds where nothing else runs, and this long at most.
async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), test).await.unwrap()
}

/// What a client prints that succeeds.
async fn printed(command: &mut Command) -> String {
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}\n{errors}");
    text
}

fn balancer<const N: usize>(
    scheduler: impl Scheduler + 'static,
    members: [(&'static str, Address); N],
) -> Balancer<Address> {
    let members = members.map(|(name, address)| (name, address, MemberSpec::new()));
    let builder = Balancer::builder().scheduler(scheduler).members(members);
    builder.build().unwrap()
}

fn sent_to(balancer: &Balancer<Address>, name: &str) -> u64 {
    balancer.member(name).unwrap().bytes_sent()
}

fn received_from(balancer: &Balancer<Address>, name: &str) -> u64 {
    balancer.member(name).unwrap().bytes_received()
}
