//! Clients that end their side of the connection and wait for the answer on the other, and
//! those that are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::client::rest;
use super::front::Front;
use super::unix::Folder;
use super::{eventually, within};

/// A service that answers when it may, and tells how many requests it is at.
struct Slow {
    front: Front,
    begun: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
}

/// A request that the service is at.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Slow {
    fn start(listener: Listener, server: Server) -> Self {
        let (begun, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let inside = Arc::new(AtomicUsize::new(0));
        let (begins, ends, count) = (begun.clone(), may_end.clone(), inside.clone());
        let slow = service_fn(move |request: Request<ClientBody>| {
            let (begins, ends) = (begins.clone(), ends.clone());
            count.fetch_add(1, SeqCst);
            let inside = Inside(count.clone());
            async move {
                let _inside = inside;
                let read = request.uri().path() != "/unread";
                let body = request.into_body();
                let text = if read {
                    let body = body.collect().await.map_err(|error| error.to_string())?;
                    String::from_utf8(body.to_bytes().to_vec()).unwrap()
                } else {
                    String::new()
                };
                begins.add_permits(1);
                ends.acquire().await.unwrap().forget();
                Ok::<_, String>(Response::new(format!("late {text}")))
            }
        });
        Self {
            front: Front::on(listener, server, slow),
            begun,
            may_end,
            inside,
        }
    }

    fn on_tcp(server: Server) -> Self {
        Self::start(Listener::bind(([127, 0, 0, 1], 0).into()).unwrap(), server)
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.front.address).await.unwrap()
    }

    async fn has_begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }

    /// Waits until no request is in it any more.
    async fn is_empty(&self) {
        eventually(|| self.inside.load(SeqCst) == 0).await;
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
const UNREAD: &[u8] = b"POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_client_that_ends_its_side_after_a_whole_request_is_answered() {
    within(async {
        let slow = Slow::on_tcp(Server::new());
        for (request, text) in [(GET, "late "), (POST, "late hello"), (UNREAD, "late ")] {
            let mut client = slow.client().await;
            client.write_all(request).await.unwrap();
            client.shutdown().await.unwrap();
            slow.has_begun().await;
            sleep(Duration::from_millis(30)).await;
            slow.may_end.add_permits(1);
            let told = rest(&mut client).await;
            assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
            assert!(told.ends_with(text), "{told}");
        }
        assert_eq!(slow.front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn all_requests_that_it_has_sent_before_are_answered() {
    within(async {
        let slow = Slow::on_tcp(Server::new());
        let mut client = slow.client().await;
        client.write_all(&[GET, POST, GET].concat()).await.unwrap();
        client.shutdown().await.unwrap();
        slow.may_end.add_permits(3);
        let told = rest(&mut client).await;
        assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 3, "{told}");
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn so_it_is_on_a_unix_socket() {
    within(async {
        let folder = Folder::new("half-close");
        let path = folder.path("front.sock");
        let slow = Slow::start(Listener::unix(&path).unwrap(), Server::new());
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(&[POST, GET].concat()).await.unwrap();
        client.shutdown().await.unwrap();
        slow.has_begun().await;
        slow.may_end.add_permits(2);
        let told = rest(&mut client).await;
        assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 2, "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_reset_ends_the_request_at_once_before_that_and_after() {
    within(async {
        let slow = Slow::on_tcp(Server::new().half_close_timeout(Duration::from_secs(600)));
        for request in [GET, POST, UNREAD] {
            for ended in [false, true] {
                let mut client = slow.client().await;
                client.write_all(request).await.unwrap();
                slow.has_begun().await;
                if ended {
                    client.shutdown().await.unwrap();
                    sleep(Duration::from_millis(30)).await;
                }
                client.set_zero_linger().unwrap();
                drop(client);
                slow.is_empty().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_request_of_a_client_that_has_ended_its_side_goes_on_for_so_long_and_no_longer() {
    within(async {
        let limit = Duration::from_millis(300);
        let slow = Slow::on_tcp(Server::new().half_close_timeout(limit));
        let mut client = slow.client().await;
        client.write_all(GET).await.unwrap();
        slow.has_begun().await;
        let began = Instant::now();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
        assert!(began.elapsed() >= limit.mul_f32(0.9));
        slow.is_empty().await;
    })
    .await;
}

#[tokio::test]
async fn without_that_time_the_end_of_its_side_is_the_end_of_its_request() {
    within(async {
        let slow = Slow::on_tcp(Server::new().half_close_timeout(Duration::ZERO));
        let mut client = slow.client().await;
        client.write_all(GET).await.unwrap();
        slow.has_begun().await;
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
        slow.is_empty().await;
    })
    .await;
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_request_is_an_error() {
    within(async {
        let slow = Slow::on_tcp(Server::new());
        let chunked =
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        for request in [&GET[..20], &POST[..POST.len() - 1], chunked] {
            let mut client = slow.client().await;
            client.write_all(request).await.unwrap();
            client.shutdown().await.unwrap();
            let told = rest(&mut client).await;
            assert!(!told.contains("200"), "{told}");
            slow.is_empty().await;
        }
    })
    .await;
}
