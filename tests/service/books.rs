//! An observer that keeps what the tests ask for: how requests ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::{Balancer, Event, Observer, Outcome};

/// How a request ended, at whom, with so many bytes sent and received.
pub(crate) type End = (String, Outcome, u64, u64);

#[derive(Clone, Debug, Default)]
pub(crate) struct Books(Arc<Mutex<Vec<End>>>);

impl Books {
    /// What ended since the last look.
    pub(crate) fn take(&self) -> Vec<End> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// What ended since the last look, once something has.
    pub(crate) async fn wait(&self) -> Vec<End> {
        eventually(|| !self.0.lock().unwrap().is_empty()).await;
        self.take()
    }
}

impl Observer for Books {
    fn observe(&self, event: &Event<'_>) {
        let (EventKind::Ended(ended), Some(member)) = (event.kind, event.member) else {
            return;
        };
        let end = (
            member.name().to_owned(),
            ended.outcome,
            ended.bytes_sent,
            ended.bytes_received,
        );
        self.0.lock().unwrap().push(end);
    }

    fn interest(&self) -> Interest {
        Interest::ENDED
    }
}

/// Waits until something is so: for what happens on other tasks and sockets.
pub(crate) async fn eventually(mut so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to pass within ten seconds");
}

pub(crate) fn in_flight<W>(balancer: &Balancer<W>) -> u32 {
    let members = balancer.members();
    members.iter().map(|member| member.in_flight()).sum()
}
