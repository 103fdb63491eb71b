//! Samples that serve, each at the ports that it names.

#![expect(
    clippy::disallowed_methods,
    reason = "a sample that serves runs until the process ends, in a thread of its own"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use equipoise::net::MemberTls;
use equipoise::proxy::Endpoint;
use http::Request;
use tower::ServiceExt;

use crate::run::sample;

sample!(axum_proxy, "samples/axum_proxy.rs");
sample!(client_side, "samples/client_side.rs");
sample!(discover, "samples/discover.rs");
sample!(health, "samples/health.rs");
sample!(heartbeats, "samples/heartbeats.rs");
sample!(httpd_configuration, "samples/httpd_configuration.rs");
sample!(reporting_server, "samples/reporting_server.rs");
sample!(routing, "samples/routing.rs");
sample!(server, "samples/server.rs");
sample!(tcp, "samples/tcp.rs");

/// Starts backends at the ports 8081 and 8082, once, in a directory with the files that
/// samples read.
fn backends() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("equipoise-readme-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::env::set_current_dir(&folder).unwrap();
        for port in [8081, 8082] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            let listener =
                listener.unwrap_or_else(|error| panic!("a sample needs port {port}: {error}"));
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    thread::spawn(move || respond(stream, port));
                }
            });
        }
    });
}

/// Answers each request of a connection with the port and the request's head.
fn respond(mut stream: TcpStream, port: u16) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let text = format!(
                "{port} ready\n{}",
                String::from_utf8_lossy(&head).to_lowercase()
            );
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            )?;
            head.clear();
        }
    }
    Ok(())
}

/// Runs a sample in a thread of its own, and waits until something listens at its port.
fn start(sample: fn() -> Result<(), String>, port: u16) {
    backends();
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
        "port {port} is in use"
    );
    thread::spawn(move || sample().unwrap());
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nothing listens at port {port}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = Vec::new();
    // What passes bytes on as they are leaves the connection open: the backend does.
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = stream.read_to_end(&mut response);
    String::from_utf8(response).unwrap()
}

#[test]
#[ignore = "needs ports 8080, 8081 and 8082"]
fn the_axum_sample_balances_what_has_no_route() {
    start(axum_proxy::run, 8080);
    assert!(get(8080, "/health").ends_with("fine"));
    let both = [get(8080, "/x"), get(8080, "/x")];
    assert!(both.iter().any(|it| it.contains("8081 ready")), "{both:?}");
    assert!(both.iter().any(|it| it.contains("8082 ready")), "{both:?}");
    assert!(
        both[0].contains("x-forwarded-for: 127.0.0.1"),
        "{}",
        both[0]
    );
}

#[test]
#[ignore = "needs ports 8081 and 8082"]
fn the_samples_of_clients_end_by_themselves() {
    backends();
    client_side::run().unwrap();
    discover::run().unwrap();
    health::run().unwrap();
}

#[test]
#[ignore = "needs port 27999"]
fn the_sample_of_heartbeats_listens() {
    heartbeats::run().unwrap();
}

#[test]
#[ignore = "needs ports 8083 and 27998"]
fn the_sample_of_a_server_reports_what_it_has_in_flight() {
    let reports = UdpSocket::bind((Ipv4Addr::LOCALHOST, 27998)).unwrap();
    reports
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    start(reporting_server::run, 8083);
    let mut datagram = [0; 512];
    let length = reports.recv(&mut datagram).unwrap();
    let text = String::from_utf8_lossy(&datagram[..length]);
    assert!(
        text.contains("ready=64") && text.contains("port=8083"),
        "{text}"
    );
}

#[test]
#[ignore = "needs ports 8000, 8081 and 8082"]
fn the_sample_of_routing_routes() {
    start(routing::run, 8000);
    assert!(get(8000, "/health").ends_with("fine\n"));
    assert!(get(8000, "/api/x").contains("8082 ready\nget /x "));
    assert!(
        get(8000, "/old/x?y")
            .to_lowercase()
            .contains("location: /new/x?y")
    );
    assert!(get(8000, "/x").contains("8081 ready"));
}

#[test]
#[ignore = "needs ports 5433, 8081 and 8082"]
fn the_sample_of_layer_4_passes_bytes_on() {
    start(tcp::run, 5433);
    assert!(get(5433, "/x").contains(" ready\nget /x "));
}

#[test]
#[ignore = "needs ports 8081, 8082 and 8443"]
fn the_sample_of_a_server_speaks_tls() {
    backends();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = key.cert.pem();
    std::fs::write("shop.crt", &certificate).unwrap();
    std::fs::write("shop.key", key.signing_key.serialize_pem()).unwrap();
    start(server::run, 8443);
    let roots = MemberTls::with_roots(certificate.as_bytes()).unwrap();
    let uri = "https://localhost:8443".parse().unwrap();
    let client = Endpoint::builder(uri).tls(&roots).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let request = Request::get("/x").body(String::new()).unwrap();
    let response = runtime.block_on(client.oneshot(request)).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
#[ignore = "needs ports 8081, 8082 and 8090"]
fn the_sample_of_a_configuration_runs_it() {
    backends();
    let site = "Listen 127.0.0.1:8090\n\
                <Proxy balancer://c>\n\
                BalancerMember http://127.0.0.1:8081\n\
                </Proxy>\n\
                ProxyPass / balancer://c/\n";
    std::fs::write("site.conf", site).unwrap();
    start(httpd_configuration::run, 8090);
    assert!(get(8090, "/x").contains("8081 ready"));
}
