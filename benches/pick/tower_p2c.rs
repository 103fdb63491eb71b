//! tower's power of two choices over services that do nothing, alone and behind
//! `Buffer`, on a runtime of one thread.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{BoxError, Service, ServiceExt};

use crate::fleet;
use crate::lanes::{Contender, Lane};

/// Answers with its address at once.
struct Member(SocketAddr);

impl Service<u64> for Member {
    type Response = SocketAddr;
    type Error = Infallible;
    type Future = Ready<Result<SocketAddr, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Ok(self.0))
    }
}

type Balanced = Balance<PendingRequestsDiscover<ServiceList<Vec<Member>>>, u64>;

fn balance(count: usize) -> Balanced {
    let members: Vec<_> = (0..count)
        .map(|index| Member(fleet::address(index)))
        .collect();
    Balance::new(PendingRequestsDiscover::new(
        ServiceList::new::<u64>(members),
        CompleteOnResponse::default(),
    ))
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime of one thread")
}

/// Waits until the service is ready, calls it and awaits the answer, so many times.
async fn drive<S>(service: &mut S, calls: u64)
where
    S: Service<u64, Response = SocketAddr, Error = BoxError>,
{
    for call in 0..calls {
        let ready = service.ready().await.expect("always ready");
        black_box(ready.call(call).await.expect("never fails"));
    }
}

/// `Balance` alone; it takes `&mut self`, so that it serves one thread.
pub(crate) struct Alone(Mutex<(Runtime, Balanced)>);

impl Alone {
    pub(crate) fn new(count: usize) -> Self {
        Self(Mutex::new((runtime(), balance(count))))
    }
}

impl Contender for Alone {
    fn run(&self, _: &mut Lane, picks: u64) {
        let (runtime, balance) = &mut *self.0.lock();
        runtime.block_on(drive(balance, picks));
    }
}

/// `Balance` behind `Buffer`, which makes it shareable; the worker and the one caller
/// take turns on one runtime.
pub(crate) struct Buffered(Mutex<(Runtime, Shared)>);

type Shared = Buffer<u64, <Balanced as Service<u64>>::Future>;

impl Buffered {
    pub(crate) fn new(count: usize) -> Self {
        let runtime = runtime();
        let buffer = {
            let _entered = runtime.enter();
            Buffer::new(balance(count), 1024)
        };
        Self(Mutex::new((runtime, buffer)))
    }
}

impl Contender for Buffered {
    fn run(&self, _: &mut Lane, picks: u64) {
        let (runtime, buffer) = &mut *self.0.lock();
        runtime.block_on(drive(buffer, picks));
    }
}
