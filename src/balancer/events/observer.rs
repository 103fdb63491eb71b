//! What receives events: [`Observer`].

use std::sync::Arc;

use super::{Event, Interest};

/// Receives the events of a balancer.
///
/// A closure that takes an [`Event`] is an observer of all events.
///
/// # Contract
///
/// * Events are delivered on the thread of the request or of the change, after it is
///   complete and outside every lock of the crate. So an observer may call the balancer,
///   add and drop observers, and drop its own [`ObserverGuard`](super::ObserverGuard).
/// * It should be quick: the request waits for it.
/// * If it panics, all other observers are called first; then the panic continues into the
///   caller of the balancer. No count is lost. While the thread is panicking already, the
///   panic of an observer is dropped.
/// * Calls of the balancer from [`observe`](Self::observe) cause events too. An observer
///   that causes an event for each event does not end.
/// * An observer that acts on its balancer should hold a
///   [`WeakBalancer`](crate::balancer::WeakBalancer): the balancer owns its observers, and
///   a strong handle would keep both alive for ever.
///   strong handle would keep both alive for ever.
///
/// # Examples
///
/// Counting failures by their cause:
///
/// ```
/// use equipoise::balancer::events::{EventKind, Interest};
/// use equipoise::{Balancer, Event, Observer, Outcome, PickRequest};
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Failures(Mutex<BTreeMap<String, u32>>);
///
/// impl Observer for Failures {
///     fn observe(&self, event: &Event<'_>) {
///         let EventKind::Ended(ended) = event.kind else { return };
///         if let (Outcome::Failure, Some(cause)) = (ended.outcome, &ended.cause) {
///             *self.0.lock().unwrap().entry(cause.to_string()).or_default() += 1;
///         }
///     }
///
///     fn interest(&self) -> Interest {
///         Interest::ENDED
///     }
/// }
/// let failures = Arc::new(Failures::default());
/// let balancer = Balancer::builder()
///     .observer(failures.clone())
///     .member("a", (), Default::default())
///     .build()?;
/// balancer.pick(&PickRequest::new())?.fail("disk full");
/// assert_eq!(failures.0.lock().unwrap()["disk full"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    fn observe(&self, event: &Event<'_>);

    /// Returns the events that it wants. It is called once, when the observer is added.
    fn interest(&self) -> Interest {
        Interest::ALL
    }
}

const _: Option<&dyn Observer> = None;

impl<F> Observer for F
where
    F: Fn(&Event<'_>) + Send + Sync + 'static,
{
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// A shared observer, so that its owner can read it later.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }

    fn interest(&self) -> Interest {
        (**self).interest()
    }
}
