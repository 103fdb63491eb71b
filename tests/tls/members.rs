//! TLS to members: who is believed, under which name, what is shown to them, and which
//! HTTP is spoken.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use equipoise::Balancer;
use equipoise::member::Cause;
use equipoise::net::{MemberTls, ServerTls};
use equipoise::proxy::{
    Endpoint, EndpointBuilder, EndpointError, HttpVersions, ReverseProxy, Server,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rustls::CertificateError;
use tokio::net::TcpListener;
use tower::{ServiceExt, service_fn};

use super::authority::Authority;
use super::client::Client;
use super::front::Front;
use super::member::Member;
use super::within;

fn believing(authority: &Authority) -> MemberTls {
    MemberTls::with_roots(authority.pem.as_bytes()).unwrap()
}

async fn ask(member: EndpointBuilder) -> Result<String, EndpointError> {
    post(&member.build().unwrap()).await
}

async fn post(member: &Endpoint) -> Result<String, EndpointError> {
    let request = Request::post("/")
        .header("host", "a")
        .body(Full::<Bytes>::from("so much"));
    let response = member.clone().oneshot(request.unwrap()).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// What is wrong with a member's certificate; nothing was sent then.
fn distrust(refused: Result<String, EndpointError>) -> CertificateError {
    let error = refused.unwrap_err();
    assert!(error.is_nothing_sent(), "{error:?}");
    assert_eq!(error.cause(), Some(Cause::Tls));
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(|it| it.get_ref());
        let inner = inner.and_then(|it| it.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(why)) = inner {
            return why.clone();
        }
        cause = error.source();
    }
    panic!("{error:?}")
}

#[tokio::test]
async fn a_member_that_a_root_vouches_for_is_believed_under_its_name_or_address() {
    within(async {
        let authority = Authority::new("members");
        let issued = authority.issue(&["localhost", "127.0.0.1"]);
        let member = Member::start(&issued).await;
        let tls = believing(&authority);
        for (host, asked) in [("localhost", "localhost"), ("127.0.0.1", "-")] {
            let told = ask(member.endpoint(host).tls(&tls)).await.unwrap();
            assert_eq!(told, format!("HTTP/2.0 {asked} 0 - so much"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_nobody_vouches_for_gets_nothing() {
    within(async {
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        let member = Member::start(&theirs.issue(&["localhost"])).await;
        let told = ask(member.endpoint("localhost").tls(&believing(&ours))).await;
        assert_eq!(distrust(told), CertificateError::UnknownIssuer);
        // Nor do the system's roots.
        if MemberTls::new().is_ok() {
            let told = ask(member.endpoint("localhost")).await;
            assert_eq!(distrust(told), CertificateError::UnknownIssuer);
        }
        assert_eq!(member.asked(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_member_under_another_name_gets_nothing_unless_it_is_the_one_that_is_wanted() {
    within(async {
        let authority = Authority::new("members");
        let member = Member::start(&authority.issue(&["app.internal"])).await;
        let tls = believing(&authority);
        for host in ["localhost", "127.0.0.1"] {
            let why = distrust(ask(member.endpoint(host).tls(&tls)).await);
            let wrong_name = matches!(why, CertificateError::NotValidForNameContext { .. });
            assert!(wrong_name, "{why:?}");
        }
        let other = tls.clone().with_server_name("other.internal").unwrap();
        distrust(ask(member.endpoint("localhost").tls(&other)).await);
        assert_eq!(member.asked(), 0);
        let right = tls.with_server_name("app.internal").unwrap();
        for host in ["localhost", "127.0.0.1"] {
            let told = ask(member.endpoint(host).tls(&right)).await.unwrap();
            assert_eq!(told, "HTTP/2.0 app.internal 0 - so much");
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_a_client_is_none_of_a_server() {
    within(async {
        let authority = Authority::new("members");
        let member = Member::start(&authority.admit("localhost")).await;
        let told = ask(member.endpoint("localhost").tls(&believing(&authority))).await;
        let why = distrust(told);
        let for_another = matches!(why, CertificateError::InvalidPurposeContext { .. });
        assert!(for_another, "{why:?}");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_demands_a_certificate_is_shown_one() {
    within(async {
        let (authority, edges) = (Authority::new("members"), Authority::new("edges"));
        let issued = authority.issue(&["localhost"]);
        let member = Member::speaking(&issued, &["h2"], Some(&edges)).await;
        let tls = believing(&authority);
        let shown = tls.clone().with_identity(edges.admit("edge-1").identity());
        let told = ask(member.endpoint("localhost").tls(&shown)).await.unwrap();
        assert_eq!(told, "HTTP/2.0 localhost 1 - so much");
        let stranger = Authority::new("edges").admit("edge-1").identity();
        for tls in [tls.clone().with_identity(stranger), tls] {
            ask(member.endpoint("localhost").tls(&tls))
                .await
                .unwrap_err();
        }
        assert_eq!(member.asked(), 1);
    })
    .await;
}

/// Has a proxy before a member that demands a certificate, which it has not, and another
/// that demands none, and sends it requests. Says how many failed.
async fn before_a_picky_one(method: &str, body: &'static str) -> usize {
    let (authority, edges) = (Authority::new("members"), Authority::new("edges"));
    let issued = authority.issue(&["localhost"]);
    let picky = Member::speaking(&issued, &["http/1.1"], Some(&edges)).await;
    let member = Member::start(&issued).await;
    let tls = believing(&authority);
    let endpoints = [&picky, &member].map(|it| it.endpoint("localhost").tls(&tls));
    let [a, b] = endpoints.map(|it| it.build().unwrap());
    let proxy = ReverseProxy::new(Balancer::new([("a", a), ("b", b)]).unwrap());
    let mut failed = 0;
    for _ in 0..6 {
        let request = Request::builder()
            .method(method)
            .uri("/")
            .header("host", "a");
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        let response = proxy.clone().oneshot(request).await.unwrap();
        failed += usize::from(response.status() != 200);
    }
    assert_eq!((picky.asked(), member.asked()), (0, 6 - failed));
    failed
}

#[tokio::test]
async fn a_member_that_does_not_believe_us_is_passed_over() {
    let failed = within(before_a_picky_one("GET", "")).await;
    assert_eq!(failed, 0);
}

/// Over TLS 1.3 its refusal comes after the handshake, in place of an answer, when the
/// body of the request is gone. The next need not suffer the same.
#[tokio::test]
async fn a_member_that_does_not_believe_us_is_put_in_error() {
    let failed = within(before_a_picky_one("POST", "so much")).await;
    assert!(failed <= 1, "{failed}");
}

#[tokio::test]
async fn anybody_is_believed_by_who_asks_for_it() {
    within(async {
        let member = Member::start(&Authority::new("theirs").issue(&["elsewhere"])).await;
        let tls = MemberTls::dangerously_without_verification();
        let told = ask(member.endpoint("localhost").tls(&tls)).await.unwrap();
        assert_eq!(told, "HTTP/2.0 localhost 0 - so much");
    })
    .await;
}

#[tokio::test]
async fn a_member_is_spoken_to_in_what_both_sides_want() {
    within(async {
        let authority = Authority::new("members");
        let issued = authority.issue(&["localhost"]);
        let tls = believing(&authority);
        for (speaks, wanted, spoken) in [
            (&["h2", "http/1.1"][..], HttpVersions::Any, Some("HTTP/2.0")),
            (&["h2", "http/1.1"], HttpVersions::Http1, Some("HTTP/1.1")),
            (&["h2", "http/1.1"], HttpVersions::Http2, Some("HTTP/2.0")),
            (&["http/1.1"], HttpVersions::Any, Some("HTTP/1.1")),
            (&["http/1.1"], HttpVersions::Http1, Some("HTTP/1.1")),
            (&["http/1.1"], HttpVersions::Http2, None),
            (&["h2"], HttpVersions::Any, Some("HTTP/2.0")),
            (&["h2"], HttpVersions::Http1, None),
            (&[], HttpVersions::Any, Some("HTTP/1.1")),
            (&[], HttpVersions::Http1, Some("HTTP/1.1")),
            (&[], HttpVersions::Http2, None),
        ] {
            let member = Member::speaking(&issued, speaks, None).await;
            let endpoint = member.endpoint("localhost").tls(&tls).versions(wanted);
            let endpoint = endpoint.build().unwrap();
            for _ in 0..2 {
                let told = post(&endpoint).await;
                match spoken {
                    Some(spoken) => {
                        let expected = format!("{spoken} localhost 0 - so much");
                        assert_eq!(told.unwrap(), expected, "{wanted:?} of {speaks:?}");
                    }
                    None => assert!(told.unwrap_err().is_nothing_sent()),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_member_that_fails_did_not_get_another_does() {
    within(async {
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        let liar = Member::start(&theirs.issue(&["localhost"])).await;
        let misnamed = Member::start(&ours.issue(&["elsewhere"])).await;
        let member = Member::start(&ours.issue(&["localhost"])).await;
        let plain = Front::telling_by(Server::new());
        let tls = believing(&ours);
        let plain = Endpoint::builder(format!("https://{}", plain.address).parse().unwrap());
        let members = [&liar, &misnamed, &member].map(|it| it.endpoint("localhost"));
        let members = [plain].into_iter().chain(members);
        let members = ["plain", "liar", "misnamed", "right"]
            .into_iter()
            .zip(members.map(|member| member.tls(&tls).build().unwrap()));
        let proxy = ReverseProxy::new(Balancer::new(members).unwrap());
        for _ in 0..8 {
            let request = Request::post("/")
                .header("host", "a")
                .body(Full::<Bytes>::from("precious"));
            let response = proxy.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(&body[..], b"HTTP/2.0 localhost 0 http precious");
        }
        assert_eq!((liar.asked(), misnamed.asked(), member.asked()), (0, 0, 8));
    })
    .await;
}

#[tokio::test]
async fn a_member_that_stops_in_its_handshake_is_not_waited_for() {
    within(async {
        let authority = Authority::new("members");
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://{}", silent.local_addr().unwrap());
        let endpoint = Endpoint::builder(uri.parse().unwrap())
            .tls(&believing(&authority))
            .connect_timeout(Duration::from_millis(200));
        let error = ask(endpoint).await.unwrap_err();
        assert!(error.is_nothing_sent(), "{error:?}");
        let cause = error.source().and_then(|it| it.downcast_ref());
        let cause: &std::io::Error = cause.unwrap();
        assert_eq!(cause.kind(), std::io::ErrorKind::TimedOut);
    })
    .await;
}

#[tokio::test]
async fn members_are_told_that_the_client_came_by_tls() {
    within(async {
        let authority = Authority::new("all");
        let issued = authority.issue(&["shop.test", "localhost"]);
        let member = Member::start(&issued).await;
        let endpoint = member.endpoint("localhost").tls(&believing(&authority));
        let balancer = Balancer::new([("a", endpoint.build().unwrap())]).unwrap();
        let proxy = ReverseProxy::new(balancer);
        let tls = ServerTls::new([issued.identity()]).unwrap();
        let secured = Front::start(Server::new().tls(&tls), proxy.clone());
        for offered in ["h2", "http/1.1"] {
            let client = Client::of(&authority).speaking(&[offered]);
            let told = client.ask(secured.address, "shop.test").await.unwrap();
            assert_eq!(told, "HTTP/2.0 localhost 0 https ");
        }
        let plain = Front::start(Server::new(), proxy);
        let uri = format!("http://{}", plain.address).parse().unwrap();
        let told = ask(Endpoint::builder(uri)).await.unwrap();
        assert_eq!(told, "HTTP/2.0 localhost 0 http so much");
    })
    .await;
}

#[tokio::test]
async fn a_server_of_ours_is_a_member_too() {
    within(async {
        let authority = Authority::new("members");
        let tls = ServerTls::new([authority.issue(&["localhost"]).identity()]).unwrap();
        let hello = service_fn(async |_: Request<_>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let front = Front::start(Server::new().tls(&tls), hello);
        let uri = format!("https://localhost:{}", front.address.port());
        for versions in [HttpVersions::Any, HttpVersions::Http1, HttpVersions::Http2] {
            let endpoint = Endpoint::builder(uri.parse().unwrap())
                .tls(&believing(&authority))
                .versions(versions);
            assert_eq!(ask(endpoint).await.unwrap(), "hello");
        }
    })
    .await;
}
