//! Events of a balancer, and what receives them: [`Event`], [`Observer`].
//!
//! ```text
//!  something happens ─► counters are updated, locks are released
//!                          │
//!                          ▼
//!            does an observer want it? ─── no ──► nothing else is done
//!                          │ yes (one atomic word is read)
//!                          ▼
//!            Event { balancer, generation, member, kind }
//!                          │
//!          ┌───────────────┼───────────────┐     in the order in which they were added;
//!          ▼               ▼               ▼     added and dropped at any time
//!      observer        observer        observer
//!   (a log line)      (a counter)   (acts on its balancer through a weak handle)
//!                          │
//!                          ▼
//!            the request or the change continues, or panics if an observer panicked
//! ```
//!
//! A request is reported as *picked*, then as *responded*, and as *ended*; a change of the
//! membership as *joined*, *left* or *changed*. An error of a member is reported as
//! *changed*; an ejection as *changed*, *ejected* and, at its end, *recovered*. Only
//! changes are reported as such: if a request fails at a member that is in error already,
//! only *ended* is reported.
//!
//! Not here: metrics, logs and traces. They are observers, and so is outlier
//! detection.
//!
//! # Examples
//!
//! An observer that acts on its balancer: it drains members that respond with 503.
//!
//! ```
//! use equipoise::balancer::WeakBalancer;
//! use equipoise::balancer::events::{EventKind, Interest};
//! use equipoise::{Balancer, Event, Flag, Observer, PickRequest};
//!
//! struct DrainOverloaded(WeakBalancer<()>);
//!
//! impl Observer for DrainOverloaded {
//!     fn observe(&self, event: &Event<'_>) {
//!         let answered = matches!(event.kind, EventKind::Responded { status: Some(503), .. });
//!         let (true, Some(member), Some(balancer)) = (answered, event.member, self.0.upgrade())
//!         else {
//!             return;
//!         };
//!         // It may have been removed meanwhile.
//!         let _ = balancer.set_flag(member.name(), Flag::Draining);
//!     }
//!
//!     fn interest(&self) -> Interest {
//!         Interest::RESPONDED
//!     }
//! }
//!
//! let balancer = Balancer::new([("a", ()), ("b", ())])?;
//! let observing = balancer.observe(DrainOverloaded(balancer.downgrade()));
//! let mut lease = balancer.pick(&PickRequest::new())?;
//! lease.record_head(Some(503));
//! assert!(lease.member().status().contains(Flag::Draining));
//! # drop(observing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod display;
mod event;
mod interest;
mod observer;
mod observer_guard;
mod observers;

pub use event::{Event, EventKind};
pub use interest::Interest;
pub use observer::Observer;
pub use observer_guard::ObserverGuard;

pub(super) use observer_guard::Registry;
pub(super) use observers::Observers;
