//! Datagrams on real sockets: to an address, and to groups of both versions of IP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::heartbeat::{
    HeartbeatListener, HeartbeatListenerGuard, HeartbeatMonitor, HeartbeatSender, InFlight,
};
use equipoise::scheduler::HeartbeatReading;
use equipoise::{Balancer, PickRequest};
use tokio::net::UdpSocket;

use super::{elected, followed, idle, until, within};

const SOON: Duration = Duration::from_millis(10);

fn listening(monitor: &HeartbeatMonitor) -> (SocketAddr, HeartbeatListenerGuard) {
    let listener = HeartbeatListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let here = listener.local_addr().unwrap();
    (here, listener.spawn(monitor))
}

/// Sends from an address until the monitor has taken so many in all.
async fn send(monitor: &HeartbeatMonitor, from: &str, to: SocketAddr, message: &[u8]) {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    let statistics = monitor.statistics();
    let taken = || statistics.accepted() + statistics.malformed();
    let before = taken();
    socket.send_to(message, to).await.unwrap();
    until(|| taken() > before).await;
}

#[tokio::test]
async fn requests_go_to_members_in_proportion_to_what_they_report() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(
            &monitor,
            &[
                ("a", "127.0.0.2:80"),
                ("b", "127.0.0.3:80"),
                ("c", "127.0.0.4:80"),
            ],
        );
        let (here, listening) = listening(&monitor);
        send(&monitor, "127.0.0.2", here, b"v=1&ready=100&busy=1").await;
        send(&monitor, "127.0.0.3", here, b"v=1&ready=300&busy=1").await;
        send(&monitor, "127.0.0.4", here, b"v=1&ready=0&busy=400").await;
        let mut elections = [0; 3];
        for _ in 0..4_000 {
            match elected(&balancer).as_deref() {
                Some("a") => elections[0] += 1,
                Some("b") => elections[1] += 1,
                _ => elections[2] += 1,
            }
        }
        assert_eq!(elections[2], 0);
        assert!((850..=1_150).contains(&elections[0]), "{elections:?}");
        drop(listening);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_reports_no_more_is_elected_no_more() {
    within(async {
        let clock = ManualClock::new();
        let monitor = HeartbeatMonitor::builder().clock(clock.clone()).build();
        let readings = equipoise::HeartbeatReadings::new();
        let balancer = Balancer::builder()
            .scheduler(equipoise::Heartbeat::new(&readings).without_fallback())
            .clock(clock.clone())
            .member("a", (), Default::default())
            .build()
            .unwrap();
        let here: std::net::IpAddr = [127, 0, 0, 1].into();
        monitor
            .follow(&balancer, &readings, move |()| [here.into()])
            .detach();
        let (to, listening) = listening(&monitor);
        send(&monitor, "127.0.0.1", to, b"v=1&ready=5&busy=1").await;
        clock.advance(Duration::from_millis(9_999));
        assert!(elected(&balancer).is_some());
        clock.advance(Duration::from_millis(1));
        assert!(elected(&balancer).is_none());
        assert_eq!(monitor.records().len(), 1);
        clock.advance(Duration::from_secs(20));
        assert!(monitor.records().is_empty(), "forgotten after 30 s");
        drop(listening);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_heartbeat_is_dropped_and_counted_and_the_next_one_counts() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(&monitor, &[("a", "127.0.0.1:80")]);
        let (here, listening) = listening(&monitor);
        let long = [b'x'; 60_000];
        let huge = format!("v=1&ready=1{}&busy=1", "0".repeat(40));
        let bad: [&[u8]; 6] = [
            b"",
            b"\xff\x00\xfe",
            b"v=1&ready=NaN&busy=1",
            huge.as_bytes(),
            b"v=1&busy=1",
            &long,
        ];
        for datagram in bad {
            send(&monitor, "127.0.0.1", here, datagram).await;
        }
        assert_eq!(monitor.statistics().malformed(), 6);
        send(&monitor, "127.0.0.1", here, b"v=1&ready=-5&busy=1").await;
        assert_eq!(idle(&balancer, "a"), Some(0));
        send(&monitor, "127.0.0.1", here, b"v=1&ready=5&busy=1").await;
        assert_eq!(idle(&balancer, "a"), Some(5));
        drop(listening);
    })
    .await;
}

#[tokio::test]
async fn a_panic_of_what_is_told_of_dropped_reports_makes_no_listener_deaf() {
    within(async {
        let monitor = HeartbeatMonitor::builder()
            .on_dropped(|_, _| panic!("it cannot be told"))
            .build();
        let (here, _listening) = listening(&monitor);
        send(&monitor, "127.0.0.1", here, b"none").await;
        send(&monitor, "127.0.0.1", here, b"v=1&ready=5&busy=1").await;
        assert_eq!(monitor.records().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_listener_serves_until_its_stop_and_its_handle_frees_the_port() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let (here, handle) = listening(&monitor);
        drop(handle);
        while HeartbeatListener::bind(here).is_err() {
            tokio::task::yield_now().await;
        }
        let listener = HeartbeatListener::bind(here).unwrap();
        listener.serve(&monitor, std::future::ready(())).await;
        assert!(HeartbeatListener::bind(here).is_ok());
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_listened_at_already_is_refused() {
    let monitor = HeartbeatMonitor::new();
    let (here, handle) = listening(&monitor);
    assert!(HeartbeatListener::bind(here).is_err());
    drop(handle);
}

#[tokio::test]
async fn a_sender_reports_what_is_idle_and_at_its_end_that_nothing_is() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(
            &monitor,
            &[("a", "127.0.0.1:8080"), ("b", "127.0.0.1:8081")],
        );
        let (here, listening) = listening(&monitor);
        let in_flight = InFlight::new();
        let guards: Vec<_> = (0..4).map(|_| in_flight.begin()).collect();
        let sender = HeartbeatSender::new(here)
            .capacity(64)
            .in_flight(&in_flight);
        let sending = sender.interval(SOON).port(8080).spawn();
        until(|| idle(&balancer, "a") == Some(60)).await;
        assert_eq!(idle(&balancer, "b"), None);
        drop(guards);
        // A quarter, while nothing is busy.
        until(|| idle(&balancer, "a") == Some(16)).await;
        assert!(sending.sent() >= 2);
        assert_eq!(sending.failed(), 0);
        drop(sending);
        until(|| idle(&balancer, "a") == Some(0)).await;
        assert_eq!(elected(&balancer), None);
        drop(listening);
    })
    .await;
}

/// What a sender reports that runs for the first report only, and until its runtime is gone.
fn reported_until_the_runtime_ends(and_drop_the_handle: bool) -> Vec<String> {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_millis(500));
    receiver.set_read_timeout(patience).unwrap();
    let sender = HeartbeatSender::new(receiver.local_addr().unwrap()).capacity(8);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sending = runtime.block_on(async {
        let sending = sender.spawn();
        until(|| sending.sent() == 1).await;
        sending
    });
    if and_drop_the_handle {
        drop(sending);
        drop(runtime);
    } else {
        drop(runtime);
        assert_eq!(sending.sent(), 2);
    }
    let receive = || {
        let mut buffer = [0; 100];
        let length = receiver.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    std::iter::from_fn(receive).collect()
}

#[test]
fn a_sender_reports_that_nothing_is_idle_also_if_its_runtime_ends_first() {
    for and_drop_the_handle in [true, false] {
        assert_eq!(
            reported_until_the_runtime_ends(and_drop_the_handle),
            ["v=1&ready=8&busy=0", "v=1&ready=0&busy=0"]
        );
    }
}

#[tokio::test]
async fn a_sender_that_has_more_in_flight_than_it_can_serve_has_nothing_idle() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let (here, listening) = listening(&monitor);
        let in_flight = InFlight::new();
        let _guards: Vec<_> = (0..9).map(|_| in_flight.begin()).collect();
        // The order of the settings does not matter.
        let sender = HeartbeatSender::new(here).in_flight(&in_flight).capacity(8);
        let _sending = sender.spawn();
        until(|| !monitor.records().is_empty()).await;
        let reading = monitor.records()[0].reading();
        assert_eq!(reading, HeartbeatReading { ready: 0, busy: 9 });
        drop(listening);
    })
    .await;
}

#[tokio::test]
async fn a_sender_with_few_places_is_elected_though_it_is_idle() {
    for (capacity, expected) in [(1, (1, 1)), (3, (3, 1)), (4, (4, 0)), (0, (0, 0))] {
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(&monitor, &[("a", "127.0.0.1:80")]);
        let (here, listening) = listening(&monitor);
        let _sending = HeartbeatSender::new(here).capacity(capacity).spawn();
        within(until(|| !monitor.records().is_empty())).await;
        let HeartbeatReading { ready, busy } = monitor.records()[0].reading();
        // httpd takes a quarter of what is idle while nothing is busy, and a quarter of 3 is 0.
        assert_eq!((ready, busy), expected);
        assert_eq!(elected(&balancer).is_some(), capacity > 0, "{capacity}");
        drop(listening);
    }
}

#[tokio::test]
async fn a_sender_reports_to_all_its_targets_at_its_interval() {
    within(async {
        let monitors = [HeartbeatMonitor::new(), HeartbeatMonitor::new()];
        let [(one, _first), (other, _second)] = [listening(&monitors[0]), listening(&monitors[1])];
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let sender = HeartbeatSender::new(one)
            .destination(other)
            .reading(move || {
                let ready = counted.fetch_add(1, Ordering::Relaxed);
                HeartbeatReading { ready, busy: 1 }
            });
        let sending = sender.interval(SOON).spawn();
        let accepted = |monitor: &HeartbeatMonitor| monitor.statistics().accepted();
        until(|| monitors.iter().all(|monitor| accepted(monitor) >= 5)).await;
        assert!(asked.load(Ordering::Relaxed) >= 5);
        drop(sending);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_the_sender_goes_on() {
    within(async {
        let (told, errors) = std::sync::mpsc::channel();
        // A port that is none.
        let sender = HeartbeatSender::new("127.0.0.1:0".parse().unwrap())
            .interval(SOON)
            .on_error(move |to, error| {
                let _ = told.send((to, error.kind()));
            });
        let sending = sender.spawn();
        until(|| sending.failed() >= 2).await;
        let (to, _) = errors.try_recv().unwrap();
        assert_eq!(to.to_string(), "127.0.0.1:0");
        assert_eq!(sending.sent(), 0);
    })
    .await;
}

/// A port that is free for UDP, on all addresses.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_group_of_ipv4_reaches_all_its_listeners_on_this_machine() {
    within(async {
        let group = SocketAddr::from(([239, 255, 77, 9], free_port()));
        let interface = Ipv4Addr::LOCALHOST;
        let monitors = [HeartbeatMonitor::new(), HeartbeatMonitor::new()];
        let _listening = monitors.each_ref().map(|monitor| {
            let listener = HeartbeatListener::bind_on(group, interface).unwrap();
            listener.spawn(monitor)
        });
        let sender = HeartbeatSender::new(group).interface(interface);
        let sending = sender.multicast_hops(0).interval(SOON).spawn();
        until(|| monitors.iter().all(|it| it.statistics().accepted() > 0)).await;
        let from = monitors[0].records()[0].sender();
        assert_eq!(from.ip(), std::net::IpAddr::from(interface));
        drop(sending);
    })
    .await;
}

#[tokio::test]
async fn a_group_of_ipv6_is_joined_on_the_interface_of_its_scope() {
    within(async {
        let port = free_port();
        let groups = (1..32).map(|scope| {
            let group = format!("[ff01::7709%{scope}]:{port}");
            group.parse::<SocketAddr>().unwrap()
        });
        // The interfaces that have groups of IPv6 differ from machine to machine.
        let reaches = |group: &SocketAddr| {
            let socket = std::net::UdpSocket::bind("[::]:0");
            socket.is_ok_and(|socket| socket.send_to(b"", group).is_ok())
        };
        let Some(group) = groups.into_iter().find(reaches) else {
            return;
        };
        let listener = HeartbeatListener::bind(group).unwrap();
        let monitor = HeartbeatMonitor::new();
        let listening = listener.spawn(&monitor);
        let sending = HeartbeatSender::new(group).interval(SOON).spawn();
        until(|| monitor.statistics().accepted() > 0).await;
        drop((listening, sending));
    })
    .await;
}

#[tokio::test]
async fn a_listener_stops_also_in_a_flood() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let listener = HeartbeatListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let here = listener.local_addr().unwrap();
        let flood = tokio::task::spawn_blocking(move || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..200_000 {
                let _ = socket.send_to(b"v=1&ready=1&busy=1", here);
            }
        });
        let statistics = monitor.statistics();
        let flooded = async move { until(|| statistics.accepted() > 1_000).await };
        listener.serve(&monitor, flooded).await;
        assert_eq!(monitor.records().len(), 1);
        flood.await.unwrap();
    })
    .await;
}

#[test]
fn a_pick_by_reports_gives_its_count_back() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80")]);
    let from = [10, 0, 0, 1].into();
    monitor.receive(from, b"v=1&ready=2&busy=1").unwrap();
    let leases = [(); 2].map(|()| balancer.pick(&PickRequest::new()).unwrap());
    assert_eq!(idle(&balancer, "a"), Some(0), "local counts are merged");
    drop(leases);
    assert_eq!(idle(&balancer, "a"), Some(2));
}
