//! TLS on both sides of the relay: members by the name that is asked for, and those that are
//! not accepted.

use std::time::Duration;

use equipoise::net::{
    Accepted, Acceptor, ClientCertificates, ConnectError, Connector, Identity, MemberTls,
    ProxyVersion, ServerTls, Stream, TlsError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::relay::{Serving, relay};
use super::within;

/// A certificate that vouches for itself.
struct Certificate {
    pem: String,
    key: String,
}

impl Certificate {
    fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self {
            pem: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.pem.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn server(&self) -> ServerTls {
        ServerTls::new([self.identity()]).unwrap()
    }

    /// What accepts it, and nothing else.
    fn accepted(&self) -> MemberTls {
        MemberTls::with_roots(self.pem.as_bytes()).unwrap()
    }
}

/// A member that tells its name over TLS.
fn member(name: &'static str, certificate: &Certificate) -> Serving {
    let acceptor = Acceptor::new().tls(&certificate.server());
    Serving::start(acceptor, move |accepted: Accepted| async move {
        let mut stream = accepted.into_stream();
        stream.write_all(name.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    })
}

async fn all_of(mut stream: Stream) -> String {
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    got
}

#[tokio::test]
async fn each_name_has_its_certificate_and_its_member() {
    within(async {
        let behind = [Certificate::of("a.internal"), Certificate::of("b.internal")];
        let members = [member("first", &behind[0]), member("second", &behind[1])];
        let connect = |place: usize, name| {
            let tls = behind[place].accepted().with_server_name(name).unwrap();
            Connector::tcp(members[place].address).tls(&tls).unwrap()
        };
        let (first, second) = (connect(0, "a.internal"), connect(1, "b.internal"));

        let shown = [Certificate::of("a.test"), Certificate::of("b.test")];
        let tls = ServerTls::new(shown.iter().map(Certificate::identity)).unwrap();
        let front = Serving::start(Acceptor::new().tls(&tls), move |accepted: Accepted| {
            let session = accepted.tls_session().unwrap();
            assert_eq!(session.version(), "1.3");
            assert!(accepted.local_addr().is_some(), "also through TLS");
            let to = match session.server_name() {
                Some("a.test") => &first,
                _ => &second,
            };
            relay(accepted, to.clone())
        });
        for (shown, name, expected) in [
            (&shown[0], "a.test", "first"),
            (&shown[1], "b.test", "second"),
        ] {
            let tls = shown.accepted().with_server_name(name).unwrap();
            let client = Connector::tcp(front.address).tls(&tls).unwrap();
            let stream = client.connect().await.unwrap();
            assert_eq!(stream.peer_addr(), Some(front.address));
            assert_eq!(all_of(stream).await, expected);
        }
        assert_eq!(front.stop().await.unwrap().cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_root_is_not_accepted() {
    within(async {
        let (own, other) = (Certificate::of("db.test"), Certificate::of("db.test"));
        let member = member("db", &own);
        let by = |tls: MemberTls, name| {
            let named = tls.with_server_name(name).unwrap();
            Connector::tcp(member.address).tls(&named).unwrap()
        };
        for refused in [
            by(own.accepted(), "other.test"),
            by(other.accepted(), "db.test"),
        ] {
            let error = refused.connect().await.unwrap_err();
            assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
        }
        let stream = by(own.accepted(), "db.test").connect().await.unwrap();
        assert_eq!(all_of(stream).await, "db");
        let any = by(MemberTls::dangerously_without_verification(), "x.test");
        assert_eq!(all_of(any.connect().await.unwrap()).await, "db");
    })
    .await;
}

#[tokio::test]
async fn the_host_is_the_name_that_is_asked_for() {
    within(async {
        let certificate = Certificate::of("localhost");
        let member = member("local", &certificate);
        let named = Connector::host("localhost", member.address.port());
        let named = named.tls(&certificate.accepted()).unwrap();
        assert_eq!(all_of(named.connect().await.unwrap()).await, "local");
        // Its certificate is for no address.
        let numbered = Connector::tcp(member.address);
        let numbered = numbered.tls(&certificate.accepted()).unwrap();
        numbered.connect().await.unwrap_err();
    })
    .await;
}

#[test]
fn without_a_name_to_ask_for_there_is_no_tls() {
    let tls = Certificate::of("db.test").accepted();
    let error = Connector::host("no such name", 1).tls(&tls).unwrap_err();
    assert!(matches!(error, TlsError::Name { name } if name == "no such name"));
    #[cfg(unix)]
    {
        let error = Connector::unix("/run/db.sock").tls(&tls).unwrap_err();
        assert!(matches!(error, TlsError::Name { .. }));
        let named = tls.with_server_name("db.test").unwrap();
        assert!(Connector::unix("/run/db.sock").tls(&named).is_ok());
    }
}

#[tokio::test]
async fn clients_show_their_certificates() {
    within(async {
        let (own, clients) = (Certificate::of("db.test"), Certificate::of("client.test"));
        let required = ClientCertificates::required(clients.pem.as_bytes()).unwrap();
        let tls = own.server().with_client_certificates(required);
        let front = Serving::start(Acceptor::new().tls(&tls), |accepted| async move {
            let session = accepted.tls_session().unwrap();
            let shown = session.certificates().len().to_string();
            let mut stream = accepted.into_stream();
            stream.write_all(shown.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let anonymous = own.accepted().with_server_name("db.test").unwrap();
        let known = anonymous.clone().with_identity(clients.identity());
        let client = Connector::tcp(front.address).tls(&known).unwrap();
        assert_eq!(all_of(client.connect().await.unwrap()).await, "1");
        // Over TLS 1.3 a client learns only as it reads that it is refused.
        let refused = Connector::tcp(front.address).tls(&anonymous).unwrap();
        if let Ok(mut stream) = refused.connect().await {
            stream.read(&mut [0]).await.unwrap_err();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_closed_unseen() {
    within(async {
        let own = Certificate::of("db.test");
        let (seen, mut sightings) = mpsc::unbounded_channel();
        let front = Serving::start(Acceptor::new().tls(&own.server()), move |_| {
            seen.send(()).unwrap();
            std::future::ready(())
        });
        let mut stream = front.connect().await;
        stream
            .write_all(b"hello, is it you?\r\n\r\n")
            .await
            .unwrap();
        let mut got = Vec::new();
        // An alert, and the end or a reset.
        let _ = stream.read_to_end(&mut got).await;
        assert_eq!(front.stop().await.unwrap().cut(), 0);
        assert!(sightings.recv().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_member_that_shakes_no_hands_is_given_up_after_the_limit() {
    within(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limit = Duration::from_millis(200);
        let member = Connector::tcp(silent.local_addr().unwrap()).timeout(limit);
        let tls = MemberTls::dangerously_without_verification();
        let error = member.tls(&tls).unwrap().connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_member_is_told_of_the_client_before_tls_and_of_the_name_that_it_asked_for() {
    within(async {
        let (behind, shown) = (Certificate::of("a.internal"), Certificate::of("a.test"));
        let acceptor = Acceptor::new()
            .proxy_protocol(["127.0.0.0/8".parse().unwrap()])
            .tls(&behind.server());
        let member = Serving::start(acceptor, |accepted: Accepted| async move {
            let header = accepted.proxy_header().unwrap();
            let told = format!("{:?} {:?}", header.source(), header.authority());
            let mut stream = accepted.into_stream();
            stream.write_all(told.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let tls = behind.accepted().with_server_name("a.internal").unwrap();
        let to = Connector::tcp(member.address).tls(&tls).unwrap();
        let front = Acceptor::new().tls(&shown.server());
        let front = Serving::start(front, move |accepted: Accepted| {
            let header = accepted.next_proxy_header();
            relay(accepted, to.clone().proxy_header(&header, ProxyVersion::V2))
        });
        let tls = shown.accepted().with_server_name("a.test").unwrap();
        let client = Connector::tcp(front.address).tls(&tls).unwrap();
        let stream = client.connect().await.unwrap();
        let own = stream.local_addr();
        assert_eq!(
            all_of(stream).await,
            format!("{own:?} {:?}", Some("a.test"))
        );
    })
    .await;
}
