//! What becomes of connections before they have a target is counted.

use std::time::Duration;

use equipoise::forward::{GreetingLimits, NameRoutes, StreamRouter, StreamRule};
use tokio::io::AsyncWriteExt;

use super::front::{Front, hello, is_closed, target};
use crate::hello::{GREASE, Hello, SERVER_NAME, one_name};
use crate::tcp::front::{name_of, reset, soon};
use crate::within;

#[tokio::test]
async fn each_connection_counts_by_what_its_client_has_sent_first() {
    within(async {
        let limits = GreetingLimits::new().with_time(Duration::from_millis(500));
        let names = NameRoutes::new().name("a.test", target("a").await).unwrap();
        let router = StreamRouter::new()
            .greeting_limits(limits)
            .route_by_name(StreamRule::new(), names);
        let statistics = router.statistics();
        let front = Front::start(router);
        for _ in 0..2 {
            let mut stream = front.sending(&hello("a.test", &[])).await;
            assert_eq!(name_of(&mut stream).await, "a");
        }
        let long = Hello::with([
            (SERVER_NAME, one_name(b"a.test")),
            (GREASE, vec![0; 60_000]),
        ]);
        let malformed = b"\x16\x03\x01\x00\x05\x02\0\0\x01\0";
        is_closed(front.sending(&hello("b.test", &[])).await).await;
        is_closed(front.sending(malformed).await).await;
        is_closed(front.sending(b"\x16\x03").await).await;
        let mut stream = front.connect().await;
        // It may be reset while this goes on.
        let _ = stream.write_all(&long.bytes()).await;
        is_closed(stream).await;
        reset(front.sending(b"\x16\x03").await);
        let told = "connections: 2 routed, 1 without a target, 1 disconnected by the client, \
                    1 with a malformed hello, 1 with a hello that timed out, \
                    1 with a hello that is too long";
        soon(told, || statistics.to_string() == told).await;
    })
    .await;
}
