//! Members that close connections on which a request is on its way: nobody has answered it,
//! so it is sent again, on a new connection, if doing it twice does no harm.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::BalanceLayer;
use equipoise::proxy::{EdgeLayer, Forwarding, ReverseProxy, Server};
use equipoise::service::{BufferUpTo, Failover, FreshConnection};
use http::{Method, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::client::{Client, asking, get};
use super::front::Front;
use super::member::{balancer, empty, endpoint, full};
use super::within;

/// When a member closes a connection that it has answered on.
#[derive(Clone, Copy, Debug)]
enum Closes {
    /// After so long, unless there is another request by then.
    After(Duration),
    /// With the next request, which it has read.
    OnTheNext,
}

/// A member that closes connections as it likes, and remembers what it was asked.
struct Closing {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Closing {
    async fn start(closes: Closes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let books = asked.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, closes, books.clone()));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    /// What it has read, answered or not.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, closes: Closes, asked: Arc<Mutex<Vec<String>>>) {
    let mut answered = false;
    loop {
        let request = match closes {
            Closes::After(delay) if answered => match timeout(delay, request(&mut stream)).await {
                Ok(request) => request,
                Err(_) => return,
            },
            _ => request(&mut stream).await,
        };
        let Some(request) = request else {
            return;
        };
        let is_head = request.starts_with("HEAD");
        asked.lock().unwrap().push(request);
        if answered && matches!(closes, Closes::OnTheNext) {
            return;
        }
        let body = if is_head { "" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        answered = true;
    }
}

/// The method and the target of a request, once it has come with its body.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next()?.rsplit_once(' ')?.0;
                return Some(line.to_owned());
            }
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// As it is by default, or as Apache does it; and whether the state machine attends to each
/// request from its beginning.
type Mode = (Failover, bool);

fn front(members: &[Closing], (failover, machine_first): Mode) -> Front {
    let members = members.iter().map(|member| endpoint(member.address));
    let balance = BalanceLayer::new(balancer(members)).failover(failover);
    let balance = if machine_first {
        balance.machine_first()
    } else {
        balance
    };
    let proxy = ReverseProxy::from_parts(balance, EdgeLayer::new(Forwarding::new()));
    Front::start(Server::new(), proxy)
}

fn modes() -> impl Iterator<Item = Mode> {
    let failovers = [
        Failover::new(),
        Failover::new().without_retries(),
        Failover::new().without_retries().with_max_attempts(1),
    ];
    failovers
        .into_iter()
        .flat_map(|failover| [false, true].map(|machine_first| (failover.clone(), machine_first)))
}

async fn members(count: usize, closes: Closes) -> Vec<Closing> {
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(Closing::start(closes).await);
    }
    members
}

#[tokio::test]
async fn an_idempotent_request_on_a_closed_connection_is_sent_again_on_a_new_one() {
    within(async {
        for mode in modes() {
            for count in [1, 2] {
                let members = members(count, Closes::OnTheNext).await;
                let front = front(&members, mode.clone());
                let mut client = Client::connect(front.address, Version::HTTP_11).await;
                for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
                    for _ in 0..4 {
                        let request = asking(method, "/").body(empty()).unwrap();
                        assert_eq!(client.ask(request).await.status, 200, "{method} {count}");
                    }
                }
                let asked: usize = members.iter().map(|member| member.asked().len()).sum();
                // But for the first of each member, each went out twice.
                assert_eq!(asked, 2 * 20 - count, "{mode:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_not_sent_again() {
    within(async {
        for mode in modes() {
            let members = members(1, Closes::OnTheNext).await;
            let front = front(&members, mode);
            let mut client = Client::connect(front.address, Version::HTTP_11).await;
            for expected in [200, 502, 200, 502] {
                let request = asking("POST", "/").body(full("order")).unwrap();
                assert_eq!(client.ask(request).await.status, expected);
            }
            assert_eq!(members[0].asked(), ["POST /"; 4]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_kept_is_sent_again_with_its_request() {
    within(async {
        let members = members(1, Closes::OnTheNext).await;
        let endpoints = members.iter().map(|member| endpoint(member.address));
        let balance = BalanceLayer::new(balancer(endpoints))
            .failover(Failover::new().without_retries())
            .request_body(BufferUpTo(1_024));
        let proxy = ReverseProxy::from_parts(balance, EdgeLayer::new(Forwarding::new()));
        let front = Front::start(Server::new(), proxy);
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        for _ in 0..4 {
            let request = asking("PUT", "/").body(full("state")).unwrap();
            assert_eq!(client.ask(request).await.status, 200);
        }
        // A connection whose upload has just ended may not be there yet for the next.
        assert!(members[0].asked().len() > 4, "some were sent again");
        // One that is too long to be kept is not. The connection of a `GET` is there at once.
        assert_eq!(client.ask(get("/")).await.status, 200);
        let request = asking("PUT", "/").body(full("x".repeat(2_000))).unwrap();
        assert_eq!(client.ask(request).await.status, 502);
    })
    .await;
}

#[tokio::test]
async fn a_new_connection_that_breaks_off_is_not_replaced_by_another() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Answers one request in all.
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                while request(&mut stream).await.is_some() {
                    *count.lock().unwrap() += 1;
                    if *count.lock().unwrap() > 1 {
                        break;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        let proxy = ReverseProxy::new(balancer([endpoint(address)]));
        let front = Front::start(Server::new(), proxy);
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        assert_eq!(client.ask(get("/")).await.status, 200);
        assert_eq!(client.ask(get("/")).await.status, 502);
        // The second on the old connection, and once on a new one.
        assert_eq!(*asked.lock().unwrap(), 3);
        accepting.abort();
    })
    .await;
}

#[tokio::test]
async fn a_request_can_ask_for_a_connection_of_its_own() {
    within(async {
        let members = members(1, Closes::OnTheNext).await;
        let member = endpoint(members[0].address).build().unwrap();
        for _ in 0..5 {
            let request = asking("POST", "/")
                .extension(FreshConnection::new())
                .body(full("order"))
                .unwrap();
            let answer = tower::ServiceExt::oneshot(member.clone(), request).await;
            let body = answer.unwrap().into_body();
            http_body_util::BodyExt::collect(body).await.unwrap();
        }
        assert_eq!(members[0].asked().len(), 5, "none was closed");
    })
    .await;
}

/// The race itself: the pause of the client and that of the member are of one length.
async fn race(count: usize, failover: Failover, requests: usize) -> usize {
    let delays = [2, 3, 4, 5].map(Duration::from_millis);
    let mut failed = 0;
    for delay in delays {
        let members = members(count, Closes::After(delay)).await;
        let front = front(&members, (failover.clone(), false));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let address = front.address;
            clients.push(tokio::spawn(async move {
                let mut failed = 0;
                let mut client = Client::connect(address, Version::HTTP_11).await;
                for turn in 0..requests / 16 {
                    // After an upload, a task of its own has the connection.
                    let upload = asking("POST", "/").body(full("order")).unwrap();
                    if turn % 4 == 0 {
                        client.ask(upload).await;
                    }
                    let request = asking("GET", "/").method(Method::GET);
                    let answer = client.ask(request.body(empty()).unwrap()).await;
                    failed += usize::from(answer.status != 200);
                    // Around the moment when the member closes.
                    sleep(delay + Duration::from_micros(turn as u64 * 37 % 1_000)).await;
                }
                failed
            }));
        }
        for client in clients {
            failed += client.await.unwrap();
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_get_fails_while_members_close_their_connections_at_the_same_moment() {
    for failover in [Failover::new(), Failover::new().without_retries()] {
        for count in [1, 2] {
            assert_eq!(race(count, failover.clone(), 320).await, 0, "{failover:?}");
        }
    }
}
