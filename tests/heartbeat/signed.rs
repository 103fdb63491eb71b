//! Heartbeats that are signed with a shared key.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use equipoise::heartbeat::{
    HeartbeatKey, HeartbeatListener, HeartbeatMonitor, HeartbeatSender, ReportError,
};
use tokio::net::UdpSocket;

use super::{until, within};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn key() -> HeartbeatKey {
    HeartbeatKey::new(b"a secret of the test")
}

fn keyed() -> HeartbeatMonitor {
    HeartbeatMonitor::builder().key(key()).build()
}

/// So many datagrams of a sender.
async fn sent(sender: impl FnOnce(SocketAddr) -> HeartbeatSender, number: usize) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sender = sender(socket.local_addr().unwrap());
    let _sending = sender.interval(Duration::from_millis(2)).spawn();
    let mut datagrams = Vec::new();
    for _ in 0..number {
        let mut buffer = [0; 2_000];
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        datagrams.push(buffer[..length].to_vec());
    }
    datagrams
}

fn signed(to: SocketAddr) -> HeartbeatSender {
    HeartbeatSender::new(to).key(key()).capacity(7).port(8080)
}

#[tokio::test]
async fn a_monitor_with_a_key_takes_what_is_signed_with_it_and_nothing_else() {
    within(async {
        let monitor = keyed();
        let listener = HeartbeatListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let here = listener.local_addr().unwrap();
        let _listening = listener.spawn(&monitor);
        let other = HeartbeatKey::new(b"another");
        let _senders = [
            HeartbeatSender::new(here).capacity(1_000).spawn(),
            HeartbeatSender::new(here)
                .key(other)
                .capacity(1_000)
                .spawn(),
        ];
        let statistics = monitor.statistics();
        until(|| statistics.not_signed() > 0 && statistics.wrong_signature() > 0).await;
        assert!(monitor.records().is_empty());
        let _sending = signed(here).spawn();
        until(|| statistics.accepted() > 0).await;
        assert_eq!(monitor.records()[0].reading().ready, 7);
    })
    .await;
}

#[tokio::test]
async fn a_message_counts_once_and_never_from_another_address() {
    within(async {
        let monitor = keyed();
        let datagrams = sent(signed, 3).await;
        monitor.receive(HERE, &datagrams[1]).unwrap();
        for replayed in &datagrams[..2] {
            let error = monitor.receive(HERE, replayed).unwrap_err();
            assert_eq!(error, ReportError::Replayed);
        }
        // It was caught before it came in, and is sent on from elsewhere.
        let elsewhere = [10, 0, 0, 66].into();
        let error = monitor.receive(elsewhere, &datagrams[2]).unwrap_err();
        assert_eq!(error, ReportError::Replayed);
        monitor.receive(HERE, &datagrams[2]).unwrap();
        assert_eq!(monitor.statistics().replayed(), 3);
        assert_eq!(monitor.records().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_old_message_is_refused_also_by_a_monitor_that_has_seen_none() {
    within(async {
        let datagrams = sent(signed, 1).await;
        let builder = HeartbeatMonitor::builder().key(key());
        let strict = builder.tolerance(Duration::from_millis(1)).build();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let error = strict.receive(HERE, &datagrams[0]).unwrap_err();
        assert_eq!(error, ReportError::Outdated);
        assert_eq!(strict.statistics().outdated(), 1);
        keyed().receive(HERE, &datagrams[0]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_begins_anew_is_accepted_at_once() {
    within(async {
        let monitor = keyed();
        for _ in 0..3 {
            let datagrams = sent(signed, 1).await;
            monitor.receive(HERE, &datagrams[0]).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn keys_can_be_changed_without_a_gap() {
    within(async {
        let new = HeartbeatKey::new(b"the new one").with_previous(b"a secret of the test");
        let monitor = HeartbeatMonitor::builder().key(new.clone()).build();
        monitor.receive(HERE, &sent(signed, 1).await[0]).unwrap();
        let by_new = sent(|to| HeartbeatSender::new(to).key(new), 1).await;
        monitor.receive(HERE, &by_new[0]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_monitor_without_a_key_takes_signed_messages_too() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let datagrams = sent(signed, 1).await;
        monitor.receive(HERE, &datagrams[0]).unwrap();
        let record = monitor.records()[0];
        assert_eq!(
            (record.sender().port(), record.reading().ready),
            (Some(8080), 7)
        );
    })
    .await;
}
