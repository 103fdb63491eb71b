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

/// Answers with its address at once, if it is ever ready.
pub(crate) struct Member {
    address: SocketAddr,
    is_ready: bool,
}

impl Service<u64> for Member {
    type Response = SocketAddr;
    type Error = Infallible;
    type Future = Ready<Result<SocketAddr, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.is_ready {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Ok(self.address))
    }
}

/// The members, all ready or every second one.
pub(crate) fn members(count: usize, all_ready: bool) -> ServiceList<Vec<Member>> {
    let members = (0..count).map(|index| Member {
        address: fleet::address(index),
        is_ready: all_ready || index % 2 == 0,
    });
    ServiceList::new::<u64>(members.collect())
}

pub(crate) type LeastPending = PendingRequestsDiscover<ServiceList<Vec<Member>>>;

fn least_pending(count: usize) -> Balance<LeastPending, u64> {
    Balance::new(PendingRequestsDiscover::new(
        members(count, true),
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
        let ready = service.ready().await.expect("a member is ready");
        black_box(ready.call(call).await.expect("never fails"));
    }
}

/// `Balance` alone; it takes `&mut self`, so that it serves one thread.
pub(crate) struct Alone<S>(Mutex<(Runtime, S)>);

impl Alone<Balance<LeastPending, u64>> {
    pub(crate) fn new(count: usize) -> Self {
        Self::over(|| least_pending(count))
    }
}

impl<S> Alone<S> {
    /// Runs a service that is made on the runtime.
    pub(crate) fn over(made: impl FnOnce() -> S) -> Self {
        let runtime = runtime();
        let service = {
            let _entered = runtime.enter();
            made()
        };
        Self(Mutex::new((runtime, service)))
    }
}

impl<S> Contender for Alone<S>
where
    S: Service<u64, Response = SocketAddr, Error = BoxError> + Send,
{
    fn run(&self, _: &mut Lane, picks: u64) {
        let (runtime, service) = &mut *self.0.lock();
        runtime.block_on(drive(service, picks));
    }
}

/// `Balance` behind `Buffer`, which makes it shareable; the worker and the one caller
/// take turns on one runtime.
pub(crate) struct Buffered(Mutex<(Runtime, Shared)>);

type Shared = Buffer<u64, <Balance<LeastPending, u64> as Service<u64>>::Future>;

impl Buffered {
    pub(crate) fn new(count: usize) -> Self {
        let runtime = runtime();
        let buffer = {
            let _entered = runtime.enter();
            Buffer::new(least_pending(count), 1024)
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
