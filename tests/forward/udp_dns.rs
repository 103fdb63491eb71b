//! A real protocol with real programs: dig asks BIND by way of the forwarder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use equipoise::forward::UdpForwarder;
use equipoise::{Balancer, Flag};
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};

use super::udp::{Front, until};
use super::within;

/// A name server that knows one zone, until it is dropped.
struct Named {
    address: SocketAddr,
    folder: PathBuf,
    process: Child,
}

impl Named {
    /// A server whose answer to `who.example.test` is its name.
    async fn start(name: &str) -> Self {
        // It listens on both; nothing else of this test takes the port meanwhile.
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        drop(UdpSocket::bind(address).await.unwrap());
        drop(tcp);
        let folder = format!("equipoise-named-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let (port, path) = (address.port(), folder.display());
        let settings = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; \
             dnssec-validation no; }}; controls {{ }};\n\
             zone \"example.test\" {{ type primary; file \"zone\"; }};\n"
        );
        let long = format!("\"{}\"", "x".repeat(250)).repeat(4);
        let zone = format!(
            "$TTL 1\n@ IN SOA ns root 1 1 1 1 1\n@ IN NS ns\nns IN A 127.0.0.1\n\
             who IN TXT \"{name}\"\nlong IN TXT {long}\n"
        );
        std::fs::write(folder.join("named.conf"), settings).unwrap();
        std::fs::write(folder.join("zone"), zone).unwrap();
        let process = Command::new("named")
            .arg("-f")
            .arg("-c")
            .arg(folder.join("named.conf"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Self {
            address,
            folder,
            process,
        };
        while dig(address, "who.example.test").await != format!("\"{name}\"\n") {}
        started
    }

    async fn end(mut self) {
        self.process.kill().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What dig prints; it asks up to five times, a second each.
async fn dig(server: SocketAddr, name: &str) -> String {
    let mut command = Command::new("dig");
    command
        .arg("@127.0.0.1")
        .arg("-p")
        .arg(server.port().to_string());
    command.args(["+short", "+notcp", "+time=1", "+tries=5", name, "TXT"]);
    let output = command.output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs dig and named"]
async fn dig_is_answered_by_each_name_server_in_turn_and_by_the_other_when_one_dies() {
    within(async {
        let (a, b) = (Named::start("a").await, Named::start("b").await);
        let balancer = Balancer::new([("a", a.address.into()), ("b", b.address.into())]).unwrap();
        let front = Front::start(UdpForwarder::new(balancer.clone()).answers(1)).await;
        for _ in 0..5 {
            for name in ["\"a\"\n", "\"b\"\n"] {
                assert_eq!(dig(front.address, "who.example.test").await, name);
            }
        }
        let long = dig(front.address, "long.example.test").await;
        assert_eq!(long.matches('x').count(), 1_000);
        // Each flow has ended with its answer.
        until(|| front.statistics.flows() == 0).await;
        assert_eq!(front.statistics.opened(), 11);

        a.end().await;
        for _ in 0..5 {
            // Of a question that was lost with the member, dig tells that it has repeated it.
            let answer = dig(front.address, "who.example.test").await;
            assert_eq!(answer.lines().last(), Some("\"b\""));
        }
        let in_error = |name| {
            balancer
                .member(name)
                .unwrap()
                .status()
                .contains(Flag::InError)
        };
        assert!(in_error("a") || front.statistics.refused() == 0);
        assert!(!in_error("b"));
        until(|| front.statistics.flows() == 0).await;
        b.end().await;
    })
    .await;
}
