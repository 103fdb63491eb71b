//! Clients and servers of OpenSSL, of all versions of TLS that it speaks: their hellos are read,
//! and pass through.

use std::net::SocketAddr;
use std::process::Stdio;

use equipoise::forward::{ClientHello, Greeting, GreetingLimits, NameRoutes};
use equipoise::net::{Acceptor, Connector, Stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::front::{Certificate, front, member, start};
use super::within;

/// Lest it refuses itself what is old.
const WEAK: [&str; 2] = ["-cipher", "ALL:@SECLEVEL=0"];

/// What a client of OpenSSL says of its connection.
async fn client(to: SocketAddr, options: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &to.to_string()])
        .args(options)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The hello that a client sends with some options, and how many bytes come with it. It is not
/// answered.
async fn hello_of(options: &[&str]) -> (ClientHello, Vec<u8>) {
    let (found, mut hellos) = mpsc::unbounded_channel();
    let front = start(Acceptor::new(), move |accepted| {
        let found = found.clone();
        async move {
            let limits = GreetingLimits::new();
            let read = Greeting::read(accepted.into_stream(), &limits).await;
            let (greeting, replayed) = read.unwrap();
            let (bytes, _) = replayed.into_parts();
            found.send((greeting, bytes.to_vec())).unwrap();
        }
    });
    let options = [options, &WEAK].concat();
    client(front, &options).await;
    match hellos.recv().await.unwrap() {
        (Greeting::ClientHello(hello), bytes) => (hello, bytes),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn hellos_of_all_versions_are_understood() {
    within(async {
        for version in ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"] {
            let asking = ["-servername", "DB.Example.org", "-alpn", "h2,http/1.1"];
            let (hello, _) = hello_of(&[&[version][..], &asking].concat()).await;
            assert_eq!(hello.server_name(), Some("db.example.org"), "{version}");
            let offered: Vec<_> = hello.alpn().collect();
            assert_eq!(offered, [&b"h2"[..], b"http/1.1"], "{version}");

            let (hello, _) = hello_of(&[version, "-noservername"]).await;
            assert_eq!(hello.server_name(), None, "{version}");
            assert_eq!(hello.alpn().count(), 0, "{version}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_hello_over_several_records_is_put_together() {
    within(async {
        let many: Vec<_> = (0..80).map(|it| format!("protocol-{it}")).collect();
        let many = many.join(",");
        let options = [
            "-servername",
            "a.test",
            "-alpn",
            &many,
            "-max_send_frag",
            "512",
        ];
        let (hello, bytes) = hello_of(&options).await;
        assert_eq!(hello.server_name(), Some("a.test"));
        assert_eq!(hello.alpn().count(), 80);
        // The first record has less than all.
        let first = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        assert!(
            first <= 512 && bytes.len() > first + 5,
            "{first} of {}",
            bytes.len()
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn two_names_on_one_port_each_show_the_certificate_of_their_member() {
    within(async {
        let shown = [Certificate::of("a.test"), Certificate::of("b.test")];
        let members = [member("first", &shown[0]), member("second", &shown[1])];
        let routes = NameRoutes::new()
            .name("a.test", Connector::tcp(members[0]))
            .and_then(|routes| routes.name("b.test", Connector::tcp(members[1])))
            .unwrap();
        let front = front(routes);
        for (name, own, shown) in [
            ("a.test", "first", &shown[0]),
            ("b.test", "second", &shown[1]),
        ] {
            for version in ["-tls1_2", "-tls1_3"] {
                let said = client(front, &["-servername", name, "-ign_eof", version]).await;
                assert!(said.contains(shown.pem.trim()), "{said}");
                assert!(said.contains(&format!("{own} 127.0.0.1:")), "{said}");
                assert!(said.contains(&format!("{front} {name}")), "{said}");
            }
        }
        let said = client(front, &["-servername", "c.test"]).await;
        assert!(said.contains("no peer certificate available"), "{said}");
    })
    .await;
}

/// A server of OpenSSL that speaks TLS 1.0 only, with a certificate of its own making.
struct OldServer {
    address: SocketAddr,
    files: [std::path::PathBuf; 2],
    _server: Child,
}

impl OldServer {
    async fn start() -> Self {
        let file = |what: &str| {
            let name = format!("equipoise-old-{}-{what}.pem", std::process::id());
            std::env::temp_dir().join(name)
        };
        let files = [file("certificate"), file("key")];
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=old.test", "-out"])
            .arg(&files[0])
            .arg("-keyout")
            .arg(&files[1])
            .stderr(Stdio::null())
            .status();
        assert!(made.await.unwrap().success());
        let mut server = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-tls1",
                "-www",
                "-cert",
            ])
            .arg(&files[0])
            .arg("-key")
            .arg(&files[1])
            .args(WEAK)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
        let address = loop {
            let line = said.next_line().await.unwrap().unwrap();
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.parse().unwrap();
            }
        };
        // What else it says is read, so that it never waits for that.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self {
            address,
            files,
            _server: server,
        }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_client_of_tls_1_0_reaches_a_server_of_tls_1_0() {
    within(async {
        let server = OldServer::start().await;
        let to = server.address;
        let front = start(Acceptor::new(), move |accepted| async move {
            let limits = GreetingLimits::new();
            let read = Greeting::read(accepted.into_stream(), &limits).await;
            let (greeting, replayed) = read.unwrap();
            assert!(matches!(greeting, Greeting::ClientHello(_)));
            let mut member = Connector::tcp(to).connect().await.unwrap();
            // As a forwarder can do it: what has been read goes first, then all else is copied.
            let (ahead, mut client): (_, Stream) = replayed.into_parts();
            member.write_all(&ahead).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut member).await;
        });
        let options = [&["-tls1", "-servername", "old.test"][..], &WEAK].concat();
        let said = client(front, &options).await;
        assert!(said.contains("CN = old.test"), "{said}");
        assert!(said.contains("New, TLSv1"), "{said}");
        assert!(said.contains("Protocol  : TLSv1\n"), "{said}");
    })
    .await;
}
