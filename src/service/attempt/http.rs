//! An HTTP request: a head that can be sent again, a body that may be kept, and a response
//! whose body holds the lease.

use std::marker::PhantomData;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::exchange::{Judgement, Served, ServiceExchange, ServiceSettings, Unsendable};
use crate::balancer::{Balancer, Lease, PickRequest};
use crate::service::affinity::{BoxFacts, HttpAffinity};
use crate::service::failover::{Idempotent, is_idempotent};
use crate::service::{BoxError, Dispatch, KeptBody, LeasedBody, ServedBy, UpgradeLease};

/// The settings of the HTTP service.
#[derive(Clone, Debug)]
pub(in crate::service) struct HttpSettings {
    pub(in crate::service) common: ServiceSettings,
    pub(in crate::service) affinity: HttpAffinity,
    /// Whether the extensions of requests are passed to members.
    pub(in crate::service) extensions: bool,
}

/// An HTTP request; `D` is the dispatch to the member, `K` the kept body.
pub(in crate::service) struct HttpExchange<D, K> {
    settings: Arc<HttpSettings>,
    /// As the client sent it; `None` if it is not needed again.
    head: Option<Parts>,
    kept: K,
    method: Method,
    idempotent: bool,
    facts: Option<BoxFacts>,
    way: PhantomData<fn() -> D>,
}

impl<D, K> HttpExchange<D, K> {
    pub(in crate::service) fn new(settings: Arc<HttpSettings>, head: Parts, kept: K) -> Self {
        let marked = head.extensions.get::<Idempotent>().is_some();
        Self {
            idempotent: marked || is_idempotent(&head.method),
            facts: settings.affinity.read_facts(&head),
            kept,
            settings,
            method: head.method.clone(),
            head: Some(head),
            way: PhantomData,
        }
    }
}

impl<W, D, K, RB, E> ServiceExchange<W> for HttpExchange<D, K>
where
    K: KeptBody,
    D: Dispatch<W, Request<K::Body>>,
    D::Service: Service<Request<K::Body>, Response = Response<RB>, Error = E>,
    RB: Body,
    E: Into<BoxError>,
{
    type Request = Request<K::Body>;
    type Service = D::Service;
    type Response = Response<RB>;
    type Error = E;
    type Held = D::Held;
    type Output = Response<LeasedBody<RB>>;

    const SHARED: bool = D::SHARED;
    const RECONNECTS: bool = true;

    fn settings(&self) -> &ServiceSettings {
        &self.settings.common
    }

    fn pick<T>(&self, balancer: &Balancer<W>, then: impl FnOnce(PickRequest<'_>) -> T) -> T {
        let facts = self.facts.as_deref();
        match &self.head {
            Some(head) => self.settings.affinity.pick(balancer, head, facts, then),
            None => then(PickRequest::new()),
        }
    }

    fn release(held: D::Held) -> D::Held {
        D::release(held)
    }

    fn first(held: D::Held, member: &W) -> D::Service {
        D::first(held, member)
    }

    fn after(used: D::Service, member: &W) -> D::Service {
        D::after(used, member)
    }

    fn beside(busy: &D::Service, member: &W) -> D::Service {
        D::beside(busy, member)
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn is_available(&self) -> bool {
        self.head.is_some() && self.kept.is_available()
    }

    fn is_shareable(&self) -> bool {
        self.head.is_some() && self.kept.is_shareable()
    }

    fn request(
        &mut self,
        lease: &mut Lease<W>,
        last: bool,
        fresh: bool,
    ) -> Result<Request<K::Body>, Unsendable> {
        let head = if last {
            self.head.take()
        } else if self.settings.extensions {
            self.head.clone()
        } else {
            self.head.as_ref().map(without_extensions)
        };
        let mut head = head.ok_or(Unsendable::BodyGone)?;
        self.settings.affinity.strip(&mut head.headers);
        if fresh {
            head.extensions.insert(FreshConnection::new());
        }
        D::rewrite(lease, &mut head).map_err(Unsendable::Rewrite)?;
        let body = self.kept.next(|| lease.sent_meter());
        let body = body.ok_or(Unsendable::BodyGone)?;
        Ok(Request::from_parts(head, body))
    }

    fn judge(&self, response: &Response<RB>) -> Judgement {
        let failover = &self.settings.common.failover;
        let status = response.status();
        Judgement {
            outcome: self
                .settings
                .common
                .classify
                .response(status, response.headers()),
            put_in_error: failover.fail_on.contains(&status),
            retry: failover.retry_on.contains(&status),
            status: Some(status.as_u16()),
        }
    }

    fn respond(
        &mut self,
        balancer: &Balancer<W>,
        served: Served<Response<RB>, W>,
    ) -> Response<LeasedBody<RB>> {
        let lease = served.lease;
        let (mut head, body) = served.response.into_parts();
        if served.renew {
            let (affinity, headers) = (&self.settings.affinity, &mut head.headers);
            affinity.renew(balancer, lease.member(), lease.route(), headers);
        }
        if head.extensions.is_empty() {
            // The extensions of the request are not needed any more; their allocation is
            // reused.
            let spare = self.head.as_mut().map(|head| &mut head.extensions);
            head.extensions = spare.map(std::mem::take).unwrap_or_default();
            head.extensions.clear();
        }
        head.extensions.insert(ServedBy {
            member: lease.name_handle().clone(),
            route: lease.route_handle().cloned(),
            attempts: served.attempts,
            session: lease.session(),
        });
        let mut guard = Some(lease.into_guard());
        let over = self.method == Method::HEAD || has_no_body(head.status);
        let connected = self.method == Method::CONNECT && head.status.is_success();
        if connected || head.status == StatusCode::SWITCHING_PROTOCOLS {
            if let Some(guard) = guard.take() {
                head.extensions.insert(UpgradeLease::new(guard));
            }
        }
        let judged = (served.outcome, head.status.as_u16());
        let body = LeasedBody::new(body, guard, judged, over);
        Response::from_parts(head, body)
    }
}

/// In the extensions of a request: its member gets the client's `Host`, although it has one
/// of its own.
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "only a configuration uses it")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostKept;

/// In the extensions of a request: it requires a connection to the member that has carried
/// no request before.
///
/// A `proxy::Endpoint` opens a new connection, and keeps it for later requests like any
/// other. Over HTTP/2, the request uses the shared connection, because HTTP/2 itself
/// reports which requests were not processed. The balancer adds this to requests that it
/// sends again after [a stale connection was
/// closed](crate::service::BalanceLayer::stale_if).
///
/// # Examples
///
/// ```
/// use equipoise::service::FreshConnection;
///
/// // Not to be sent twice, and not to fail for a connection that is about to be closed.
/// let request = http::Request::post("/orders")
///     .extension(FreshConnection::new())
///     .body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FreshConnection {
    _private: (),
}

impl FreshConnection {
    /// Creates the mark.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

fn without_extensions(head: &Parts) -> Parts {
    let (mut copy, ()) = Request::new(()).into_parts();
    copy.method = head.method.clone();
    copy.uri = head.uri.clone();
    copy.version = head.version;
    copy.headers = head.headers.clone();
    if let Some(&kept) = head.extensions.get::<HostKept>() {
        copy.extensions.insert(kept);
    }
    if let Some(&fresh) = head.extensions.get::<FreshConnection>() {
        copy.extensions.insert(fresh);
    }
    copy
}

/// RFC 9110, 15.3.5 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
