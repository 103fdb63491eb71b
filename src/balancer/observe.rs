//! Adding observers to a balancer, and reporting what happens to requests.
//!
//! Not here: the events themselves (`events`), the events of a change of the
//! membership (`after_change.rs`), and the end of a request (`epoch.rs`).

use std::sync::{Arc, Weak};

use super::events::{EventKind, Interest, Observer, ObserverGuard, Registry};
use super::lease::Lease;
use super::sessions::SessionKey;
use super::{Balancer, PickError, PickRequest};
use crate::member::MemberState;
use crate::session::{CookieRouteError, Session};

impl<W> Balancer<W> {
    /// Adds an observer, until the [`ObserverGuard`] is dropped.
    ///
    /// It receives the events of what begins after this has returned. Requests that began
    /// before have no times in their events, unless another observer or the scheduler
    /// wanted them.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Event, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let log = balancer.observe(|event: &Event<'_>| println!("{event}"));
    /// drop(balancer.pick(&PickRequest::new())?);
    /// drop(log);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&self, observer: impl Observer) -> ObserverGuard {
        let shared = &self.core.shared;
        let number = shared.observers.add(Box::new(observer), &shared.attention);
        let registry: Weak<dyn Registry> = Arc::downgrade(shared) as _;
        ObserverGuard::new(registry, number)
    }

    /// Reports a pick that found no member.
    #[cold]
    pub(crate) fn report_refused(&self, request: &PickRequest<'_>, error: &PickError) {
        if self.shared().observers.want(Interest::REFUSED) {
            let refused = EventKind::Refused {
                error,
                members: self.len(),
                tried: request.tried.len(),
            };
            self.report(None, refused);
        }
    }

    /// Reports that sessions cannot be kept at a member.
    pub(crate) fn report_not_kept(&self, member: &MemberState, why: &CookieRouteError) {
        self.report(Some(member), EventKind::SessionNotKept { why });
    }

    /// Reports that a request has joined the line.
    pub(super) fn report_waiting(&self) {
        let shared = self.shared();
        if shared.observers.want(Interest::WAITING) {
            let in_line = shared.waiting.in_line();
            self.report(None, EventKind::Waiting { in_line });
        }
    }

    /// Reports an event that belongs to the present picture.
    fn report(&self, member: Option<&MemberState>, kind: EventKind<'_>) {
        let shared = self.shared();
        if shared.observers.want(kind.interest()) {
            let event = shared.event(shared.generation(), member, kind);
            shared.report(event);
        }
    }

    /// Reports a pick; to be called without a lock.
    #[inline]
    pub(super) fn report_pick(&self, lease: &Lease<W>, request: &PickRequest<'_>) {
        if self.shared().reports_picks() {
            self.report_pick_events(lease, request);
        }
    }

    #[inline(never)]
    fn report_pick_events(&self, lease: &Lease<W>, request: &PickRequest<'_>) {
        let shared = self.shared();
        let mut delivery = shared.observers.deliver();
        let mut report = |kind| {
            delivery.event(&shared.event(lease.generation(), Some(lease.member()), kind));
        };
        let session = lease.session();
        report(EventKind::Picked { session });
        if session != Session::Off {
            let route = request.session_key.map(SessionKey::text);
            report(EventKind::Session { session, route });
        }
        if let Some(last) = request.tried.last() {
            let view = self.core.view.load();
            let from = view.picture.roster.seat(last.slot());
            let from = from.filter(|seat| seat.state.id() == *last);
            report(EventKind::FailedOver {
                from: from.map(|seat| &*seat.state),
                tried: request.tried.len(),
                cause: request.cause,
            });
        }
        delivery.end();
    }
}
