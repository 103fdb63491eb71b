//! Bodies of requests that have arrived before the request is sent, and those that have not,
//! are the same to members, clients and balancers.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use equipoise::net::{Identity, Listener, MemberTls, ServerTls};
use equipoise::proxy::{ClientBody, Endpoint, HttpVersions, Server};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tower::service_fn;

use super::front::{Front, statuses};
use super::line::within;
use super::member::{Member, OK};

/// A member that speaks both versions, and answers with the body of the request.
#[derive(Debug)]
struct Echo {
    uri: String,
    tls: Option<MemberTls>,
    serving: AbortHandle,
}

impl Echo {
    fn start() -> Self {
        Self::speaking(Server::new(), None)
    }

    fn over_tls() -> Self {
        let own = rcgen::generate_simple_self_signed(["member.test".to_owned()]).unwrap();
        let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let server = Server::new().tls(&ServerTls::new([identity]).unwrap());
        let tls = MemberTls::dangerously_without_verification();
        Self::speaking(server, Some(tls))
    }

    fn speaking(server: Server, tls: Option<MemberTls>) -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}", listener.local_addr().unwrap());
        let echo = service_fn(|request: Request<ClientBody>| async {
            let body = request.into_body().collect().await;
            let body = body.map(|body| {
                let trailer = body.trailers().and_then(|all| all.get("x-sum")).cloned();
                (body.to_bytes(), trailer)
            });
            let (body, trailer) = body.unwrap_or_else(|_| (Bytes::from("broken off"), None));
            let mut response = Response::new(Full::new(body));
            if let Some(trailer) = trailer {
                response.headers_mut().insert("x-sum", trailer);
            }
            Ok::<_, Infallible>(response)
        });
        let serving = tokio::spawn(server.serve(listener, echo, std::future::pending()));
        Self {
            uri,
            tls,
            serving: serving.abort_handle(),
        }
    }

    fn endpoint(&self, versions: HttpVersions) -> Endpoint {
        let uri = self.uri.parse().unwrap();
        let endpoint = Endpoint::builder(uri).versions(versions);
        let endpoint = match &self.tls {
            Some(tls) => endpoint.tls(tls),
            None => endpoint,
        };
        endpoint.build().unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

const VERSIONS: [HttpVersions; 2] = [HttpVersions::Http1, HttpVersions::Http2];

/// Around the limits of what is sent at once, and of what is read at once.
const LENGTHS: [usize; 8] = [1, 100, 4_000, 16_383, 16_384, 16_385, 100_000, 1_000_000];

fn body_of(length: usize) -> Vec<u8> {
    let bytes = (0..length).map(|at| u8::try_from(at % 251).unwrap());
    bytes.collect()
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn head(length: usize, more: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{more}content-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn a_body_arrives_whole_and_is_counted_however_it_is_split() {
    let members = [Echo::start(), Echo::over_tls()];
    let members = members
        .iter()
        .flat_map(|echo| VERSIONS.map(|it| echo.endpoint(it)));
    for member in members.collect::<Vec<_>>() {
        let front = Front::before(Server::new(), [member]);
        let mut client = front.client().await;
        let mut sent = 0;
        for length in LENGTHS {
            let body = body_of(length);
            let whole = [head(length, "").as_bytes(), &body].concat();
            let half = whole.len() - length.div_ceil(2);
            let beginning = whole.len() - length;
            for split in [whole.len(), half, beginning] {
                client.say(&whole[..split]).await;
                if split < whole.len() {
                    pause().await;
                }
                client.say(&whole[split..]).await;
                let answer = client.answer().await;
                assert!(answer.body == body, "{length} bytes, {split} at first");
                sent += length as u64;
                assert_eq!(front.sent(), sent);
            }
        }
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn chunks_and_their_trailers_arrive_whole() {
    let echo = Echo::start();
    for versions in VERSIONS {
        let front = Front::before(Server::new(), [echo.endpoint(versions)]);
        let mut client = front.client().await;
        let whole = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                     2\r\nhe\r\n3\r\nllo\r\n0\r\nx-sum: 5\r\n\r\n";
        for split in [whole.len(), whole.len() - 18, whole.len() - 33] {
            client.say(&whole[..split]).await;
            pause().await;
            client.say(&whole[split..]).await;
            let answer = client.answer().await;
            assert_eq!(answer.text(), "hello", "{split}");
            assert_eq!(answer.header("x-sum"), Some("5"));
        }
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn over_http_2_a_body_arrives_whole_with_an_end_of_its_own_or_trailers() {
    let echo = Echo::start();
    for versions in VERSIONS {
        let front = Front::before(Server::new(), [echo.endpoint(versions)]);
        let stream = TcpStream::connect(front.address()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let kinds = [
            (true, "frame"),
            (true, "own"),
            (false, "own"),
            (true, "late"),
            (true, "trailers"),
            (false, "trailers"),
        ];
        for (known, end) in kinds {
            let mut request = Request::post("http://a/").header("te", "trailers");
            request = request.header("trailer", "x-sum");
            if known {
                request = request.header("content-length", "5");
            }
            let request = request.body(()).unwrap();
            let (answer, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(b"hello"), end == "frame")
                .unwrap();
            match end {
                "frame" => {}
                "trailers" => {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("x-sum", "5".parse().unwrap());
                    body.send_trailers(trailers).unwrap();
                }
                end => {
                    if end == "late" {
                        pause().await;
                    }
                    body.send_data(Bytes::new(), true).unwrap();
                }
            }
            let answer = within(answer).await.unwrap();
            // HTTP/1.1 has no trailers behind a body whose length is known.
            let passes = end == "trailers" && (!known || versions == HttpVersions::Http2);
            assert_eq!(
                answer.headers().contains_key("x-sum"),
                passes,
                "{known}, {end}"
            );
            let mut text = Vec::new();
            let mut answer = answer.into_body();
            while let Some(data) = within(answer.data()).await {
                text.extend(data.unwrap());
            }
            assert_eq!(text, b"hello");
        }
        drop(client);
        within(connection).await.unwrap().unwrap();
        assert_eq!(front.sent(), 30);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for length in [5, 20_000] {
        for arrived in [0, 1, length - 1] {
            let mut client = front.client().await;
            client.say(head(length, "")).await;
            client.say(&body_of(arrived)).await;
            pause().await;
            client.reset();
        }
    }
    front.at_rest().await;
    assert_eq!(member.served(), [""; 0]);
}

#[tokio::test]
async fn over_http_2_a_body_that_is_too_large_gets_413_though_it_has_arrived() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().max_body(1_000), [member.endpoint()]);
    let stream = TcpStream::connect(front.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for length in [1_001, 1_000] {
        for known in [true, false] {
            let mut request = Request::post("http://a/");
            if known {
                request = request.header("content-length", length);
            }
            client = client.ready().await.unwrap();
            let sent = client.send_request(request.body(()).unwrap(), false);
            let (answer, mut body) = sent.unwrap();
            body.send_data(Bytes::from(body_of(length)), true).unwrap();
            let status = within(answer).await.unwrap().status();
            let expected = if length > 1_000 { 413 } else { 200 };
            assert_eq!(status, expected, "{length} bytes, known: {known}");
        }
    }
    drop(client);
    connection.abort();
    front.at_rest().await;
    assert_eq!(member.served().len(), 2);
}

/// A member that answers a head without its body, and then reads that.
async fn hasty() -> Member {
    Member::scripted(|mut talk| async move {
        while let Some(head) = talk.line.head().await {
            talk.say(OK).await;
            talk.line.rest_of_request(head).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_early_answer_costs_neither_the_body_nor_the_connection() {
    let member = hasty().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    for length in [5, 10_000, 5, 16_384] {
        client
            .say([head(length, "").as_bytes(), &body_of(length)].concat())
            .await;
        assert_eq!(client.answer().await.text(), "ok");
        pause().await;
    }
    assert_eq!(member.connections(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_with_a_reset_behind_it_is_the_answer_or_a_failure_of_the_member() {
    let member = Member::scripted(|mut talk| async move {
        talk.line.head().await;
        talk.say(OK).await;
        talk.line.reset();
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for length in [5, 10_000] {
        let mut client = front.client().await;
        client
            .say(
                [
                    head(length, "connection: close\r\n").as_bytes(),
                    &body_of(length),
                ]
                .concat(),
            )
            .await;
        let told = client.all_the_rest().await;
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(matches!(statuses(&told)[..], [200 | 502]), "{told}");
    }
    front.at_rest().await;
}

#[tokio::test]
async fn a_body_that_was_looked_at_goes_to_another_member_if_none_was_sent_it() {
    let gone = Member::answering(OK).await;
    let good = Member::answering(OK).await;
    let front = Front::before(Server::new(), [gone.endpoint(), good.endpoint()]);
    let mut client = front.client().await;
    // Both have a connection, of which one is closed, and no other can be opened.
    for _ in 0..2 {
        client.say(head(0, "")).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    assert_eq!((gone.connections(), good.connections()), (1, 1));
    drop(gone);
    pause().await;
    for _ in 0..2 {
        client.say([&head(5, ""), "hello"].concat()).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    assert_eq!(front.sent(), 10);
    drop(client);
    front.at_rest().await;
    let bodies: Vec<String> = good.heard().iter().map(|it| it.text()).collect();
    assert_eq!(bodies, ["", "hello", "hello"]);
}

#[tokio::test]
async fn a_client_gets_no_100_before_there_is_a_connection() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(head(0, "")).await;
    assert_eq!(client.answer().await.text(), "ok");
    drop(member);
    pause().await;
    client.say(head(5, "expect: 100-continue\r\n")).await;
    assert_eq!(client.answer_head().await.status(), 502);
    drop(client);
    front.at_rest().await;
}

/// A future that waits for a member polls its connection; a task does so while a body is
/// still to be sent.
#[tokio::test]
async fn a_body_that_has_arrived_is_sent_without_a_task() {
    let echo = Echo::start();
    let front = Front::before(Server::new(), [echo.endpoint(HttpVersions::Http1)]);
    let mut client = front.client().await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    client.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.answer().await;
    let before = tasks();
    for length in [1, 100, 4_000] {
        let body = body_of(length);
        client
            .say([head(length, "").as_bytes(), &body].concat())
            .await;
        assert!(client.answer().await.body == body);
        assert_eq!(tasks(), before, "{length} bytes");
    }
    client.say(head(5, "")).await;
    pause().await;
    client.say("later").await;
    assert_eq!(client.answer().await.body, b"later");
    assert_eq!(tasks(), before + 1);
}
