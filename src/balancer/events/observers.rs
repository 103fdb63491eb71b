//! The observers of one balancer, and delivering events to them: [`Observers`].
//!
//! Not here: the kinds of events (`event.rs`), and when they are reported.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::{Event, Interest, Observer};
use crate::balancer::attention::{
    Attention, ENDS_TIMED, ENDS_WANTED, HEADS_TIMED, HEADS_WANTED, PICKS_WANTED, TIMED,
};
use crate::sync::{AtomicU32, Mutex, Published, SeqCst};

struct Registered {
    number: u64,
    wants: Interest,
    observer: Box<dyn Observer>,
}

/// All observers, in the order in which they were added.
///
/// Events are delivered to a snapshot of the list; adding or removing an observer makes
/// another list.
pub(in crate::balancer) struct Observers {
    list: Published<Vec<Arc<Registered>>>,
    /// What any of them wants. SeqCst: written after the list when an observer is added, so
    /// that it receives what begins after [`add`](Self::add) has returned.
    wanted: AtomicU32,
    /// The number of the observer that was added last. Held while the list is replaced.
    last: Mutex<u64>,
}

impl Observers {
    pub(in crate::balancer) fn new() -> Self {
        Self {
            list: Published::new(Vec::new()),
            wanted: AtomicU32::new(0),
            last: Mutex::new(0),
        }
    }

    /// Returns whether an observer wants any of `what`.
    #[inline]
    pub(in crate::balancer) fn want(&self, what: Interest) -> bool {
        Interest::from_bits_retain(self.wanted.load(SeqCst)).intersects(what)
    }

    /// Adds an observer, and returns its number.
    pub(in crate::balancer) fn add(
        &self,
        observer: Box<dyn Observer>,
        attention: &Attention,
    ) -> u64 {
        let wants = observer.interest();
        let mut last = self.last.lock();
        *last += 1;
        let number = *last;
        let mut list = (**self.list.load()).clone();
        list.push(Arc::new(Registered {
            number,
            wants,
            observer,
        }));
        let former = self.replace(list, attention);
        drop(last);
        drop(former);
        number
    }

    /// Removes an observer, unless that was done before.
    pub(in crate::balancer) fn remove(&self, number: u64, attention: &Attention) {
        let last = self.last.lock();
        let mut list = (**self.list.load()).clone();
        list.retain(|registered| registered.number != number);
        let former = self.replace(list, attention);
        drop(last);
        // This may be the last handle of the observer, and its drop may call the balancer.
        drop(former);
    }

    /// Publishes a list, and returns the former one, to be dropped without a lock.
    fn replace(
        &self,
        list: Vec<Arc<Registered>>,
        attention: &Attention,
    ) -> Arc<Vec<Arc<Registered>>> {
        let both = |wanted: Interest, registered: &Arc<Registered>| wanted | registered.wants;
        let wanted = list.iter().fold(Interest::NONE, both);
        let former = self.list.swap(list);
        self.wanted.store(wanted.bits(), SeqCst);
        let heads_timed = wanted.contains(Interest::TIME_TO_HEAD);
        let ends_timed = wanted.contains(Interest::ELAPSED);
        let flags = [
            (PICKS_WANTED, wanted.intersects(Interest::PICK_EVENTS)),
            (ENDS_TIMED, ends_timed),
            (ENDS_WANTED, wanted.contains(Interest::ENDED)),
            (HEADS_TIMED, heads_timed),
            (HEADS_WANTED, wanted.contains(Interest::RESPONDED)),
            (TIMED, ends_timed || heads_timed),
        ];
        let chosen = |on| flags.iter().filter(move |(_, is)| *is == on);
        let all = |on| chosen(on).fold(0, |all, (flag, _)| all | flag);
        // All at once: if the pick of a request is reported, its other events are, too.
        attention.set(all(true), true);
        attention.set(all(false), false);
        former
    }

    /// Begins a delivery of events.
    pub(in crate::balancer) fn deliver(&self) -> EventDelivery<'_> {
        EventDelivery {
            observers: self,
            panic: None,
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("count", &self.list.load().len())
            .field(
                "wanted",
                &Interest::from_bits_retain(self.wanted.load(SeqCst)),
            )
            .finish_non_exhaustive()
    }
}

/// Delivers events one after the other. A panic of an observer is held back until the end,
/// so that all observers receive all events.
#[must_use = "a panic is resumed when the delivery ends"]
pub(in crate::balancer) struct EventDelivery<'o> {
    observers: &'o Observers,
    /// The first panic.
    panic: Option<Box<dyn Any + Send>>,
}

impl EventDelivery<'_> {
    /// Delivers one event to all observers that want it.
    pub(in crate::balancer) fn event(&mut self, event: &Event<'_>) {
        let wants = event.kind.interest();
        for registered in self.observers.list.load().iter() {
            if registered.wants.contains(wants) {
                let call = AssertUnwindSafe(|| registered.observer.observe(event));
                if let Err(panic) = catch_unwind(call) {
                    self.panic.get_or_insert(panic);
                }
            }
        }
    }

    /// Ends, and resumes the panic of an observer if there was one.
    pub(in crate::balancer) fn end(self) {
        if let Some(panic) = self.panic {
            // A second panic while the thread unwinds would end the process.
            if !std::thread::panicking() {
                resume_unwind(panic);
            }
        }
    }
}
