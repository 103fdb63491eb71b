//! TLS at the edge: HTTP/2 and HTTP/1.1 by ALPN, balanced over two servers, with a graceful
//! end, and with certificates that are reloaded on SIGHUP.
//!
//! Run it with `cargo run --release --features full --example tls_proxy`. Without files it
//! creates a self-signed certificate for curl's `--cacert`; `-- --help` shows how to pass
//! your own certificate and servers. With `--exit` it sends requests to itself and ends.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use equipoise::Balancer;
use equipoise::MemberSpec;
use equipoise::net::{Identity, Listener, MemberTls, ServerTls, TlsError, shutdown_signal};
use equipoise::proxy::{Endpoint, ReverseProxy, Server};
use equipoise::service::BoxError;
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tower::ServiceExt;

/// TLS in front of balanced servers.
#[derive(Debug, Parser)]
struct Options {
    /// The certificate with its chain, in PEM.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Sends requests to itself, and ends.
    #[arg(long)]
    exit: bool,
    /// The servers, such as http://10.0.0.1:8080; without any, two of its own.
    backends: Vec<Uri>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut options = Options::parse();
    if options.exit {
        options.listen.set_port(0);
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let own = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = || match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Identity::from_pem_files(cert, key),
        _ => Identity::from_pem(own.0.as_bytes(), own.1.as_bytes()),
    };
    let tls = ServerTls::new([identity()?])?;
    let proxy = ReverseProxy::new(balancer(&options.backends).await?);

    let listener = Listener::bind(options.listen)?;
    let here = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    let server = Server::new().tls(&tls);
    if options.exit {
        tokio::select! {
            _ = server.serve(listener, proxy, std::future::pending()) => {}
            asked = test_itself(here, &own.0) => asked?,
        }
        return Ok(());
    }
    println!(
        "Serving on https://localhost:{} until Ctrl-C. Try:",
        here.port()
    );
    if options.cert.is_none() {
        let name = format!("equipoise-tls-proxy-{}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        // The file must not exist already: curl is to trust it.
        let mut file = std::fs::File::create_new(&path)?;
        file.write_all(own.0.as_bytes())?;
        let (port, path) = (here.port(), path.display());
        println!("  curl -i --http2 --cacert {path} https://localhost:{port}/");
    } else {
        println!("  kill -HUP {}  # reloads the files", std::process::id());
    }
    let serving = server.serve(listener, proxy, shutdown_signal()?);
    let stopped = tokio::select! {
        stopped = serving => stopped,
        never = reload(&tls, identity) => never?,
    };
    println!("Stopped. Connections cut: {}.", stopped.cut());
    Ok(())
}

/// Reloads the certificate on each SIGHUP; connections continue.
#[cfg(unix)]
async fn reload<T>(
    tls: &ServerTls,
    identity: impl Fn() -> Result<Identity, TlsError>,
) -> Result<T, BoxError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        hangup.recv().await;
        match identity().and_then(|identity| tls.replace([identity])) {
            Ok(()) => println!("The certificate was reloaded."),
            Err(error) => eprintln!("The old certificate stays in use: {error}"),
        }
    }
}

/// There is no SIGHUP on this system.
#[cfg(not(unix))]
async fn reload<T>(
    _: &ServerTls,
    _: impl Fn() -> Result<Identity, TlsError>,
) -> Result<T, BoxError> {
    std::future::pending().await
}

async fn balancer(backends: &[Uri]) -> Result<Balancer<Endpoint>, BoxError> {
    let mut balancer = Balancer::builder();
    let own = [backend("a").await?, backend("b").await?];
    let uris = if backends.is_empty() { &own } else { backends };
    for uri in uris {
        let member = Endpoint::new(uri.clone())?;
        balancer = balancer.member(uri.to_string(), member, MemberSpec::new());
    }
    Ok(balancer.build()?)
}

/// Starts a server that responds with its name and what it knows about the client.
async fn backend(name: &'static str) -> Result<Uri, BoxError> {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
    let address = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    let hello = tower::service_fn(move |request: Request<_>| async move {
        let header = |name| {
            let value = request.headers().get(name);
            value
                .map_or("?", |value| value.to_str().unwrap_or("?"))
                .to_owned()
        };
        let (client, scheme) = (header("x-forwarded-for"), header("x-forwarded-proto"));
        let text = format!("{name} says hello to {client} over {scheme}\n");
        Ok::<_, Infallible>(Response::new(text))
    });
    tokio::spawn(async move {
        let never = std::future::pending();
        Server::new().serve(listener, hello, never).await
    });
    Ok(format!("http://{address}").parse()?)
}

async fn test_itself(here: SocketAddr, roots: &str) -> Result<(), BoxError> {
    let tls = MemberTls::with_roots(roots.as_bytes())?.with_server_name("localhost")?;
    let client = Endpoint::builder(format!("https://{here}").parse()?)
        .tls(&tls)
        .build()?;
    for name in ["a", "b"] {
        let request = Request::new(Empty::<Bytes>::new());
        let (head, body) = client.clone().oneshot(request).await?.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        print!("{:?} {} {text}", head.version, head.status);
        assert_eq!(head.version, Version::HTTP_2);
        let hello = format!("{name} says hello to 127.0.0.1 over https\n");
        assert_eq!(text, hello);
    }
    Ok(())
}
