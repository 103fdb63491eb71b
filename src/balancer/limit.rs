//! A limit on a member's requests in flight that is learned while running:
//! [`LearnedLimit`].
//!
//! Not here: combining several limits (`member/caps.rs`), and what a pick
//! does with a member at its cap (`scheduler`).

use std::fmt;
use std::sync::{Arc, Weak};

use super::shared::Shared;
use super::{Balancer, Guard, Lease};
use crate::member::{LimitOwner, MemberId, MemberKey, MemberState};

/// Sets a limit on the requests that one member has in flight, while it serves.
///
/// Use it for what is known only once a connection exists (how many streams an HTTP/2
/// server accepts at once), or for what is measured (adaptive concurrency). It applies
/// together with [`MemberSpec::with_max_in_flight`]: the smaller of the two counts. It
/// belongs to the member, not to its spec: `insert`, `update` and `replace_all` do not
/// change it, and it is dropped when the member is removed and its last lease and handle
/// are gone.
///
/// Lowering it below the number of requests in flight cancels nothing; the member is at its
/// cap until enough of its requests have ended. Raising it wakes the requests that wait for
/// a member.
///
/// It is a handle: clones are cheap, and any thread may use them. It keeps neither the
/// balancer nor the payload alive, so a payload may contain one. If several handles set the
/// limit of one member, the last call counts. The limits that this crate learns itself (an
/// adaptive limit, the trial after an ejection) are separate, and the smallest counts.
///
/// [`MemberSpec::with_max_in_flight`]: crate::MemberSpec::with_max_in_flight
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickError, PickRequest};
///
/// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
/// let lease = balancer.pick(&PickRequest::new())?;
/// // The connection is made, and the server's settings allow one stream at a time.
/// lease.learned_limit().set(Some(1));
/// assert_eq!(balancer.pick(&PickRequest::new()).unwrap_err(), PickError::AtCapacity);
/// assert_eq!(lease.member().max_in_flight(), 1);
///
/// // Later its settings allow any number.
/// balancer.learned_limit("a").unwrap().set(None);
/// assert!(balancer.pick(&PickRequest::new()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LearnedLimit {
    state: Arc<MemberState>,
    shared: Arc<Shared>,
    owner: LimitOwner,
}

impl LearnedLimit {
    fn new(state: &Arc<MemberState>, shared: &Arc<Shared>) -> Self {
        Self {
            state: state.clone(),
            shared: shared.clone(),
            owner: LimitOwner::Protocol,
        }
    }

    /// Returns a handle for the limit that another owner sets on the same member.
    #[must_use]
    pub const fn for_owner(mut self, owner: LimitOwner) -> Self {
        self.owner = owner;
        self
    }

    /// Sets the limit, up to [`MAX_IN_FLIGHT`](crate::member::MAX_IN_FLIGHT); `None` clears
    /// it. With 0 the member gets no request until the limit is raised.
    ///
    /// # Panics
    ///
    /// If the scheduler panics; the limit has been set before.
    pub fn set(&self, limit: Option<u32>) {
        let has_room = self.state.learn_limit(self.owner, limit);
        if self.owner == LimitOwner::Trial {
            // Other members stand in for a member on trial.
            self.shared.trial_changed();
        }
        if has_room {
            self.shared.made_room(&self.state);
        }
    }

    /// Returns the limit of this handle's owner, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// let limit = balancer.learned_limit("a").unwrap();
    /// assert_eq!(limit.get(), None);
    /// limit.set(Some(100));
    /// assert_eq!(limit.get(), Some(100));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn get(&self) -> Option<u32> {
        self.state.limit_of(self.owner)
    }

    /// Returns the state of the member.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// let limit = balancer.learned_limit("a").unwrap();
    /// assert_eq!(limit.member().name(), "a");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn member(&self) -> &MemberState {
        &self.state
    }
}

/// A [`LearnedLimit`] that does not keep the state of a removed member alive.
#[derive(Clone)]
pub(crate) struct WeakLimit {
    state: Weak<MemberState>,
    shared: Weak<Shared>,
    owner: LimitOwner,
}

impl WeakLimit {
    /// Returns the limit, while its member or a lease of it lives.
    pub(crate) fn upgrade(&self) -> Option<LearnedLimit> {
        Some(LearnedLimit {
            state: self.state.upgrade()?,
            shared: self.shared.upgrade()?,
            owner: self.owner,
        })
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state.strong_count() == 0
    }

    pub(crate) fn is_of(&self, limit: &LearnedLimit) -> bool {
        std::ptr::eq(self.state.as_ptr(), Arc::as_ptr(&limit.state))
    }
}

impl LearnedLimit {
    pub(crate) fn downgrade(&self) -> WeakLimit {
        WeakLimit {
            state: Arc::downgrade(&self.state),
            shared: Arc::downgrade(&self.shared),
            owner: self.owner,
        }
    }
}

impl fmt::Debug for LearnedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearnedLimit")
            .field("member", &self.state.name())
            .field("limit", &self.get())
            .finish_non_exhaustive()
    }
}

impl<W> Lease<W> {
    /// Returns a handle that sets the member's learned limit on requests in flight; it may
    /// outlive the lease.
    #[must_use]
    pub fn learned_limit(&self) -> LearnedLimit {
        let entry = self.entry();
        LearnedLimit::new(&entry.state, &entry.epoch.shared)
    }
}

impl Guard {
    /// Returns a handle that sets the member's learned limit on requests in flight; it may
    /// outlive the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let guard = balancer.pick(&PickRequest::new())?.into_guard();
    /// guard.learned_limit().set(Some(8)); // from the server's new settings
    /// assert_eq!(guard.member().max_in_flight(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn learned_limit(&self) -> LearnedLimit {
        let (state, epoch) = self.on();
        LearnedLimit::new(state, &epoch.shared)
    }
}

impl<W> Balancer<W> {
    /// Returns a handle that sets a member's learned limit on requests in flight; `None` if
    /// there is no such member.
    ///
    /// With an id it takes no lock.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// let id = balancer.member("a").unwrap().id();
    /// balancer.learned_limit("a").unwrap().set(Some(8));
    /// assert_eq!(balancer.learned_limit(id).unwrap().get(), Some(8));
    /// assert!(balancer.learned_limit("b").is_none());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn learned_limit<'m>(&self, member: impl Into<MemberKey<'m>>) -> Option<LearnedLimit> {
        let state = match member.into() {
            MemberKey::Id(id) => self.member_by_id(id)?,
            MemberKey::Name(name) => self.member(name)?,
        };
        Some(LearnedLimit::new(&state, &self.core.shared))
    }

    fn member_by_id(&self, id: MemberId) -> Option<Arc<MemberState>> {
        let view = self.core.view.load();
        let state = view.picture.roster.state(id.slot())?;
        (state.id() == id).then(|| state.clone())
    }
}
