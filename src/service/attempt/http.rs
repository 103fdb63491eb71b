//! An HTTP request: a head that can be sent again, a body that may be kept, and a response
//! whose body holds the lease.

use std::marker::PhantomData;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::exchange::{Judgement, Served, ServiceExchange, ServiceSettings, Unsendable};
use super::kept_head::KeptHead;
use super::marks::FreshConnection;
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

/// What all requests of a service share.
pub(in crate::service) struct HttpShared<W> {
    pub(in crate::service) balancer: Balancer<W>,
    pub(in crate::service) settings: HttpSettings,
}

/// An HTTP request; `D` is the dispatch to the member, `K` the kept body.
pub(in crate::service) struct HttpExchange<W, D, K> {
    shared: Arc<HttpShared<W>>,
    kept: K,
    head: KeptHead,
    facts: Option<BoxFacts>,
    method: ResponseTo,
    idempotent: bool,
    /// The response names its member in its extensions.
    announces: bool,
    way: PhantomData<fn() -> D>,
}

/// How the method of a request determines the body of its response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ResponseTo {
    Head,
    Connect,
    Other,
}

impl ResponseTo {
    fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

impl<W, D, K> HttpExchange<W, D, K> {
    pub(in crate::service) fn new(
        shared: Arc<HttpShared<W>>,
        head: Parts,
        kept: K,
        announces: bool,
    ) -> Self {
        let marked = || head.extensions.get::<Idempotent>().is_some();
        Self {
            idempotent: is_idempotent(&head.method) || marked(),
            facts: shared.settings.affinity.read_facts(&head),
            kept,
            shared,
            method: ResponseTo::of(&head.method),
            head: KeptHead::Whole(head),
            announces,
            way: PhantomData,
        }
    }
}

impl<W, D, K, RB, E> ServiceExchange<W> for HttpExchange<W, D, K>
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
        &self.shared.settings.common
    }

    fn balancer(&self) -> &Balancer<W> {
        &self.shared.balancer
    }

    #[inline]
    fn pick<T>(&mut self, then: impl FnOnce(&Balancer<W>, PickRequest<'_>) -> T) -> T {
        let HttpShared { balancer, settings } = &*self.shared;
        let facts = self.facts.as_deref();
        match self.head.whole() {
            Some(head) => {
                let then = |pick: PickRequest<'_>| then(balancer, pick);
                settings.affinity.pick(balancer, head, facts, then)
            }
            None => then(balancer, PickRequest::new()),
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
        !self.head.is_gone() && self.kept.is_available()
    }

    fn is_shareable(&self) -> bool {
        !self.head.is_gone() && self.kept.is_shareable()
    }

    #[inline]
    fn request(
        &mut self,
        lease: &mut Lease<W>,
        last: bool,
        fresh: bool,
    ) -> Result<Request<K::Body>, Unsendable> {
        let HttpSettings {
            affinity,
            extensions,
            ..
        } = &self.shared.settings;
        let head = self.head.next(last, *extensions);
        let mut head = head.ok_or(Unsendable::BodyGone)?;
        if fresh {
            head.extensions.insert(FreshConnection::new());
        }
        affinity.strip(&mut head.headers);
        D::rewrite(lease, &mut head).map_err(Unsendable::Rewrite)?;
        let body = self.kept.next(|| lease.sent_meter());
        let body = body.ok_or(Unsendable::BodyGone)?;
        Ok(Request::from_parts(head, body))
    }

    fn judge(&self, response: &Response<RB>) -> Judgement {
        let common = &self.shared.settings.common;
        let failover = &common.failover;
        let status = response.status();
        Judgement {
            outcome: common.classify.response(status, response.headers()),
            put_in_error: failover.fail_on.contains(&status),
            retry: failover.retry_on.contains(&status),
            status: Some(status.as_u16()),
        }
    }

    #[inline]
    fn respond(&mut self, served: Served<Response<RB>, W>) -> Response<LeasedBody<RB>> {
        let HttpShared { balancer, settings } = &*self.shared;
        let lease = served.lease;
        let (mut head, body) = served.response.into_parts();
        if served.renew {
            let (affinity, headers) = (&settings.affinity, &mut head.headers);
            affinity.renew(balancer, lease.member(), lease.route(), headers);
        }
        if self.announces {
            if head.extensions.is_empty() {
                // The extensions of the request are not needed any more; their allocation
                // is reused.
                head.extensions = self.head.take_extensions();
                head.extensions.clear();
            }
            head.extensions.insert(ServedBy {
                member: lease.name_handle().clone(),
                route: lease.route_handle().cloned(),
                attempts: served.attempts,
                session: lease.session(),
            });
        }
        let mut guard = Some(lease.into_guard());
        let over = self.method == ResponseTo::Head || has_no_body(head.status);
        let connected = self.method == ResponseTo::Connect && head.status.is_success();
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

/// RFC 9110, 15.3.5 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
