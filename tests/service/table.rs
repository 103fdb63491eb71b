//! The table of what one attempt can come to, as Apache has it, on real sockets: rows
//! 3, 4, 9, 12, 13 and 14, with the fixes of the ledger. Rows 1, 8 and 15 are in
//! `hedging` and `failover`, rows 5 and 6 there with errors of members in the process;
//! the other rows speak of parts that a library has not got.

use bytes::Bytes;
use equipoise::service::{BalanceError, BalanceLayer, BalanceService, CountedBody, Rewrite};
use equipoise::{Balancer, Flag, MemberSpec, Outcome};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use tower::{Layer, ServiceExt};

use crate::backend::{Backend, Http, RawBackend, client, dead};
use crate::books::{Books, in_flight};

type Proxy = BalanceService<Uri, Rewrite<Client<HttpConnector, CountedBody<Full<Bytes>>>>>;

/// A first member that is bad and a second that is good.
struct Two {
    balancer: Balancer<Uri>,
    books: Books,
    good: Backend,
    /// The state machine attends to each request from its beginning.
    machine_first: bool,
}

/// Both beginnings of a request.
const BOTH: [bool; 2] = [false, true];

impl Two {
    async fn new(bad: Uri, machine_first: bool) -> Self {
        let good = Backend::named("good").await;
        let books = Books::default();
        let balancer = Balancer::builder()
            .observer(books.clone())
            .member("bad", bad, MemberSpec::new())
            .member("good", good.uri(), MemberSpec::new())
            .build()
            .unwrap();
        Self {
            balancer,
            books,
            good,
            machine_first,
        }
    }

    fn proxy(&self) -> Proxy {
        let layer = BalanceLayer::new(self.balancer.clone());
        let layer = layer.nothing_sent_if(legacy::Error::is_connect);
        let layer = if self.machine_first {
            layer.machine_first()
        } else {
            layer
        };
        layer.layer(client(Http::One))
    }

    async fn status(&self, method: Method) -> StatusCode {
        let request = Request::builder().method(method).uri("/");
        let request = request.body(Full::from("body")).unwrap();
        match self.proxy().oneshot(request).await {
            Ok(response) => {
                let status = response.status();
                response.into_body().collect().await.unwrap();
                status
            }
            Err(error) => error.status(),
        }
    }

    fn bad_is_in_error(&self) -> bool {
        let bad = self.balancer.member("bad").unwrap();
        bad.status().contains(Flag::InError)
    }
}

#[tokio::test]
async fn row_3_a_connection_that_is_refused_moves_on() {
    let methods = [Method::GET, Method::POST];
    for (method, machine_first) in methods.iter().flat_map(|it| BOTH.map(|both| (it, both))) {
        let two = Two::new(dead().await, machine_first).await;
        assert_eq!(two.status(method.clone()).await, 200);
        assert!(two.bad_is_in_error());
        // None left: the last error is told (Apache: 503).
        two.good.kill().await;
        two.balancer.clear_flag("bad", Flag::InError).unwrap();
        assert_eq!(two.status(Method::POST).await, 502);
        assert_eq!(in_flight(&two.balancer), 0);
    }
}

#[tokio::test]
async fn row_4_a_name_that_does_not_resolve_moves_on() {
    // Ledger 17: Apache answers 500.
    let nowhere = Uri::from_static("http://no-such-host.invalid:80");
    for machine_first in BOTH {
        let two = Two::new(nowhere.clone(), machine_first).await;
        assert_eq!(two.status(Method::POST).await, 200);
        assert!(two.bad_is_in_error());
    }
}

/// The bad member takes a request and then answers with these bytes.
async fn answering(answer: &'static [u8], machine_first: bool) -> (Two, RawBackend) {
    let raw = RawBackend::start(answer).await;
    (Two::new(raw.uri(), machine_first).await, raw)
}

#[tokio::test]
async fn rows_9_12_and_13_what_is_no_answer_is_502_for_a_post_and_repeated_for_a_get() {
    let answers: [&[u8]; 7] = [
        // 9: closed without a word.
        b"",
        b"HTTP/1.1 200",
        // 12: malformed.
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/7.0 200 OK\r\n\r\n",
        // 13: not HTTP at all; no 0.9 (ledger 19).
        b"hello, who are you?\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
    ];
    for (answer, machine_first) in answers.iter().flat_map(|it| BOTH.map(|both| (it, both))) {
        let case = String::from_utf8_lossy(answer);
        let (two, raw) = answering(answer, machine_first).await;
        assert_eq!(two.status(Method::POST).await, 502, "{case}");
        assert!(!two.bad_is_in_error(), "{case}");
        assert_eq!(raw.requests(), 1, "{case}");
        assert_eq!(two.books.take()[0].1, Outcome::Failure, "{case}");
        // Ledger 30: once more, elsewhere.
        let (two, raw) = answering(answer, machine_first).await;
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = Uri::from_static("/");
        let response = two.proxy().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{case}");
        assert_eq!(raw.requests(), 1, "{case}");
        assert!(!two.bad_is_in_error(), "{case}");
    }
}

const BROKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";

#[tokio::test]
async fn row_14_an_answer_that_breaks_off_is_passed_on_as_far_as_it_came() {
    let (two, raw) = answering(BROKEN, false).await;
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let response = two.proxy().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "hello");
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    assert_eq!(two.books.take()[0], ("bad".into(), Outcome::Failure, 0, 5));
    assert!(!two.bad_is_in_error());
    assert_eq!(raw.requests(), 1);
}

#[tokio::test]
async fn a_first_answer_that_informs_is_not_the_answer() {
    let (two, _raw) = answering(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        false,
    )
    .await;
    assert_eq!(two.status(Method::POST).await, 200);
    assert_eq!(two.books.take()[0].0, "bad");
}

#[tokio::test]
async fn an_error_names_the_member_and_keeps_what_the_client_said() {
    let (two, _raw) = answering(b"nonsense\r\n\r\n", false).await;
    let request = Request::post("/").body(Full::from("x")).unwrap();
    let error = two.proxy().oneshot(request).await.unwrap_err();
    let BalanceError::Member {
        member,
        attempts,
        source,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((&**member, *attempts), ("bad", 1));
    assert!(source.is::<legacy::Error>());
}
