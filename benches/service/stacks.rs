//! What can stand in front of the service that does nothing: this crate's services, in
//! the ways in which they can be set up, and tower's balancer.

use std::fmt::Debug;
use std::hint::black_box;

use bytes::Bytes;
use equipoise::service::{
    BalanceLayer, BalanceService, BufferUpTo, Counted, Failover, PassThrough, RouteCookie,
};
use equipoise::{Balancer, MemberSpec, StickySession};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{Layer, Service, ServiceExt};

use crate::noop::{COOKIE_NAME, Noop, Template, Traffic};

/// So many members.
const MEMBERS: usize = 3;

/// What stands in front.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stack {
    Bare,
    Buffered,
    Cookie,
    Layer,
    Once,
    Over,
    PassThrough,
    Sticky,
    TowerAlone,
    TowerBuffered,
}

impl Stack {
    pub(crate) const ALL: [Self; 10] = [
        Self::Bare,
        Self::Over,
        Self::Layer,
        Self::Once,
        Self::PassThrough,
        Self::Buffered,
        Self::Sticky,
        Self::Cookie,
        Self::TowerAlone,
        Self::TowerBuffered,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "nothing",
            Self::Buffered => "`BalanceLayer`, `BufferUpTo`",
            Self::Cookie => "`BalanceLayer`, sticky with `RouteCookie`",
            Self::Layer => "`BalanceLayer`",
            Self::Once => "`BalanceLayer`, one attempt",
            Self::Over => "`BalanceService::over`",
            Self::PassThrough => "`BalanceLayer`, `PassThrough`",
            Self::Sticky => "`BalanceLayer`, sticky",
            Self::TowerAlone => "tower p2c",
            Self::TowerBuffered => "tower p2c behind Buffer",
        }
    }

    /// Whether this traffic brings what it needs.
    pub(crate) fn suits(self, traffic: Traffic) -> bool {
        let sticky = matches!(self, Self::Cookie | Self::Sticky);
        !sticky || traffic != Traffic::NoHeaders
    }

    pub(crate) fn build(self, traffic: Traffic) -> Box<dyn Serve> {
        let noop = Noop::of(traffic);
        match self {
            Self::Bare => driven(traffic, || noop),
            Self::Buffered => {
                let layer = layer().request_body(BufferUpTo(64 << 10));
                driven(traffic, || layer.layer(noop))
            }
            Self::Cookie => {
                let layer = layer().sticky_with_cookie(session(), RouteCookie::new());
                driven(traffic, || layer.layer(noop))
            }
            Self::Layer => driven(traffic, || layer().layer(noop)),
            Self::Once => {
                let layer = layer().failover(Failover::new().with_max_attempts(1));
                driven(traffic, || layer.layer(noop))
            }
            Self::Over => driven(traffic, || BalanceService::over(balancer(|_| noop.clone()))),
            Self::PassThrough => {
                let layer = layer().request_body(PassThrough::default());
                driven(traffic, || layer.layer(noop))
            }
            Self::Sticky => {
                let layer = layer().sticky(session());
                driven(traffic, || layer.layer(noop))
            }
            Self::TowerAlone => driven(traffic, || p2c(noop)),
            Self::TowerBuffered => driven(traffic, || Buffer::new(p2c(noop), 1_024)),
        }
    }
}

fn session() -> StickySession {
    StickySession::new(COOKIE_NAME).expect("a name")
}

/// A layer over addresses.
fn layer() -> BalanceLayer<Uri, Counted> {
    BalanceLayer::new(balancer(|index| {
        let address = format!("http://10.0.0.{index}:8080");
        address.parse().expect("an address")
    }))
}

fn balancer<W: Send + Sync + 'static>(member: impl Fn(usize) -> W) -> Balancer<W> {
    let members = (1..=MEMBERS).map(|index| {
        let spec = MemberSpec::new().with_route(format!("r{index}"));
        (format!("m{index}"), member(index), spec)
    });
    let balancer = Balancer::builder().seed(7).members(members).build();
    balancer.expect("unique names")
}

type Tower = Balance<PendingRequestsDiscover<ServiceList<Vec<Noop>>>, Request<Full<Bytes>>>;

fn p2c(noop: Noop) -> Tower {
    let members = vec![noop; MEMBERS];
    Balance::new(PendingRequestsDiscover::new::<Request<Full<Bytes>>>(
        ServiceList::new::<Request<Full<Bytes>>>(members),
        CompleteOnResponse::default(),
    ))
}

/// What requests can be sent through.
pub(crate) trait Serve: Send + Sync {
    /// Sends so many requests, one after the other, and reads each answer to its end.
    fn serve(&self, requests: u64);
}

/// A service on a runtime of one thread, and the request that it is sent.
struct Driven<S> {
    service: Mutex<(Runtime, S)>,
    template: Template,
}

fn driven<S, B>(traffic: Traffic, service: impl FnOnce() -> S) -> Box<dyn Serve>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Send + 'static,
    B: Body<Data = Bytes, Error: Debug> + Unpin,
{
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime of one thread");
    let service = {
        let _entered = runtime.enter();
        service()
    };
    Box::new(Driven {
        service: Mutex::new((runtime, service)),
        template: Template::of(traffic, "r1"),
    })
}

impl<S, B> Serve for Driven<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Send,
    B: Body<Data = Bytes, Error: Debug> + Unpin,
{
    fn serve(&self, requests: u64) {
        let (runtime, service) = &mut *self.service.lock();
        runtime.block_on(async {
            for _ in 0..requests {
                let ready = service.ready().await.expect("always ready");
                let answer = ready.call(self.template.request()).await;
                let mut body = black_box(answer.expect("never fails")).into_body();
                while !body.is_end_stream() {
                    let frame = body.frame().await;
                    drop(black_box(frame.transpose().expect("never fails")));
                }
            }
        });
    }
}
