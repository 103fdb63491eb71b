//! A timer of our own, as a user of another runtime would write it; so the tests need no
//! feature.

use std::time::Duration;

use equipoise::timer::{Sleep, Timer};

#[derive(Debug)]
pub(crate) struct TestTimer;

impl Timer for TestTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[cfg(feature = "tokio")]
#[tokio::test(start_paused = true)]
async fn the_timer_of_tokio_does_the_same() {
    let start = tokio::time::Instant::now();
    equipoise::timer::TokioTimer::new()
        .sleep(Duration::from_secs(7))
        .await;
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}
