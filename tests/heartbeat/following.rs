//! Which member a report is of: by address and port, by name, before and after it joins.

use std::net::{IpAddr, SocketAddr};

use equipoise::heartbeat::{HeartbeatMonitor, MemberAddress, ReportError};
use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec};

use super::{balancer, elected, followed, idle, until, within};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn receive(monitor: &HeartbeatMonitor, from: &str, message: &str) -> Result<(), ReportError> {
    monitor.receive(ip(from), message.as_bytes()).map(drop)
}

#[test]
fn a_report_is_of_the_member_at_its_address() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")]);
    receive(&monitor, "10.0.0.2", "v=1&ready=30&busy=1").unwrap();
    assert_eq!(
        (idle(&balancer, "a"), idle(&balancer, "b")),
        (None, Some(30))
    );
    assert_eq!(elected(&balancer).as_deref(), Some("b"));
    // As a socket for both versions of IP shows it.
    receive(&monitor, "::ffff:10.0.0.1", "v=1&ready=7&busy=1").unwrap();
    assert_eq!(idle(&balancer, "a"), Some(7));
}

#[test]
fn members_of_one_address_are_told_apart_by_the_port_that_a_report_names() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:8081"), ("b", "10.0.0.1:8082")]);
    receive(&monitor, "10.0.0.1", "v=1&ready=10&busy=1&port=8081").unwrap();
    receive(&monitor, "10.0.0.1", "v=1&ready=20&busy=1&port=8082").unwrap();
    receive(&monitor, "10.0.0.1", "v=1&ready=90&busy=1&port=8083").unwrap();
    assert_eq!(
        (idle(&balancer, "a"), idle(&balancer, "b")),
        (Some(10), Some(20))
    );
    // One without a port is of all that the address has.
    receive(&monitor, "10.0.0.1", "v=1&ready=5&busy=1").unwrap();
    assert_eq!(
        (idle(&balancer, "a"), idle(&balancer, "b")),
        (Some(5), Some(5))
    );
}

#[test]
fn a_report_that_came_before_its_member_counts_once_it_has_joined() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[]);
    receive(&monitor, "10.0.0.1", "v=1&ready=10&busy=1").unwrap();
    receive(&monitor, "10.0.0.2", "v=1&ready=20&busy=1&port=80").unwrap();
    receive(&monitor, "10.0.0.2", "v=1&ready=30&busy=1&port=81").unwrap();
    for (name, at) in [("a", "10.0.0.1:80"), ("b", "10.0.0.2:81")] {
        let at = at.parse().unwrap();
        balancer.insert(name, at, MemberSpec::new()).unwrap();
    }
    assert_eq!(
        (idle(&balancer, "a"), idle(&balancer, "b")),
        (Some(10), Some(30))
    );
}

#[test]
fn a_member_that_has_left_is_followed_no_more_and_one_that_moved_where_it_is() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")]);
    balancer.remove("a").unwrap();
    let moved: SocketAddr = "10.0.0.3:80".parse().unwrap();
    balancer.insert("b", moved, MemberSpec::new()).unwrap();
    monitor.refresh();
    receive(&monitor, "10.0.0.1", "v=1&ready=1&busy=1").unwrap();
    receive(&monitor, "10.0.0.2", "v=1&ready=2&busy=1").unwrap();
    receive(&monitor, "10.0.0.3", "v=1&ready=3&busy=1").unwrap();
    assert_eq!(
        (idle(&balancer, "a"), idle(&balancer, "b")),
        (None, Some(3))
    );
}

#[test]
fn a_balancer_is_followed_until_its_handle_is_dropped() {
    let monitor = HeartbeatMonitor::new();
    let (balancer, readings) = balancer(&[("a", "10.0.0.1:80")]);
    let following = monitor.follow(&balancer, &readings, |&at| [MemberAddress::from(at)]);
    receive(&monitor, "10.0.0.1", "v=1&ready=1&busy=1").unwrap();
    assert_eq!(idle(&balancer, "a"), Some(1));
    drop(following);
    receive(&monitor, "10.0.0.1", "v=1&ready=2&busy=1").unwrap();
    assert_eq!(idle(&balancer, "a"), Some(1));
}

#[test]
fn a_monitor_keeps_no_balancer_alive() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80")]);
    let weak = balancer.downgrade();
    drop(balancer);
    assert!(weak.upgrade().is_none());
    receive(&monitor, "10.0.0.1", "v=1&ready=1&busy=1").unwrap();
    monitor.refresh();
}

#[test]
fn one_monitor_serves_several_balancers() {
    let monitor = HeartbeatMonitor::new();
    let one = followed(&monitor, &[("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")]);
    let other = followed(&monitor, &[("x", "10.0.0.1:443")]);
    receive(&monitor, "10.0.0.1", "v=1&ready=4&busy=1").unwrap();
    assert_eq!((idle(&one, "a"), idle(&one, "b")), (Some(4), None));
    assert_eq!(idle(&other, "x"), Some(4));
}

#[tokio::test]
async fn a_member_by_name_is_found_by_the_addresses_of_the_name() {
    within(async {
        let readings = HeartbeatReadings::new();
        let balancer = Balancer::builder()
            .scheduler(Heartbeat::new(&readings).without_fallback())
            .build()
            .unwrap();
        let monitor = HeartbeatMonitor::new();
        let address = |name: &&str| name.parse::<MemberAddress>().ok();
        monitor.follow(&balancer, &readings, address).detach();
        let kept = monitor.clone();
        let keeping =
            tokio::spawn(async move { kept.run_maintenance(std::future::pending()).await });

        receive(&monitor, "127.0.0.1", "v=1&ready=9&busy=1&port=8080").unwrap();
        // A name that joins while others are known already is looked up at once. No part of a
        // name has the length of the other, so no server is asked for it.
        let nameless: &str = "n".repeat(64).leak();
        for (name, at) in [("none", nameless), ("a", "localhost:8080")] {
            balancer.insert(name, at, MemberSpec::new()).unwrap();
        }
        until(|| idle(&balancer, "a") == Some(9)).await;
        receive(&monitor, "127.0.0.1", "v=1&ready=8&busy=1&port=8080").unwrap();
        assert_eq!(idle(&balancer, "a"), Some(8));
        until(|| monitor.statistics().unresolved() > 0).await;
        keeping.abort();
    })
    .await;
}

#[test]
fn a_flood_of_other_servers_keeps_no_member_out_and_is_counted() {
    let monitor = HeartbeatMonitor::builder().max_senders(100).build();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80")]);
    let mut dropped = 0;
    for number in 0..100_000_u32 {
        let from = std::net::Ipv4Addr::from(0x0b00_0000 + number);
        let received = monitor.receive(from.into(), b"v=1&ready=4000000000&busy=1");
        dropped += u64::from(received == Err(ReportError::Full));
    }
    assert_eq!(dropped, 100_000 - 100);
    assert_eq!(monitor.statistics().full(), dropped);
    assert_eq!(monitor.records().len(), 100);
    receive(&monitor, "10.0.0.1", "v=1&ready=3&busy=1").unwrap();
    assert_eq!(idle(&balancer, "a"), Some(3));
}

#[test]
fn what_is_dropped_is_told_with_its_sender() {
    let (told, errors) = std::sync::mpsc::channel();
    let monitor = HeartbeatMonitor::builder()
        .on_dropped(move |from, error| told.send((from, error.clone())).unwrap())
        .build();
    receive(&monitor, "10.0.0.1", "hello").unwrap_err();
    let (from, error) = errors.try_recv().unwrap();
    assert_eq!(from, ip("10.0.0.1"));
    assert!(matches!(error, ReportError::Malformed(_)));
    receive(&monitor, "10.0.0.1", "v=1&ready=1&busy=1").unwrap();
    assert!(errors.try_recv().is_err());
}
