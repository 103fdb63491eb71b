//! Waiting for a member: [`PickWait`], for usable members: [`MembersReady`], for the end of
//! requests: [`Drain`] and [`Drained`].
//!
//! There is no timer here. A deadline is a future that the caller provides; timed changes
//! are applied by each pick and each poll.

mod drain;
mod drained;
mod keeper;
mod keepers;
mod queue;
mod registration;
mod wait_list;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use queue::Ticket;

use super::{Balancer, Lease, PickError, PickRequest};

pub use drain::{Drain, DrainOutcome};
pub use drained::Drained;
pub(crate) use keeper::{Expected, TimeKeeper};

pub(super) use keepers::Keepers;
pub(super) use wait_list::WaitList;

impl<W> Balancer<W> {
    /// Picks a member, and waits for one until `deadline` if there is none (Apache: the
    /// balancer's `timeout`, for one request at a time).
    ///
    /// Any number of requests may wait. They are served in the order in which they arrived,
    /// and a plain [`pick`](Self::pick) does not overtake them. They are woken when a
    /// member has room again and when the membership or a status changes. A request that
    /// has tried members, or that must be served by its session's member, waits beside the
    /// line and holds up no other request.
    ///
    /// A scheduler can withhold room: it returns
    /// [`Pick::AtCapacity`](crate::scheduler::Pick) although a member is below its cap. It
    /// must then need [`Needs::WAKE_ON_END`](crate::scheduler::Needs::WAKE_ON_END), so that
    /// waiting requests are also woken at every end of a request, and by
    /// [`wake_waiting`](Self::wake_waiting).
    ///
    /// If a member's recovery becomes due while nothing else picks, it is applied when this
    /// future is polled. Spawn [`run_timed_changes`](Self::run_timed_changes) once for the
    /// balancer, let the deadline's timer wake this future at
    /// [`next_timed_change`](Self::next_timed_change), or call
    /// [`apply_timed_changes`](Self::apply_timed_changes).
    ///
    /// # Errors
    ///
    /// As [`pick`](Self::pick), when `deadline` resolves. [`PickError::SessionLost`] is
    /// returned without waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: its place in line, and its turn if it had one,
    /// pass to the next request. A future that is kept but no longer polled holds up those
    /// behind it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    /// use std::time::Duration;
    ///
    /// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// let deadline = tokio::time::sleep(Duration::from_secs(2));
    /// let lease = balancer.pick_wait(&PickRequest::new(), deadline).await;
    /// assert_eq!(*lease.unwrap(), "10.0.0.1:80");
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick_wait<'r, D>(&self, request: &PickRequest<'r>, deadline: D) -> PickWait<'r, W, D>
    where
        D: Future<Output = ()>,
    {
        PickWait {
            deadline,
            request: *request,
            place: Waiter::new(self.clone()),
        }
    }

    /// Wakes waiting requests to check again whether a member can be picked: the first in
    /// line, the next one when that is served, and all that wait beside the line.
    ///
    /// Call it if a scheduler that withholds room now withholds less, without the end of a
    /// request or a change of the membership: for example after adding a token to a bucket.
    /// A scheduler must not call it, because a scheduler never calls its balancer. If no
    /// request waits, it costs one atomic load.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};
    /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
    /// use std::future;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// /// One token for each request.
    /// #[derive(Debug)]
    /// struct Tokens(Arc<AtomicU32>);
    ///
    /// impl Scheduler for Tokens {
    ///     fn name(&self) -> &'static str {
    ///         "tokens"
    ///     }
    ///
    ///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
    ///         let take = |tokens: u32| tokens.checked_sub(1);
    ///         match self.0.fetch_update(Relaxed, Relaxed, take) {
    ///             Ok(_) => candidates.claim_first(candidates.iter()),
    ///             Err(_) => Pick::AtCapacity,
    ///         }
    ///     }
    ///
    ///     fn needs(&self) -> Needs {
    ///         Needs::WAKE_ON_END
    ///     }
    /// }
    ///
    /// let tokens = Arc::new(AtomicU32::new(0));
    /// let balancer = Balancer::builder()
    ///     .scheduler(Tokens(tokens.clone()))
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// assert_eq!(balancer.pick(&PickRequest::new()).unwrap_err(), PickError::AtCapacity);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let other = balancer.clone();
    /// let waiting = balancer.pick_wait(&PickRequest::new(), future::pending());
    /// let refill = async {
    ///     tokens.fetch_add(1, Relaxed);
    ///     other.wake_waiting();
    /// };
    /// let (lease, ()) = tokio::join!(waiting, refill);
    /// assert_eq!(lease.unwrap().member().name(), "a");
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wake_waiting(&self) {
        self.shared().wake_after_change();
    }

    /// Waits until at least `members` members can take new work: they are usable and do not
    /// drain, in whatever tier or role. Caps do not matter; for 0 it resolves at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec};
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", (), MemberSpec::new())
    ///     .member("b", (), MemberSpec::new().with_flag(Flag::HotStandby))
    ///     .build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// balancer.wait_for_members(2).await; // and then begin to listen
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_members(&self, members: usize) -> MembersReady<W> {
        MembersReady {
            balancer: self.clone(),
            members,
            ticket: None,
        }
    }
}

pin_project! {
    /// Resolves to a lease, or to an error once its deadline has passed; created by
    /// [`Balancer::pick_wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, PickError, PickRequest};
    /// use std::future;
    ///
    /// let spec = MemberSpec::new().with_max_in_flight(1);
    /// let balancer = Balancer::builder().member("a", (), spec).build()?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// // A deadline that is over: one try, in turn.
    /// let late = balancer.pick_wait(&PickRequest::new(), future::ready(())).await;
    /// assert_eq!(late.unwrap_err(), PickError::AtCapacity);
    ///
    /// let patient = balancer.pick_wait(&PickRequest::new(), future::pending());
    /// drop(lease);
    /// assert_eq!(patient.await.unwrap().member().name(), "a");
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct PickWait<'r, W, D> {
        #[pin]
        deadline: D,
        request: PickRequest<'r>,
        place: Waiter<W>,
    }
}

impl<W, D> Future for PickWait<'_, W, D>
where
    D: Future<Output = ()>,
{
    type Output = Result<Lease<W>, PickError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let error = match this.place.attempt(this.request, context) {
            Ok(lease) => return Poll::Ready(Ok(lease)),
            Err(error) => error,
        };
        if may_change(&error) && this.deadline.poll(context).is_pending() {
            return Poll::Pending;
        }
        this.place.give_up_on(this.request, &error);
        Poll::Ready(Err(error))
    }
}

impl<W, D> fmt::Debug for PickWait<'_, W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PickWait")
            .field("request", &self.request)
            .field("held", &self.place.held)
            .finish_non_exhaustive()
    }
}

/// A request that waits for a member; its place is given up when it is dropped.
pub(crate) struct Waiter<W> {
    balancer: Balancer<W>,
    held: HeldPlace,
}

#[derive(Clone, Copy, Debug)]
enum HeldPlace {
    /// Beside the line, notified of every change.
    Beside(Ticket),
    /// In line.
    InLine(Ticket),
    Nothing,
}

impl<W> Waiter<W> {
    pub(crate) fn new(balancer: Balancer<W>) -> Self {
        Self {
            balancer,
            held: HeldPlace::Nothing,
        }
    }

    /// Picks a member if it is the request's turn; otherwise the task is woken when it may
    /// be.
    pub(crate) fn attempt(
        &mut self,
        request: &PickRequest<'_>,
        context: &Context<'_>,
    ) -> Result<Lease<W>, PickError> {
        let shared = self.balancer.shared();
        // A waiter registers first and then checks: a change in between is seen by one of
        // the two.
        match self.held {
            HeldPlace::Nothing => {
                let first = self.balancer.pick_without_events(request);
                if !matches!(&first, Err(error) if may_change(error)) {
                    return first;
                }
                if request.is_particular() {
                    self.held = HeldPlace::Beside(shared.watch(None, context.waker()));
                } else {
                    self.held = HeldPlace::InLine(shared.join_line(context.waker()));
                    self.balancer.report_waiting();
                }
                self.attempt(request, context)
            }
            HeldPlace::Beside(ticket) => {
                shared.watch(Some(ticket), context.waker());
                self.served(self.balancer.attempt(&request.of_now()))
            }
            HeldPlace::InLine(ticket) if shared.is_first(ticket, context.waker()) => {
                self.served(self.balancer.attempt(&request.of_now()))
            }
            HeldPlace::InLine(_) => {
                self.balancer.apply_timed_changes();
                Err(self.balancer.behind_the_line(request))
            }
        }
    }

    /// Leaves the line as soon as nothing is left to wait for.
    fn served(&mut self, result: Result<Lease<W>, PickError>) -> Result<Lease<W>, PickError> {
        if !matches!(&result, Err(error) if may_change(error)) {
            self.give_up();
        }
        result
    }

    /// Ends a wait that has failed, and reports that to observers.
    pub(crate) fn give_up_on(&mut self, request: &PickRequest<'_>, error: &PickError) {
        self.give_up();
        self.balancer.report_refused(request, error);
    }

    fn give_up(&mut self) {
        match std::mem::replace(&mut self.held, HeldPlace::Nothing) {
            HeldPlace::Beside(ticket) => self.balancer.shared().unwatch(ticket),
            HeldPlace::InLine(ticket) => self.balancer.shared().leave_line(ticket),
            HeldPlace::Nothing => {}
        }
    }
}

impl<W> Drop for Waiter<W> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Returns whether waiting may help.
pub(crate) fn may_change(error: &PickError) -> bool {
    !matches!(error, PickError::SessionLost { .. })
}

/// Resolves when enough members can take new work; created by [`Balancer::wait_for_members`].
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Flag, MemberSpec};
/// use std::time::Duration;
///
/// let spec = MemberSpec::new().with_flag(Flag::FailedCheck); // until a check passes
/// let balancer = Balancer::builder().member("a", (), spec).build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let patience = Duration::from_millis(1);
/// assert!(tokio::time::timeout(patience, balancer.wait_for_members(1)).await.is_err());
/// balancer.clear_flag("a", Flag::FailedCheck).unwrap();
/// assert!(tokio::time::timeout(patience, balancer.wait_for_members(1)).await.is_ok());
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct MembersReady<W> {
    balancer: Balancer<W>,
    members: usize,
    ticket: Option<Ticket>,
}

impl<W> Future for MembersReady<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let ticket = self.balancer.shared().watch(self.ticket, context.waker());
        self.ticket = Some(ticket);
        self.balancer.apply_timed_changes();
        if self.balancer.core.view.load().picture.usable >= self.members {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<W> Drop for MembersReady<W> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.balancer.shared().unwatch(ticket);
        }
    }
}

impl<W> fmt::Debug for MembersReady<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembersReady")
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}
