//! Clients that others have written, and that people use: what they see of TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use equipoise::Balancer;
use equipoise::net::ServerTls;
use equipoise::proxy::{Endpoint, ReverseProxy, Server};
use tokio::process::Command;

use super::authority::Authority;
use super::front::Front;
use super::within;

/// A server with two certificates, and the roots as programs want them.
struct Site {
    front: Front,
    roots: PathBuf,
}

impl Site {
    fn new(name: &str, adapt: impl FnOnce(ServerTls) -> ServerTls) -> Self {
        let authority = Authority::new("programs");
        let [first, second] =
            [&["first.test"], &["*.shop.test"]].map(|names| authority.issue(names).identity());
        let tls = ServerTls::new([first, second]).unwrap();
        let roots = format!("equipoise-{name}-{}.pem", std::process::id());
        let roots = std::env::temp_dir().join(roots);
        std::fs::write(&roots, &authority.pem).unwrap();
        Self {
            front: Front::telling(&adapt(tls)),
            roots,
        }
    }

    fn address(&self) -> SocketAddr {
        self.front.address
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.roots);
    }
}

/// Whether a program succeeded, and all that it said.
async fn run(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// Asks `name`, wherever that may be.
async fn curl(site: &Site, name: &str, options: &[&str]) -> (bool, String) {
    let port = site.address().port();
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--max-time", "10", "--noproxy", "*", "--cacert"])
        .arg(&site.roots)
        .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
        .args(options)
        .arg(format!("https://{name}:{port}/"));
    run(&mut command).await
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_believes_the_certificate_and_speaks_either_http() {
    within(async {
        let site = Site::new("curl", |tls| tls);
        for name in ["first.test", "www.shop.test"] {
            for (options, spoken) in [
                (&["--http2"][..], "HTTP/2.0 1.3"),
                (&["--http1.1"], "HTTP/1.1 1.3"),
                (&["--no-alpn"], "HTTP/1.1 1.3"),
                (&["--http2-prior-knowledge"], "HTTP/2.0 1.3"),
                (&["--http2", "--tls-max", "1.2"], "HTTP/2.0 1.2"),
                (&["--http1.1", "--tls-max", "1.2"], "HTTP/1.1 1.2"),
            ] {
                let (is_well, said) = curl(&site, name, options).await;
                assert!(is_well, "{options:?}: {said}");
                assert_eq!(said, format!("{spoken} {name} 0"));
            }
        }
        let (is_well, said) = curl(&site, "other.test", &[]).await;
        assert!(!is_well && said.contains("certificate"), "{said}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_is_refused_by_a_server_that_speaks_a_later_version_only() {
    within(async {
        let site = Site::new("curl-only", ServerTls::with_tls_1_3_only);
        let (is_well, said) = curl(&site, "first.test", &[]).await;
        assert!(is_well && said == "HTTP/2.0 1.3 first.test 0", "{said}");
        let (is_well, said) = curl(&site, "first.test", &["--tls-max", "1.2"]).await;
        assert!(!is_well && said.contains("protocol version"), "{said}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_sends_and_gets_a_body_through_the_proxy() {
    within(async {
        let site = Site::new("curl-proxy", |tls| tls);
        let uri = format!("https://127.0.0.1:{}", site.address().port());
        let tls = equipoise::net::MemberTls::with_roots(&std::fs::read(&site.roots).unwrap())
            .and_then(|tls| tls.with_server_name("first.test"))
            .unwrap();
        let member = Endpoint::builder(uri.parse().unwrap()).tls(&tls);
        let balancer = Balancer::new([("a", member.build().unwrap())]).unwrap();
        let front = Front::start(Server::new(), ReverseProxy::new(balancer));
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--max-time", "10", "--noproxy", "*"])
            .args(["--data", "so much"])
            .arg(format!("http://{}/", front.address));
        let (is_well, said) = run(&mut command).await;
        assert!(is_well, "{said}");
        assert_eq!(said, "HTTP/2.0 1.3 first.test 0");
    })
    .await;
}

/// Shakes hands, and says what came of it.
async fn openssl(site: &Site, name: &str, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &site.address().to_string()])
        .args(["-servername", name, "-verify_return_error", "-CAfile"])
        .arg(&site.roots)
        .args(options);
    run(&mut command).await
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn openssl_gets_the_certificate_and_the_protocols_that_it_asks_for() {
    within(async {
        let site = Site::new("openssl", |tls| tls);
        for (version, written) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            for (name, subject) in [
                ("first.test", "first.test"),
                ("www.shop.test", "*.shop.test"),
                ("unknown.test", "first.test"),
            ] {
                for (offered, agreed) in [
                    ("h2,http/1.1", "ALPN protocol: h2"),
                    ("http/1.1", "ALPN protocol: http/1.1"),
                ] {
                    let options = [version, "-alpn", offered];
                    let (is_well, said) = openssl(&site, name, &options).await;
                    assert!(is_well, "{options:?}: {said}");
                    let certificate = format!("CN = {subject}\n");
                    for expected in [agreed, written, &certificate, "(ok)"] {
                        assert!(said.contains(expected), "{expected}: {said}");
                    }
                }
                let (_, said) = openssl(&site, name, &[version]).await;
                assert!(said.contains("No ALPN negotiated"), "{said}");
            }
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn openssl_is_refused_with_what_is_too_old() {
    within(async {
        let all = Site::new("openssl-old", |tls| tls);
        let only = Site::new("openssl-only", ServerTls::with_tls_1_3_only);
        // Lest it refuses itself.
        let weak = ["-cipher", "DEFAULT@SECLEVEL=0"];
        for (site, version) in [
            (&all, "-tls1"),
            (&all, "-tls1_1"),
            (&only, "-tls1_1"),
            (&only, "-tls1_2"),
        ] {
            let options = [&[version][..], &weak].concat();
            let (is_well, said) = openssl(site, "first.test", &options).await;
            assert!(!is_well, "{version}: {said}");
            // It is the server that says so.
            assert!(said.contains("SSL alert number"), "{version}: {said}");
        }
        let (is_well, said) = openssl(&only, "first.test", &["-tls1_3"]).await;
        assert!(is_well, "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs h2load"]
async fn h2load_gets_an_answer_to_each_of_its_requests() {
    within(async {
        let member = Front::telling_by(Server::new());
        let uri = format!("http://{}", member.address).parse().unwrap();
        let balancer = Balancer::new([("a", Endpoint::new(uri).unwrap())]).unwrap();
        let identity = Authority::new("load").issue(&["localhost"]).identity();
        let tls = ServerTls::new([identity]).unwrap();
        let proxy = ReverseProxy::new(balancer.clone());
        let front = Front::start(Server::new().tls(&tls), proxy);
        let url = format!("https://localhost:{}/", front.address.port());
        let mut command = Command::new("h2load");
        command.args(["-n", "2000", "-c", "10", "-m", "20", "-t", "1", &url]);
        let (is_well, said) = run(&mut command).await;
        assert!(is_well, "{said}");
        for expected in [
            "Application protocol: h2\n",
            "2000 succeeded, 0 failed, 0 errored, 0 timeout",
            "status codes: 2000 2xx",
        ] {
            assert!(said.contains(expected), "{said}");
        }
        let state = balancer.member("a").unwrap();
        assert_eq!((state.picked(), state.in_flight()), (2000, 0));
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}
