//! OpenSSL and curl at one port: some names pass through, another is terminated by the server of
//! HTTP, and plain HTTP is served.

use std::process::Stdio;

use equipoise::forward::{NameRoutes, StreamRouter, StreamRule, StreamTarget, TcpForwarder};
use equipoise::net::{Acceptor, ProxyVersion};
use equipoise::proxy::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::front::Front;
use super::http::site;
use crate::front::{Certificate, member};
use crate::tcp::front::over;
use crate::within;

/// Names that pass through, and the certificates of their members.
struct Port {
    front: Front,
    passing: [Certificate; 2],
    /// Of what is terminated here.
    own: Certificate,
}

async fn port() -> Port {
    let passing = [Certificate::of("a.test"), Certificate::of("b.test")];
    let own = Certificate::of("own.test");
    let through = |name, certificate| {
        let forwarder = TcpForwarder::new(over([(name, member(name, certificate))]));
        StreamTarget::from(forwarder.proxy_protocol(ProxyVersion::V2))
    };
    let routes = NameRoutes::new()
        .name("a.test", through("first", &passing[0]))
        .and_then(|it| it.name("b.test", through("second", &passing[1])))
        .and_then(|it| it.name("own.test", site(Server::new().tls(&own.server()))))
        .unwrap()
        .plaintext(site(Server::new()));
    Port {
        front: Front::start(StreamRouter::new().route_by_name(StreamRule::new(), routes)),
        passing,
        own,
    }
}

#[tokio::test]
async fn a_name_that_passes_through_and_one_that_is_terminated_share_a_port() {
    within(async {
        let Port {
            front,
            passing,
            own,
        } = port().await;
        for (name, told, certificate) in [
            ("a.test", "first", &passing[0]),
            ("b.test", "second", &passing[1]),
        ] {
            let mut stream = certificate
                .client(name, front.address)
                .connect()
                .await
                .unwrap();
            let client = stream.local_addr().unwrap();
            let mut got = String::new();
            stream.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, format!("{told} {client} {} {name}", front.address));
        }
        let mut stream = own
            .client("own.test", front.address)
            .connect()
            .await
            .unwrap();
        let client = stream.local_addr().unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut got = String::new();
        stream.read_to_string(&mut got).await.unwrap();
        assert!(got.ends_with(&format!("{client} by HTTP/1.1\n")), "{got}");
    })
    .await;
}

/// The forwarder's acceptor terminates TLS for one name; the member gets what is inside.
#[tokio::test]
async fn a_forwarder_terminates_tls_for_its_names_only() {
    within(async {
        let own = Certificate::of("own.test");
        let inside = crate::tcp::front::named_echo("inside").await;
        let forwarder = TcpForwarder::new(over([("inside", inside)]));
        let forwarder = forwarder.acceptor(Acceptor::new().tls(&own.server()));
        let routes = NameRoutes::new()
            .name("own.test", StreamTarget::from(forwarder))
            .unwrap();
        let front = Front::start(StreamRouter::new().route_by_name(StreamRule::new(), routes));
        let mut stream = own
            .client("own.test", front.address)
            .connect()
            .await
            .unwrap();
        let mut got = [0; 7];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"inside\n");
    })
    .await;
}

async fn output(command: &mut Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn openssl_is_shown_the_certificate_of_the_member_of_each_name() {
    within(async {
        let Port {
            front,
            passing,
            own,
        } = port().await;
        let to = front.address.to_string();
        let client = async |options: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-connect", &to]).args(options);
            output(&mut command).await
        };
        for (name, told, certificate) in [
            ("a.test", "first", &passing[0]),
            ("b.test", "second", &passing[1]),
        ] {
            for version in ["-tls1_2", "-tls1_3"] {
                let said = client(&["-servername", name, "-ign_eof", version]).await;
                assert!(said.contains(certificate.pem.trim()), "{said}");
                assert!(said.contains(&format!("{told} 127.0.0.1:")), "{said}");
            }
        }
        for (offered, agreed) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
            let said = client(&["-servername", "own.test", "-alpn", offered]).await;
            assert!(said.contains(own.pem.trim()), "{said}");
            assert!(said.contains(&format!("ALPN protocol: {agreed}")), "{said}");
        }
        let said = client(&["-servername", "c.test"]).await;
        assert!(said.contains("no peer certificate available"), "{said}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_is_served_by_each_version_of_http_with_and_without_tls() {
    within(async {
        let Port { front, own, .. } = port().await;
        let roots = std::env::temp_dir().join(format!("equipoise-own-{}.pem", std::process::id()));
        std::fs::write(&roots, &own.pem).unwrap();
        let port = front.address.port();
        for (scheme, option, version, requests) in [
            ("https", "--http1.1", "HTTP/1.1", 2),
            ("https", "--http2", "HTTP/2.0", 2),
            ("http", "--http1.1", "HTTP/1.1", 2),
            // A second one on this connection fails in curl 7.88, with any server.
            ("http", "--http2-prior-knowledge", "HTTP/2.0", 1),
        ] {
            let url = format!("{scheme}://own.test:{port}/");
            let resolve = format!("own.test:{port}:127.0.0.1");
            let mut command = Command::new("curl");
            command
                .args(["--silent", "--show-error", "--noproxy", "*", option])
                .args(["--resolve", &resolve])
                .args(vec![&url; requests])
                .arg("--cacert")
                .arg(&roots);
            let said = output(&mut command).await;
            let told = format!(" by {version}\n");
            assert_eq!(said.matches(&told).count(), requests, "{option}: {said}");
        }
        let _ = std::fs::remove_file(roots);
    })
    .await;
}
