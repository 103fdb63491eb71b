//! Clients over HTTP/2 that do their part badly when a server stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::h2::{self, Peer};
use super::line::within;

/// hyper waits for the acknowledgement of a PING before it says which stream is the last.
#[tokio::test]
async fn one_that_acknowledges_no_ping_holds_no_stop_up_after_its_last_answer() {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (ask, answers) = (asked.clone(), answer.clone());
    let late = service_fn(move |_: Request<ClientBody>| {
        let (ask, answers) = (ask.clone(), answers.clone());
        async move {
            ask.notify_one();
            answers.notified().await;
            Ok::<_, Infallible>(Response::new("late".to_owned()))
        }
    });
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = Server::new().drain_timeout(Duration::from_secs(60));
    let serving = tokio::spawn(server.serve(listener, late, async {
        stopped.await.unwrap_or_default();
    }));
    let mut client = Peer::on(TcpStream::connect(address).await.unwrap(), &[]).await;
    let stream = client.get("/").await;
    within(asked.notified()).await;
    stop.send(()).unwrap();
    assert!(client.wait_for(h2::GOAWAY, 0).await.is_some());
    // By then it has been looked at once, while it was busy.
    sleep(Duration::from_millis(1_500)).await;
    answer.notify_one();
    let began = Instant::now();
    assert_eq!(
        client.wait_for(h2::DATA, stream).await.unwrap().payload,
        b"late"
    );
    assert_eq!(within(serving).await.unwrap().cut(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
