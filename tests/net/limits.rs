//! How many connections there may be at once.

use std::time::Duration;

use equipoise::net::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::relay::{Serving, echo, returns};
use super::within;

#[tokio::test]
async fn a_client_beyond_the_limit_waits_until_a_place_is_free() {
    within(async {
        let front = Serving::start(Acceptor::new().max_connections(2), echo);
        let (mut one, mut two) = (front.connect().await, front.connect().await);
        returns(&mut one, "one").await;
        returns(&mut two, "two").await;
        let mut three = front.connect().await;
        three.write_all(b"x").await.unwrap();
        let mut back = [0];
        let early = timeout(Duration::from_millis(300), three.read(&mut back)).await;
        assert!(early.is_err(), "it was served beyond the limit");
        drop(one);
        three.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"x");
        returns(&mut two, "again").await;
    })
    .await;
}

#[tokio::test]
async fn a_task_that_panics_gives_its_place_back() {
    within(async {
        let front = Serving::start(Acceptor::new().max_connections(1), |accepted| async {
            let mut stream = accepted.into_stream();
            let first = stream.read_u8().await.unwrap();
            assert_eq!(first, b'a', "as it was asked to");
            stream.write_all(b"well").await.unwrap();
        });
        let mut bad = front.connect().await;
        bad.write_all(b"b").await.unwrap();
        assert_eq!(bad.read(&mut [0]).await.unwrap(), 0);
        let mut good = front.connect().await;
        good.write_all(b"a").await.unwrap();
        let mut got = String::new();
        good.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "well");
        assert_eq!(front.stop().await.unwrap().cut(), 0);
    })
    .await;
}
