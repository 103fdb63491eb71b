//! The members of a running balancer: insert, update, remove, replace, and read.
//!
//! Each change is an edit of one operation (`edit.rs`). Methods that read a member by name
//! read the published view, so they do not wait for a change.

use std::ops::DerefMut;
use std::sync::Arc;

use super::editor::Editor;
use super::removed::RemovedMember;
use super::{Balancer, Edit, EditError, EditSummary, MemberSource, UnknownMember};
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, MemberSpec, MemberState};
use crate::snapshot::Seat;

impl<W> Balancer<W> {
    /// Inserts a member, or gives an existing one a new payload and spec.
    ///
    /// The name is the identity: an existing member keeps its id, its place in ties, its
    /// counters, its health (in error, ejected, failed check) and its
    /// [overrides](Self::override_member). Leases of the old payload finish with that
    /// payload. The same holds for a member that was removed while leases of it are alive.
    ///
    /// Many members at a time cost far less in one [`edit`](Self::edit).
    ///
    /// # Errors
    ///
    /// [`EditError::OtherSource`] if the name belongs to another [source](Self::source)
    /// than the default one.
    ///
    /// # Panics
    ///
    /// If there are more than 67 108 864 members at a time.
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
        MemberSource::of(self.clone(), self.core.default_source.clone())
    }

    /// Changes the spec that the source of a member has given; `change` receives that
    /// [`source_spec`](Self::source_spec).
    ///
    /// Overrides and health do not change: operators use
    /// [`override_member`](Self::override_member), and the flags of health
    /// ([`Flag::InError`], [`Flag::FailedCheck`], [`Flag::Ejected`]) are ignored here.
    /// `change` runs outside every lock and may run again if the member is changed at the
    /// same time.
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

    /// Sets a flag of a member, as an operator does. The flag stays set until
    /// [`clear_flag`](Self::clear_flag) or [`clear_overrides`](Self::clear_overrides),
    /// whatever specs its source gives meanwhile.
    ///
    /// [`Flag::InError`], [`Flag::FailedCheck`] and [`Flag::Ejected`] are the member's
    /// health. The first two are set as if a request or a check had failed, and end in the
    /// same way. An ejection that is set here has no end of its own: it lasts until it is
    /// cleared, or until no other member is left. To eject a member for a time, use
    /// [`eject`](Self::eject).
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

    /// Clears a flag of a member, as an operator does. The flag stays cleared until
    /// [`set_flag`](Self::set_flag) or [`clear_overrides`](Self::clear_overrides), whatever
    /// specs its source gives meanwhile.
    ///
    /// Clearing [`Flag::InError`] ends the error, [`Flag::Ejected`] the ejection, and
    /// [`Flag::FailedCheck`] the failed check. Each may occur again;
    /// [`recover`](Self::recover) ends all three.
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

    /// Applies an operator's edit of one member, which fails only if the member does not
    /// exist.
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

    /// Publishes what an editor has `changed`, or what has become due meanwhile.
    pub(super) fn publish_if(&self, changed: bool, mut editor: impl DerefMut<Target = Editor<W>>) {
        if changed || self.shared().is_due() {
            let after = editor.publish_change(&self.core.view);
            drop(editor);
            self.core.settle(after);
        }
    }

    /// Removes a member: no pick that starts after this picks it. Its leases continue.
    ///
    /// A member of another [source](Self::source) is not removed, because that source would
    /// insert it again; to keep requests away from it, override [`Flag::Draining`] or
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

    /// Replaces all members of the default [source](Self::source) by `members`, as one
    /// change: listed members are kept or added; all others of this source are removed.
    /// Members that are kept keep their place in ties; new ones come after them.
    ///
    /// # Errors
    ///
    /// [`EditError::DuplicateName`] if a name occurs twice, and [`EditError::OtherSource`]
    /// for a name of another source; nothing is changed.
    pub fn replace_all<N>(
        &self,
        members: impl IntoIterator<Item = (N, W, MemberSpec)>,
    ) -> Result<EditSummary, EditError>
    where
        N: Into<Arc<str>>,
    {
        self.default_source().replace_all(members)
    }

    /// Returns the members with their routes, in configuration order.
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

    /// Returns whether there are no members.
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

    /// Returns the states of the members, in configuration order.
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

    /// Returns the state of the member of that name.
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

    /// Returns the member of that name as readers see it, without waiting for a change.
    pub(super) fn seat(&self, name: &str) -> Option<Arc<Seat>> {
        self.core.view.load().picture.roster.named(name).cloned()
    }

    /// Returns the spec that holds for the member of that name: the source's spec with the
    /// overrides applied, and the flags of its health. The flags are current even while the
    /// rest of a change in progress is not visible yet.
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

    /// Returns the standing of the member of that name, in the scheduler's own units
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

    /// Returns when the next timed change is due, on the balancer's clock: the end of an
    /// error or of an ejection, or a step of a ramp.
    /// [`run_timed_changes`](Self::run_timed_changes) applies it then; a timer of your own
    /// can call [`apply_timed_changes`](Self::apply_timed_changes). A time in the past,
    /// such as the origin, means that a change is due now; `None` means that none is due.
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

    /// Ends the errors and ejections whose time has elapsed, takes the steps of ramps that
    /// are due, and wakes the requests that wait for a member.
    ///
    /// Every pick does this by itself. If there may be no pick for a while, spawn
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

    /// Renews the picture, unless another caller does so already.
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
