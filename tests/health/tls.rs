//! TLS probes: a handshake with a certificate that holds.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::Balancer;
use equipoise::health::{Check, HealthChecks, HttpProbe, ProbeTarget, TcpProbe, TlsProbe};
use equipoise::net::{Acceptor, Connector, Identity, Listener, MemberTls, ServerTls};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::member::{Served, failure, probed};
use crate::{is_failed, until};

struct Secured {
    address: SocketAddr,
    roots: String,
    task: JoinHandle<()>,
}

impl Secured {
    /// A member whose certificate is of these days.
    async fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let roots = certificate.pem();
        let identity = Identity::from_pem(roots.as_bytes(), key.serialize_pem().as_bytes());
        let tls = ServerTls::new([identity.unwrap()]).unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Acceptor::new().tls(&tls).serve(
            listener,
            |accepted| async move {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = accepted.into_stream().write_all(answer).await;
            },
            std::future::pending::<()>(),
        );
        let task = tokio::spawn(async {
            let _ = serving.await;
        });
        Self {
            address,
            roots,
            task,
        }
    }

    fn settings(&self) -> MemberTls {
        MemberTls::with_roots(self.roots.as_bytes()).unwrap()
    }

    /// By the settings that the member has for requests.
    fn target(&self, name: &str) -> ProbeTarget {
        let tls = self.settings().with_server_name(name).unwrap();
        Connector::tcp(self.address).tls(&tls).unwrap().into()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_certificate_that_holds_passes_and_one_that_does_not_fails() {
    let good = Secured::new(|_| {}).await;
    probed(&TlsProbe::new(), good.target("localhost"))
        .await
        .unwrap();
    let own = TlsProbe::with_settings(good.settings().with_server_name("localhost").unwrap());
    probed(&own, good.address.into()).await.unwrap();

    let why = failure(&TlsProbe::new(), good.target("other.internal")).await;
    assert!(
        why.starts_with("no connection: the TLS handshake failed: "),
        "{why}"
    );
    let plain = failure(&TlsProbe::new(), good.address.into()).await;
    assert_eq!(
        plain,
        "the member has no TLS settings: use a probe with its own"
    );
    // TCP asks for less, with HTTP for more.
    probed(&TcpProbe::new(), good.target("other.internal"))
        .await
        .unwrap();
    let get = HttpProbe::get("/").expect_body("ok").build().unwrap();
    probed(&get, good.target("localhost")).await.unwrap();
    assert!(probed(&get, good.target("other.internal")).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_is_out_of_date_fails() {
    let old = Secured::new(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    })
    .await;
    let get = HttpProbe::get("/").build().unwrap();
    let why = failure(&TlsProbe::new(), old.target("localhost")).await;
    assert!(why.contains("expired"), "{why}");
    let why = failure(&get, old.target("localhost")).await;
    assert!(why.contains("expired"), "{why}");
    let young = Secured::new(|params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
    })
    .await;
    let why = failure(&TlsProbe::new(), young.target("localhost")).await;
    assert!(why.contains("not valid yet"), "{why}");
}

#[tokio::test]
async fn a_member_without_tls_fails() {
    let plain = Served::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let tls = MemberTls::dangerously_without_verification();
    let target = Connector::tcp(plain.address).tls(&tls).unwrap();
    let silent = Served::by(|stream| async move {
        // It says something, but no TLS.
        let mut stream = stream;
        let _ = stream.write_all(b"220 mail.internal ESMTP\r\n").await;
    })
    .await;
    let silent = Connector::tcp(silent.address).tls(&tls).unwrap();
    assert!(probed(&TlsProbe::new(), silent.into()).await.is_err());
    let wrong = HttpProbe::get("/").build().unwrap();
    drop(plain);
    assert!(probed(&wrong, target.into()).await.is_err());
}

#[tokio::test]
async fn a_kept_connection_without_tls_is_not_used_once_the_member_has_tls() {
    let plain = Served::keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let get = HttpProbe::get("/").keep_alive().build().unwrap();
    let check = Check::builder(get).interval(Duration::from_millis(100));
    let connector = Connector::tcp(plain.address);
    let balancer = Balancer::new([("a", connector.clone())]).unwrap();
    let _checks = HealthChecks::new(&balancer, check.build().unwrap());
    until(|| plain.heads.lock().unwrap().len() >= 2).await;
    assert_eq!(plain.connections(), 1);
    let tls = MemberTls::dangerously_without_verification();
    let secured = connector.tls(&tls).unwrap();
    balancer.insert("a", secured, Default::default()).unwrap();
    until(|| is_failed(&balancer, "a")).await;
}
