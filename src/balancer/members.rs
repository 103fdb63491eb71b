//! The membership while running: insert, update, remove, replace, and who is there.
//!
//! Each change is an edit of one operation (`edit.rs`). What reads a member by name reads the
//! published view, so it waits for no change.

use std::ops::DerefMut;
use std::sync::Arc;

use super::editor::Editor;
use super::removed::RemovedMember;
use super::{Balancer, Edit, EditError, EditSummary, MemberSource, UnknownMember};
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, MemberSpec, MemberState};
use crate::snapshot::Seat;

impl<W> Balancer<W> {
    /// Inserts a member, or gives the one of that name a new payload and spec.
    ///
    /// The name is the identity: a member that is there keeps its id, its place in
    /// ties, its counters, its health (in error, ejected, failed check) and what an operator has
    /// [overridden](Self::override_member). Leases of the old
    /// payload finish on it. So does a name that was removed while leases of it live.
    ///
    /// Many members at a time cost far less in one [`edit`](Self::edit).
    ///
    /// # Errors
    ///
    /// [`EditError::OtherSource`] if the name belongs to another [source](Self::source) than
    /// the default one.
    ///
    /// # Panics
    ///
    /// With more than 67 108 864 members at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<&str>::builder().build()?;
    /// let id = balancer.insert("a", "10.0.0.1:80", MemberSpec::new())?;
    /// assert_eq!(balancer.insert("a", "10.0.0.2:80", MemberSpec::new())?, id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert(
        &self,
        name: impl Into<Arc<str>>,
        payload: W,
        spec: MemberSpec,
    ) -> Result<MemberId, EditError> {
        self.default_source().insert(name, payload, spec)
    }

    fn default_source(&self) -> MemberSource<W> {
        self.source(self.core.default_source.clone())
    }

    /// Changes the spec that the source of a member has given; `change` gets that
    /// [`source_spec`](Self::source_spec).
    ///
    /// Overrides and health stay as they are: operators use
    /// [`override_member`](Self::override_member), and the flags of health
    /// ([`Flag::InError`], [`Flag::FailedCheck`], [`Flag::Ejected`]) are ignored here. `change` runs outside every lock and may run
    /// again if the member is changed at the same time.
    ///
    /// # Errors
    ///
    /// [`EditError::UnknownMember`] if there is no member of that name, and
    /// [`EditError::OtherSource`] if it belongs to another source than the default one;
    /// nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Weight};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let weight = Weight::new(5)?;
    /// balancer.update("a", |spec| spec.with_weight(weight).with_route("r1"))?;
    /// assert_eq!(balancer.spec("a").unwrap().weight(), weight);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(
        &self,
        name: &str,
        change: impl Fn(MemberSpec) -> MemberSpec + Send,
    ) -> Result<MemberId, EditError> {
        self.default_source().update(name, change)
    }

    /// Sets a flag of a member, as an operator does: it is drained or disabled until
    /// [`clear_flag`](Self::clear_flag) or
    /// [`clear_overrides`](Self::clear_overrides), whatever its source says meanwhile.
    ///
    /// [`Flag::InError`], [`Flag::FailedCheck`] and [`Flag::Ejected`] are its health: the
    /// first two are set as if a request or a check had failed, and end as such. An ejection
    /// that is set here has no end of its own: it lasts until it is cleared, or until no other
    /// member is left (see [`eject`](Self::eject), also for one that has an end).
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// balancer.replace_all(["a", "b"].map(|name| (name, (), MemberSpec::new())))?;
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_flag(&self, name: &str, flag: Flag) -> Result<MemberId, UnknownMember> {
        self.edit_one(name, |edit| edit.set_flag(name, flag))
    }

    /// Clears a flag of a member, as an operator does: it stays cleared, whatever its
    /// source says, until [`set_flag`](Self::set_flag) or
    /// [`clear_overrides`](Self::clear_overrides).
    ///
    /// Clearing [`Flag::InError`] ends the error, [`Flag::Ejected`] an ejection, and
    /// [`Flag::FailedCheck`] what a check has found; each may come again, and
    /// [`recover`](Self::recover) ends them all.
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// balancer.clear_flag("a", Flag::InError)?;
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_flag(&self, name: &str, flag: Flag) -> Result<MemberId, UnknownMember> {
        self.edit_one(name, |edit| edit.clear_flag(name, flag))
    }

    /// An operator's edit of one member, which fails only where there is none.
    pub(super) fn edit_one<'c>(
        &self,
        name: &str,
        record: impl FnOnce(&mut Edit<'c, W>),
    ) -> Result<MemberId, UnknownMember> {
        let mut edit = self.edit();
        record(&mut edit);
        let member = edit.apply().ok().and_then(EditSummary::member);
        member.ok_or_else(|| UnknownMember { name: name.into() })
    }

    /// Publishes what an editor has `changed`, or what time has changed meanwhile.
    pub(super) fn publish_if(&self, changed: bool, mut editor: impl DerefMut<Target = Editor<W>>) {
        if changed || self.shared().is_due() {
            let after = editor.publish_change(&self.core.view);
            drop(editor);
            self.core.settle(after);
        }
    }

    /// Removes a member: no pick that starts after this picks it, while its leases go
    /// on.
    ///
    /// A member of another [source](Self::source) is refused, as that source would bring it
    /// back; to keep requests away from it, override [`Flag::Draining`] or
    /// [`Flag::Disabled`].
    ///
    /// # Errors
    ///
    /// [`EditError::UnknownMember`] if there is no member of that name, and
    /// [`EditError::OtherSource`] if it belongs to another source than the default one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let removed = balancer.remove("a")?;
    /// assert_eq!(removed.in_flight(), 1);
    /// assert_eq!(*lease, "10.0.0.1:80", "it still works");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<RemovedMember, EditError> {
        self.default_source().remove(name)
    }

    /// Makes `members` all the members of the default [source](Self::source), as one change:
    /// listed members are kept or added; all others of this source are removed. Members that
    /// stay keep their place in ties; new ones come behind them.
    ///
    /// # Errors
    ///
    /// [`EditError::DuplicateName`], and [`EditError::OtherSource`] for a name of another
    /// source; nothing is changed.
    pub fn replace_all<N>(
        &self,
        members: impl IntoIterator<Item = (N, W, MemberSpec)>,
    ) -> Result<EditSummary, EditError>
    where
        N: Into<Arc<str>>,
    {
        self.default_source().replace_all(members)
    }

    /// The members with their routes, in configuration order.
    pub(crate) fn routes(&self) -> Vec<(Arc<MemberState>, Option<Arc<str>>)> {
        let view = self.core.view.load();
        let mut seats: Vec<_> = view.picture.roster.by_tier().collect();
        seats.sort_by_key(|seat| seat.order);
        let routes = seats.into_iter();
        routes
            .map(|seat| (seat.state.clone(), seat.spec.route_handle().cloned()))
            .collect()
    }

    /// Returns how many members there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ()), ("b", ())])?;
    /// assert_eq!(balancer.len(), 2);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.view.load().picture.roster.len()
    }

    /// Returns whether there is no member at all.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// balancer.remove("a")?;
    /// assert!(balancer.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.core.view.load().picture.roster.is_empty()
    }

    /// Returns the facts about the members, in configuration order.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ()), ("b", ())])?;
    /// let in_flight: u32 = balancer.members().iter().map(|member| member.in_flight()).sum();
    /// assert_eq!(in_flight, 0);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn members(&self) -> Vec<Arc<MemberState>> {
        let view = self.core.view.load();
        let mut seats: Vec<_> = view.picture.roster.by_tier().collect();
        seats.sort_by_key(|seat| seat.order);
        seats.into_iter().map(|seat| seat.state.clone()).collect()
    }

    /// Returns the facts about the member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
    /// assert!(balancer.member("b").is_none());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Arc<MemberState>> {
        Some(self.seat(name)?.state.clone())
    }

    /// The member of that name, as readers see it: without waiting for a change.
    pub(super) fn seat(&self, name: &str) -> Option<Arc<Seat>> {
        self.core.view.load().picture.roster.named(name).cloned()
    }

    /// Returns the spec that holds for the member of that name: what its source says, what
    /// is overridden, and the flags of its health. The flags are those of this moment, also
    /// while a change is under way of which the rest is not yet to be seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, Weight};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// let spec = balancer.spec("a").unwrap();
    /// assert!(spec.status().contains(Flag::Draining));
    /// assert_eq!(spec.weight(), Weight::ONE);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this reads the spec and changes nothing"]
    pub fn spec(&self, name: &str) -> Option<MemberSpec> {
        let seat = self.seat(name)?;
        Some(seat.spec.clone().with_status(seat.state.status()))
    }

    /// Returns the payload of the member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", "10.0.0.1:80")])?;
    /// assert_eq!(*balancer.payload("a").unwrap(), "10.0.0.1:80");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn payload(&self, name: &str) -> Option<Arc<W>> {
        let view = self.core.view.load();
        let seat = view.picture.roster.named(name)?;
        Some(view.entry(seat.slot())?.payload.clone())
    }

    /// Returns the standing of the member of that name, in the method's own units
    /// (Apache: `lbstatus`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// drop(balancer.pick(&PickRequest::new()));
    /// assert_eq!(balancer.standing("a"), Some(-100));
    /// assert_eq!(balancer.standing("b"), Some(100));
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[doc(alias = "lbstatus")]
    #[must_use]
    pub fn standing(&self, name: &str) -> Option<i64> {
        let id = self.member(name)?.id();
        self.core.view.load().scheduler.standing(id)
    }

    /// Returns when something falls due next, on the balancer's clock: the end of an error or
    /// of an ejection, or a step of a ramp. [`run_timed_changes`](Self::run_timed_changes) notices it then,
    /// or a timer of your own by [`apply_timed_changes`](Self::apply_timed_changes). A time that is over, the
    /// origin for one, means at once; `None`, that nothing is due.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{ManualClock, Timestamp};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .clock(ManualClock::new())
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// balancer.apply_timed_changes();
    /// let minute = std::time::Duration::from_secs(60);
    /// assert_eq!(balancer.next_timed_change(), Some(Timestamp::ORIGIN + minute));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn next_timed_change(&self) -> Option<Timestamp> {
        self.shared().agenda.next_due()
    }

    /// Ends the errors and ejections whose time is over, takes the steps of ramps that are
    /// due, and wakes what waits for a member.
    ///
    /// Every pick does this by itself; where there may be no pick for a while, spawn
    /// [`run_timed_changes`](Self::run_timed_changes).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let balancer = Balancer::builder()
    ///     .clock(clock.clone())
    ///     .forced_recovery(false)
    ///     .member("a", (), MemberSpec::new().with_recovery_delay(Duration::from_secs(5)))
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// balancer.apply_timed_changes();
    /// assert!(!balancer.member("a").unwrap().status().is_usable());
    ///
    /// clock.advance(Duration::from_secs(5));
    /// balancer.apply_timed_changes();
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn apply_timed_changes(&self) {
        if self.shared().is_due() {
            self.renew();
        }
    }

    /// Renews the picture, unless somebody is at it.
    #[cold]
    pub(super) fn renew(&self) {
        let Some(mut editor) = self.core.editor.try_lock() else {
            return;
        };
        let after = editor.publish_change(&self.core.view);
        drop(editor);
        self.core.settle_unplanned(after);
    }
}
