//! iperf3: a control connection and many streams, over TCP, and over UDP at the same port.

use std::net::SocketAddr;

use equipoise::forward::{Address, TcpForwarder, UdpForwarder};
use equipoise::scheduler::Maglev;
use equipoise::{Balancer, Flag, MemberSpec};
use serde_json::Value;
use tokio::process::Command;

use super::{balancer, received_from, sent_to, within};
use crate::program::{Folder, Program, free_address};
use crate::tcp::front::{Front, is_quiet};
use crate::udp;

/// So many bytes are sent in each test.
const BYTES: u64 = 64 << 20;

async fn server(address: SocketAddr) -> Program {
    let mut iperf3 = std::process::Command::new("iperf3");
    iperf3.args(["--server", "--bind", "127.0.0.1", "--port"]);
    iperf3.arg(address.port().to_string());
    let program = Program::start(Folder::new("iperf3"), &mut iperf3);
    program.listens(address).await
}

/// The end of what a client tells of its test.
async fn measured(address: SocketAddr, options: &[&str]) -> Value {
    let mut iperf3 = Command::new("iperf3");
    iperf3.args(["--json", "--client", "127.0.0.1", "--port"]);
    iperf3.arg(address.port().to_string()).args(options);
    loop {
        let output = iperf3.kill_on_drop(true).output().await.unwrap();
        let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = told["error"].as_str().unwrap_or_default();
        // The server has not tidied up after the last test yet.
        if error.starts_with("the server is busy") {
            continue;
        }
        assert!(output.status.success() && error.is_empty(), "{told}");
        return told["end"].take();
    }
}

async fn reaches_its_end_over_udp(address: SocketAddr, direction: &[&str]) {
    let mut options = vec!["--udp", "--length", "1400", "--parallel", "2"];
    options.extend(["--bitrate", "20M", "--bytes", "4M"]);
    options.extend(direction);
    let end = measured(address, &options).await;
    let sum = &end["sum"];
    let (lost, all) = (&sum["lost_packets"], &sum["packets"]);
    let (lost, all) = (lost.as_u64().unwrap(), all.as_u64().unwrap());
    // A machine that does much else loses some.
    assert!(all > 2_000 && lost < all / 2, "{lost} of {all} are lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs iperf3"]
async fn streams_of_iperf3_pass_in_both_directions_over_tcp_and_udp() {
    within(async {
        let addresses = [free_address(), free_address()];
        let (_a, _b) = (server(addresses[0]).await, server(addresses[1]).await);
        let members = [("a", addresses[0].into()), ("b", addresses[1].into())];
        // The streams of a test are one server's.
        let over_tcp = balancer(Maglev::default(), members);
        // At the end of a test a server closes its port, and refuses what is still on its way.
        let spec = || MemberSpec::new().with_flag(Flag::IgnoreErrors);
        let over_udp: Balancer<Address> = Balancer::builder()
            .scheduler(Maglev::default())
            .member("a", addresses[0].into(), spec())
            .member("b", addresses[1].into(), spec())
            .build()
            .unwrap();
        let address = free_address();
        let _tcp = Front::start_at(address, TcpForwarder::new(over_tcp.clone()));
        let udp = UdpForwarder::new(over_udp.clone());
        let udp = udp::Front::start_at(&address.to_string(), udp).await;
        let sent = || sent_to(&over_tcp, "a") + sent_to(&over_tcp, "b");
        let received = || received_from(&over_tcp, "a") + received_from(&over_tcp, "b");

        let bytes = BYTES.to_string();
        for streams in ["1", "4"] {
            let before = sent();
            let end = measured(address, &["--bytes", &bytes, "--parallel", streams]).await;
            assert!(end["sum_sent"]["bytes"].as_u64().unwrap() >= BYTES, "{end}");
            // What is on its way when the last byte has been written is read no more.
            let arrived = end["sum_received"]["bytes"].as_u64().unwrap();
            assert!(arrived > 0, "{end}");
            is_quiet(&over_tcp).await;
            assert!(sent() - before >= arrived);

            let before = received();
            let options = ["--bytes", &bytes, "--parallel", streams, "--reverse"];
            let end = measured(address, &options).await;
            let arrived = end["sum_received"]["bytes"].as_u64().unwrap();
            assert!(arrived > 0, "{end}");
            is_quiet(&over_tcp).await;
            assert!(received() - before >= arrived);
        }

        reaches_its_end_over_udp(address, &["--reverse"]).await;
        // One flow for each stream, to the server that has the connections.
        assert_eq!(udp.statistics.opened(), 2);
        for name in ["a", "b"] {
            let by_tcp = over_tcp.member(name).unwrap().picked() > 0;
            let by_udp = over_udp.member(name).unwrap().picked() > 0;
            assert_eq!(by_tcp, by_udp, "{name}");
        }
        // Last, as what the server refuses at the end is sent to the other.
        reaches_its_end_over_udp(address, &[]).await;
    })
    .await;
}
