//! TLS on both sides.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use equipoise::config::RunningConfig;
use equipoise::net::{Identity, Listener, ServerTls};
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Answer, exchange, get, get_at, request};
use crate::member::Member;
use crate::running::{Running, read, serve};

/// Somebody who signs certificates, and the folder where they lie.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("equipoise-running-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("roots.pem"), &pem).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            pem,
            folder,
        }
    }

    fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// Puts `name.pem` and `name.key` in the folder, and says how they are configured.
    fn directives(&self, name: &str) -> String {
        let (certificate, key) = self.issue(name);
        std::fs::write(self.folder.join(format!("{name}.pem")), certificate).unwrap();
        std::fs::write(self.folder.join(format!("{name}.key")), key).unwrap();
        format!("SSLEngine On\nSSLCertificateFile {name}.pem\nSSLCertificateKeyFile {name}.key\n")
    }

    async fn run(&self, text: &str) -> Running {
        serve(RunningConfig::builder(read(text)).base(&self.folder)).await
    }

    /// Asks by TLS; with what certificate was answered, and what.
    async fn get(&self, to: SocketAddr, host: &str, target: &str) -> (Vec<u8>, Answer) {
        self.get_as(to, host, host, target).await
    }

    /// Asks for one name in the handshake, or for none if it is empty, and for a host on the
    /// connection.
    async fn get_as(
        &self,
        to: SocketAddr,
        name: &str,
        host: &str,
        target: &str,
    ) -> (Vec<u8>, Answer) {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(own).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(to).await.unwrap();
        let name = if name.is_empty() {
            config.enable_sni = false;
            "a.shared.example"
        } else {
            name
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let lines = format!("Host: {host}\n");
        (
            shown,
            exchange(stream, &request("GET", target, &lines)).await,
        )
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn certificate(folder: &Path, name: &str) -> Vec<u8> {
    let pem = std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    CertificateDer::from_pem_slice(&pem).unwrap().to_vec()
}

#[tokio::test]
async fn hosts_show_their_own_certificates_and_know_that_they_are_secure() {
    let (member, authority) = (Member::start("m").await, Authority::new());
    let url = member.url();
    let hosts = ["a.example", "b.example"].map(|name| {
        let tls = authority.directives(name);
        format!(
            "<VirtualHost *:*>\nServerName {name}\n{tls}ProxyPass / {url}/{name}/\n\
             RequestHeader set X-Forwarded-Proto https env=HTTPS\n\
             Header always set Strict-Transport-Security max-age=1 env=HTTPS\n\
             ProxyPassReverse / {url}/{name}/\n</VirtualHost>\n"
        )
    });
    let running = authority.run(&hosts.concat()).await;
    for name in ["a.example", "b.example"] {
        let target = format!("/x?Location={url}/{name}/y");
        let (shown, answer) = authority.get(running.at(), name, &target).await;
        assert_eq!(shown, certificate(&authority.folder, name));
        assert_eq!(answer.status, 200);
        assert!(answer.asked().starts_with(&format!("GET /{name}/x")));
        assert_eq!(answer.seen("x-forwarded-proto"), ["https"]);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=1")
        );
        let location = answer.header("location").unwrap();
        assert!(
            location == "/y" || location == format!("https://{name}/y"),
            "{location}"
        );
    }
}

#[tokio::test]
async fn a_connection_serves_only_the_hosts_of_its_certificate() {
    let (member, authority) = (Member::start("m").await, Authority::new());
    let url = member.url();
    let shared = authority.directives("*.shared.example");
    let other = authority.directives("other.example");
    let host = |name: &str, tls: &str| {
        format!(
            "<VirtualHost *:*>\nServerName {name}\n{tls}ProxyPass / {url}/{name}/\n</VirtualHost>\n"
        )
    };
    let running = authority
        .run(&format!(
            "{}{}{}",
            host("a.shared.example", &shared),
            host("b.shared.example", &shared),
            host("other.example", &other),
        ))
        .await;
    for (name, asked, served) in [
        (
            "a.shared.example",
            "A.shared.example.:443",
            Some("a.shared.example"),
        ),
        (
            "a.shared.example",
            "b.shared.example",
            Some("b.shared.example"),
        ),
        ("a.shared.example", "other.example", None),
        ("other.example", "a.shared.example", None),
        // The first host serves those that it does not know.
        ("other.example", "nowhere.example", None),
        (
            "a.shared.example",
            "nowhere.example",
            Some("a.shared.example"),
        ),
        (
            "x.shared.example",
            "a.shared.example",
            Some("a.shared.example"),
        ),
        // Without a name in the handshake, the connection is the first host's.
        ("", "a.shared.example", Some("a.shared.example")),
        ("", "other.example", None),
    ] {
        let (_, answer) = authority.get_as(running.at(), name, asked, "/x").await;
        match served {
            Some(host) => assert_eq!(answer.asked(), format!("GET /{host}/x"), "{name} {asked}"),
            None => assert_eq!(answer.status, 421, "{name} {asked}"),
        }
    }
    assert_eq!(member.requests(), 5);
}

#[tokio::test]
async fn a_reload_renews_certificates_and_a_bad_one_changes_nothing() {
    let (member, authority) = (Member::start("m").await, Authority::new());
    let tls = authority.directives("a.example");
    let text = format!("ServerName a.example\n{tls}ProxyPass / {}/\n", member.url());
    let running = authority.run(&text).await;
    let (first, answer) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!(answer.status, 200);
    authority.directives("a.example");
    let (still, _) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!(still, first, "nobody has read the file yet");
    running.reload(&text);
    let (second, _) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!(second, certificate(&authority.folder, "a.example"));
    assert_ne!(first, second);
    // A key that does not fit, and then none.
    let (_, other) = authority.issue("a.example");
    std::fs::write(authority.folder.join("a.example.key"), other).unwrap();
    running.refused(&text);
    std::fs::remove_file(authority.folder.join("a.example.key")).unwrap();
    let error = running.refused(&text);
    assert!(error.to_string().contains("a.example"), "{error}");
    let (still, answer) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!((still, answer.status), (second, 200));
    assert_eq!(member.connections(), 1);
}

#[tokio::test]
async fn an_open_listener_does_not_change_between_tls_and_plain() {
    let (member, authority) = (Member::start("m").await, Authority::new());
    let plain = format!("ProxyPass / {}/\n", member.url());
    let secure = format!("{}{plain}", authority.directives("a.example"));
    let running = authority.run(&plain).await;
    running.refused(&secure);
    assert_eq!(get(running.at(), "/").await.status, 200);
    let running = authority.run(&secure).await;
    running.refused(&plain);
    let (_, answer) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_name_that_tls_did_not_say_does_not_change_the_host() {
    let (member, authority) = (Member::start("m").await, Authority::new());
    let tls = authority.directives("a.example");
    let url = member.url();
    let running = authority
        .run(&format!(
            "<VirtualHost *:*>\nServerName a.example\n{tls}ProxyPass / {url}/a/\n</VirtualHost>\n"
        ))
        .await;
    // A plain request at a door with TLS is no request.
    let stream = TcpStream::connect(running.at()).await.unwrap();
    let answer = exchange(stream, &request("GET", "/", "")).await;
    assert!([0, 400].contains(&answer.status), "{answer:?}");
    assert_eq!(member.requests(), 0);
}

/// A member by TLS that says `yes`.
fn secure_member(authority: &Authority, name: &str) -> SocketAddr {
    let (certificate, key) = authority.issue(name);
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let tls = ServerTls::new([identity]).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = tower::service_fn(|request: Request<ClientBody>| async move {
        let host = request.headers().get("host").cloned();
        let mut answer = Response::new("yes".to_owned());
        answer.headers_mut().insert("x-host", host.unwrap());
        Ok::<_, std::convert::Infallible>(answer)
    });
    let server = Server::new().tls(&tls);
    tokio::spawn(server.serve(listener, answer, std::future::pending()));
    address
}

#[tokio::test]
async fn members_are_reached_by_tls_if_their_certificate_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = secure_member(&authority, "localhost");
    let url = format!("https://localhost:{}", address.port());
    for (directives, folder, status) in [
        ("SSLProxyCACertificateFile roots.pem\n", &authority, 200),
        ("SSLProxyCACertificateFile roots.pem\n", &other, 503),
        ("SSLProxyVerify none\n", &other, 200),
        ("", &other, 503),
    ] {
        let text = format!("SSLProxyEngine On\n{directives}ProxyPass / {url}/\n");
        let builder = RunningConfig::builder(read(&text))
            .base(&folder.folder)
            .resolve("localhost", address);
        let running = serve(builder).await;
        let answer = get_at(running.at(), "front.example", "/").await;
        // httpd says 500 where the handshake fails, and no more than that.
        let is = answer.status == status || (status == 503 && [500, 502].contains(&answer.status));
        assert!(is, "{directives}: {answer:?}");
    }
}

#[tokio::test]
async fn what_members_are_trusted_by_may_change_while_it_runs() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = secure_member(&authority, "localhost");
    std::fs::copy(
        other.folder.join("roots.pem"),
        authority.folder.join("other.pem"),
    )
    .unwrap();
    let text = |roots: &str| {
        format!(
            "SSLProxyEngine On\nSSLProxyCACertificateFile {roots}\n\
             <Proxy balancer://c>\nBalancerMember https://localhost:{0}\n</Proxy>\n\
             ProxyPass / balancer://c/\n",
            address.port()
        )
    };
    let builder = RunningConfig::builder(read(&text("roots.pem")))
        .base(&authority.folder)
        .resolve("localhost", address);
    let running = serve(builder).await;
    assert_eq!(get(running.at(), "/").await.status, 200);
    running.refused(&text("nowhere.pem"));
    assert_eq!(get(running.at(), "/").await.status, 200);
    running.reload(&text("other.pem"));
    assert!(get(running.at(), "/").await.status >= 500);
    assert_eq!(running.balancer("c").members()[0].picked(), 3);
}

/// The file's name stays, what is in it does not.
#[tokio::test]
async fn a_reload_reads_again_by_what_members_are_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = secure_member(&authority, "localhost");
    let text = format!(
        "SSLProxyEngine On\nSSLProxyCACertificateFile roots.pem\nProxyPass / https://localhost:{}/\n",
        address.port()
    );
    let builder = RunningConfig::builder(read(&text))
        .base(&other.folder)
        .resolve("localhost", address);
    let running = serve(builder).await;
    assert!(get(running.at(), "/").await.status >= 500);
    std::fs::write(other.folder.join("roots.pem"), &authority.pem).unwrap();
    running.reload(&text);
    assert_eq!(get(running.at(), "/").await.status, 200);
}

#[tokio::test]
async fn at_one_address_all_hosts_have_tls_or_none() {
    let authority = Authority::new();
    let tls = authority.directives("a.example");
    let mixed = format!(
        "<VirtualHost *:*>\nServerName a.example\n{tls}</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example\n</VirtualHost>\n"
    );
    let error = RunningConfig::builder(read(&format!("Listen 127.0.0.1:0\n{mixed}")))
        .base(&authority.folder)
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    // At ports of their own they may differ.
    let (plain, secure) = (crate::doors::free(), crate::doors::free());
    let text = format!(
        "Listen {plain}\nListen {secure}\n\
         <VirtualHost *:{}>\nServerName a.example\n{tls}Header always set X-Host a\n\
         </VirtualHost>\n<VirtualHost *:{}>\nServerName a.example\n\
         Header always set X-Host b\n</VirtualHost>\n",
        secure.port(),
        plain.port()
    );
    let running = authority.run(&text).await;
    let (_, answer) = authority.get(secure, "a.example", "/").await;
    assert_eq!(answer.header("x-host"), Some("a"));
    let answer = get_at(plain, "a.example", "/").await;
    assert_eq!(answer.header("x-host"), Some("b"));
    drop(running);
}

#[tokio::test]
async fn a_listener_may_say_itself_that_it_speaks_https() {
    let authority = Authority::new();
    let tls = authority.directives("a.example");
    let tls = tls.replace("SSLEngine On\n", "");
    let address = crate::doors::free();
    let running = authority
        .run(&format!("Listen {address} https\n{tls}"))
        .await;
    let (_, answer) = authority.get(running.at(), "a.example", "/").await;
    assert_eq!(answer.status, 404);
}

/// All the certificates of an address are known to whoever connects there, also by a name
/// that is only an alias.
#[tokio::test]
async fn an_alias_is_served_with_the_certificate_of_its_host() {
    let authority = Authority::new();
    let first = authority.directives("a.example");
    let (second, third) = (
        authority.directives("b.example"),
        authority.directives("*.c.example"),
    );
    let running = authority
        .run(&format!(
            "<VirtualHost *:*>\nServerName a.example\n{first}</VirtualHost>\n\
             <VirtualHost *:*>\nServerName other.example\nServerAlias b.example\n{second}\
             Header always set X-Host b\n</VirtualHost>\n\
             <VirtualHost *:*>\nServerName c.example\nServerAlias *.c.example\n{third}\
             Header always set X-Host c\n</VirtualHost>\n"
        ))
        .await;
    for (name, host) in [("b.example", "b"), ("x.c.example", "c")] {
        let (_, answer) = authority.get(running.at(), name, "/").await;
        assert_eq!(answer.header("x-host"), Some(host));
    }
}
