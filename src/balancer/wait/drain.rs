//! Draining a member: [`Drain`], and its result: [`DrainOutcome`].
//!
//! Not here: which requests a draining member still gets (`snapshot`, and
//! the sessions of a pick), and waiting for a member that was removed at once (`drained`).

use std::fmt;
use std::future::{Future, Pending};
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::queue::Ticket;
use crate::balancer::editor::Editor;
use crate::balancer::shared::Shared;
use crate::balancer::{Balancer, DEFAULT_SOURCE, UnknownMember};
use crate::member::{Flag, MemberState};
use crate::snapshot::Seat;

impl<W> Balancer<W> {
    /// Drains a member, as an operator does, and waits until none of its requests is in
    /// flight.
    ///
    /// The member drains from this call on, not from the first poll: it gets no more
    /// requests except those of its sessions. This is an override, as by
    /// [`set_flag`](Self::set_flag) with [`Flag::Draining`]. The future has two options:
    ///
    /// * [`release_sessions_after`](Drain::release_sessions_after): after a deadline, its
    ///   sessions are served by other members, too.
    /// * [`then_remove`](Drain::then_remove): the member is removed at the end.
    ///
    /// It resolves the first time that nothing is in flight. A session whose requests
    /// arrive one by one may be served by the member once more after that, unless the
    /// member is removed.
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no member of that name; nothing is changed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the member in its present state until
    /// [`clear_flag`](Self::clear_flag) or [`clear_overrides`](Self::clear_overrides): it
    /// keeps draining, or is disabled if the deadline has passed. After the drop, neither
    /// the deadline nor the removal takes effect, because both happen in a poll.
    ///
    /// # Examples
    ///
    /// Five minutes for the sessions, then the rest of their requests, but at most ten
    /// minutes in all:
    ///
    /// ```
    /// use equipoise::balancer::DrainOutcome;
    /// use equipoise::{Balancer, PickRequest};
    /// use std::time::Duration;
    /// use tokio::time::{sleep, timeout};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// assert_eq!(lease.member().name(), "a");
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// let sessions = sleep(Duration::from_secs(300));
    /// let drain = balancer.drain("a")?.release_sessions_after(sessions).then_remove();
    /// # drop(lease);
    /// match timeout(Duration::from_secs(600), drain).await {
    ///     Ok(DrainOutcome::Removed) => println!("a can be stopped"),
    ///     Ok(end) => println!("a is still there: {end}"),
    ///     Err(_) => println!("a still has {} in flight", balancer.member("a").unwrap().in_flight()),
    /// }
    /// # assert!(balancer.member("a").is_none());
    /// # Ok::<(), equipoise::UnknownMember>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self, name: &str) -> Result<Drain<W>, UnknownMember> {
        let editor = self.core.editor.lock();
        let unknown = || UnknownMember { name: name.into() };
        let seat = editor.seat(name).ok_or_else(unknown)?.clone();
        self.override_flag(&seat, Flag::Draining, editor);
        Ok(Drain {
            watch: ChangeWatch::new(self.core.shared.clone()),
            balancer: self.clone(),
            state: seat.state.clone(),
            deadline: None,
            removes: false,
        })
    }

    fn override_flag(
        &self,
        seat: &Seat,
        flag: Flag,
        mut editor: impl DerefMut<Target = Editor<W>>,
    ) {
        let overrides = seat.overrides().with_flag(flag);
        let changed = editor.respecify(seat, seat.source(), overrides);
        self.publish_if(changed, editor);
    }

    /// Disables a member, if it exists and drains, so that its sessions go to others.
    fn release_sessions(&self, state: &Arc<MemberState>) {
        let editor = self.core.editor.lock();
        if let (DrainState::Draining, Some(seat)) = drain_state(editor.seat(state.name()), state) {
            let seat = seat.clone();
            self.override_flag(&seat, Flag::Disabled, editor);
        }
    }

    /// Removes a member if it exists and drains; returns its state before.
    fn remove_draining(&self, state: &Arc<MemberState>) -> DrainState {
        let mut editor = self.core.editor.lock();
        let (found, seat) = drain_state(editor.seat(state.name()), state);
        let seat = seat.filter(|seat| may_be_removed(seat));
        if let (DrainState::Draining, Some(seat)) = (found, seat) {
            let seat = seat.clone();
            editor.remove(&seat, seat.overrides());
            let after = editor.publish_change(&self.core.view);
            drop(editor);
            self.core.settle(after);
            return DrainState::Removed;
        }
        found
    }
}

/// A drain does not remove a member of another source, as that source would insert it
/// again.
fn may_be_removed(seat: &Arc<Seat>) -> bool {
    **seat.owner == *DEFAULT_SOURCE
}

/// The state of a member that is being drained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DrainState {
    Draining,
    Removed,
    Resumed,
}

/// Returns the state of a draining member, if `seat` has its name or its slot, and its seat
/// if it has one.
fn drain_state<'s>(
    seat: Option<&'s Arc<Seat>>,
    state: &Arc<MemberState>,
) -> (DrainState, Option<&'s Arc<Seat>>) {
    let seat = seat.filter(|seat| Arc::ptr_eq(&seat.state, state));
    let drain = match seat {
        None => DrainState::Removed,
        Some(_) if state.status().contains(Flag::Draining) => DrainState::Draining,
        Some(_) => DrainState::Resumed,
    };
    (drain, seat)
}

pin_project! {
    /// Resolves when none of a draining member's requests is in flight; created by
    /// [`Balancer::drain`].
    ///
    /// `D` is the deadline of its sessions.
    #[must_use = "the member drains, but nothing waits for its end"]
    pub struct Drain<W, D = Pending<()>> {
        watch: ChangeWatch,
        balancer: Balancer<W>,
        state: Arc<MemberState>,
        // `None` when it has passed, or if there is none.
        #[pin]
        deadline: Option<D>,
        removes: bool,
    }
}

impl<W, D> Drain<W, D> {
    /// Releases the member's sessions to other members when `deadline` resolves: the member
    /// is disabled then, also by an override. From then on it gets no new requests at all,
    /// and the future continues until those in flight have ended.
    ///
    /// A session that must not fail over
    /// ([`with_no_failover`](crate::PickRequest::with_no_failover)) is refused from then
    /// on.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
    /// use std::future;
    /// use std::time::Duration;
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", (), MemberSpec::new().with_route("a"))
    ///     .member("b", (), MemberSpec::new().with_route("b"))
    ///     .build()?;
    /// let session = PickRequest::new().with_session(Some("a"));
    /// let lease = balancer.pick(&session)?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// let drain = balancer.drain("a")?.release_sessions_after(future::ready(()));
    /// let again = balancer.pick(&session)?;
    /// assert_eq!(again.member().name(), "a"); // nothing has polled the deadline yet
    ///
    /// let patience = Duration::from_millis(1);
    /// assert!(tokio::time::timeout(patience, drain).await.is_err()); // two are in flight
    /// assert_eq!(balancer.pick(&session)?.member().name(), "b");
    /// # drop((lease, again));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_sessions_after<D2>(self, deadline: D2) -> Drain<W, D2>
    where
        D2: Future<Output = ()>,
    {
        Drain {
            watch: self.watch,
            balancer: self.balancer,
            state: self.state,
            deadline: Some(deadline),
            removes: self.removes,
        }
    }

    /// Removes the member when nothing is in flight, and resolves to
    /// [`DrainOutcome::Removed`].
    ///
    /// A member of another [source](Balancer::source) is not removed, because that source
    /// would insert it again: then the result is [`DrainOutcome::Emptied`], and its source
    /// may remove it. A member that was removed and inserted again meanwhile, and still
    /// drains, is removed, too.
    ///
    /// If a request of a session arrives at the last moment, the removal waits for it.
    /// Overrides stay with the name, as after every removal: a member that is inserted
    /// under it drains, until [`clear_overrides`](Balancer::clear_overrides).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::balancer::DrainOutcome;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// assert_eq!(balancer.drain("a")?.then_remove().await, DrainOutcome::Removed);
    /// assert!(balancer.member("a").is_none());
    /// # Ok::<(), equipoise::UnknownMember>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn then_remove(mut self) -> Self {
        self.removes = true;
        self
    }
}

impl<W, D> Future for Drain<W, D>
where
    D: Future<Output = ()>,
{
    type Output = DrainOutcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<DrainOutcome> {
        let mut this = self.project();
        let (balancer, state) = (&*this.balancer, &*this.state);
        // Register first, then check: a change in between is seen by one of the two.
        this.watch.begin(context.waker());
        let is_empty = || state.in_flight() == 0;
        let view = balancer.core.view.load();
        let (mut found, seat) = drain_state(view.picture.roster.seat(state.id().slot()), state);
        let mut removes = *this.removes && seat.is_some_and(may_be_removed);
        drop(view);
        if found == DrainState::Draining && removes && is_empty() {
            found = balancer.remove_draining(state);
            removes = false;
        }
        let end = match found {
            DrainState::Resumed => Some(DrainOutcome::Resumed),
            DrainState::Removed => is_empty().then_some(DrainOutcome::Removed),
            DrainState::Draining if !removes && is_empty() => Some(DrainOutcome::Emptied),
            DrainState::Draining => None,
        };
        if let Some(end) = end {
            this.watch.end();
            return Poll::Ready(end);
        }
        let deadline = this.deadline.as_mut().as_pin_mut();
        if deadline.is_some_and(|deadline| deadline.poll(context).is_ready()) {
            this.deadline.set(None);
            // If that is a change, it wakes this task.
            balancer.release_sessions(state);
        }
        Poll::Pending
    }
}

impl<W, D> fmt::Debug for Drain<W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("member", &self.state.name())
            .field("in_flight", &self.state.in_flight())
            .field("removes", &self.removes)
            .finish_non_exhaustive()
    }
}

/// The result of a [`Drain`].
///
/// # Examples
///
/// ```
/// use equipoise::balancer::DrainOutcome;
/// use equipoise::{Balancer, Flag};
///
/// let balancer = Balancer::new([("a", ())])?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// assert_eq!(balancer.drain("a")?.await, DrainOutcome::Emptied);
///
/// let drain = balancer.drain("a")?;
/// balancer.clear_flag("a", Flag::Draining)?;
/// assert_eq!(drain.await, DrainOutcome::Resumed);
/// # Ok::<(), equipoise::UnknownMember>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum DrainOutcome {
    /// Nothing is in flight, and the member keeps draining.
    Emptied,
    /// The member was removed, by the drain or by another call, and nothing is in flight.
    Removed,
    /// Another call has ended the draining: the member exists and may get requests again.
    /// If the deadline has passed, it is still disabled.
    Resumed,
}

impl fmt::Display for DrainOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Emptied => "it drains, and nothing is in flight",
            Self::Removed => "it was removed, and nothing is in flight",
            Self::Resumed => "it no longer drains",
        })
    }
}

/// A place in the list of watchers, which is given up at the end or on drop.
struct ChangeWatch {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

impl ChangeWatch {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ticket: None,
        }
    }

    fn begin(&mut self, waker: &Waker) {
        self.ticket = Some(self.shared.watch(self.ticket, waker));
    }

    fn end(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.unwatch(ticket);
        }
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        self.end();
    }
}
