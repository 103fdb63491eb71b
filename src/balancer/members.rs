//! The membership while running: insert, update, remove, replace, and who is there.

use std::ops::DerefMut;
use std::sync::Arc;

use super::builder::refuse_duplicates;
use super::editor::Editor;
use super::removed::Removed;
use super::{Balancer, BuildError, UnknownMember};
use crate::clock::Timestamp;
use crate::member::{Flag, MemberId, MemberSpec, MemberState, Status};

/// What [`Balancer::replace_all`] did.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec};
///
/// let balancer = Balancer::new([("a", 1), ("b", 2)])?;
/// let done = balancer.replace_all([("b", 2, MemberSpec::new()), ("c", 3, MemberSpec::new())])?;
/// assert_eq!((done.inserted.len(), done.updated.len(), done.removed.len()), (1, 1, 1));
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Replaced {
    /// Members that are new.
    pub inserted: Vec<MemberId>,
    /// Members that were there before and have a new payload and spec.
    pub updated: Vec<MemberId>,
    /// Members that are no longer there.
    pub removed: Vec<Removed>,
}

impl<W> Balancer<W> {
    /// Inserts a member, or gives the one of that name a new payload and spec.
    ///
    /// The name is the identity: a member that is there keeps its id, its place in
    /// ties, its counters, its health (in error, failed check) and what an operator has
    /// [overridden](Self::override_member). Leases of the old
    /// payload finish on it. So does a name that was removed while leases of it live.
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
    /// let id = balancer.insert("a", "10.0.0.1:80", MemberSpec::new());
    /// assert_eq!(balancer.insert("a", "10.0.0.2:80", MemberSpec::new()), id);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn insert(&self, name: impl Into<Arc<str>>, payload: W, spec: MemberSpec) -> MemberId {
        let mut editor = self.core.editor.lock();
        let state = editor.put(&name.into(), payload, spec);
        let after = editor.publish_change(&self.core.view);
        drop(editor);
        self.core.settle(after);
        state.id()
    }

    /// Changes the spec that the source of a member has given; `edit` gets that
    /// [`source_spec`](Self::source_spec).
    ///
    /// Overrides and health stay as they are: operators use
    /// [`override_member`](Self::override_member), and [`Flag::InError`] and
    /// [`Flag::FailedCheck`] are ignored here. `edit` runs outside every lock and may run
    /// again if the member is changed at the same time.
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no member of that name; nothing is changed.
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
        edit: impl Fn(MemberSpec) -> MemberSpec,
    ) -> Result<MemberId, UnknownMember> {
        let unknown = || UnknownMember { name: name.into() };
        loop {
            // Under the lock, as some flags of a source are read where overrides write.
            let editor = self.core.editor.lock();
            let seat = editor.seat(name).ok_or_else(unknown)?.clone();
            let before = seat.source();
            drop(editor);
            let source = edit(before.clone());
            let flags = source.status().minus(Status::HEALTH);
            let source = source.with_status(flags);
            let mut editor = self.core.editor.lock();
            let present = editor.seat(name).ok_or_else(unknown)?;
            if !Arc::ptr_eq(present, &seat) || seat.source() != before {
                continue;
            }
            let changed = editor.respecify(&seat, source, seat.overrides());
            self.publish_if(changed, editor);
            return Ok(seat.state.id());
        }
    }

    /// Sets a flag of a member, as an operator does: it is drained or disabled until
    /// [`clear_flag`](Self::clear_flag) or
    /// [`clear_overrides`](Self::clear_overrides), whatever its source says meanwhile.
    ///
    /// [`Flag::InError`] and [`Flag::FailedCheck`] are its health: they are set as if a
    /// request or a check had failed, and end as such.
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
        if Status::HEALTH.contains(flag) {
            return self.set_health(name, flag, true);
        }
        self.override_present(name, |it| it.with_flag(flag))
    }

    /// Clears a flag of a member, as an operator does: it stays cleared, whatever its
    /// source says, until [`set_flag`](Self::set_flag) or
    /// [`clear_overrides`](Self::clear_overrides).
    ///
    /// Clearing [`Flag::InError`] ends the error, and [`Flag::FailedCheck`] what a check
    /// has found; either may come again.
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
        if Status::HEALTH.contains(flag) {
            return self.set_health(name, flag, false);
        }
        self.override_present(name, |it| it.with_flag_off(flag))
    }

    fn set_health(&self, name: &str, flag: Flag, on: bool) -> Result<MemberId, UnknownMember> {
        let mut editor = self.core.editor.lock();
        let unknown = || UnknownMember { name: name.into() };
        let seat = editor.seat(name).ok_or_else(unknown)?.clone();
        let changed = editor.set_health(&seat.state, flag, on);
        self.publish_if(changed, editor);
        Ok(seat.state.id())
    }

    /// Publishes what an editor has `changed`, or what time has changed meanwhile.
    pub(super) fn publish_if(&self, changed: bool, mut editor: impl DerefMut<Target = Editor<W>>) {
        if changed || self.shared().is_due() {
            let after = editor.publish_change(&self.core.view);
            drop(editor);
            self.core.settle(after);
        }
    }

    /// Removes a member: no pick that starts after this elects it, while its leases go
    /// on. `None` if there is no member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let removed = balancer.remove("a").unwrap();
    /// assert_eq!(removed.in_flight(), 1);
    /// assert_eq!(*lease, "10.0.0.1:80", "it still works");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "removing is what it is for")]
    pub fn remove(&self, name: &str) -> Option<Removed> {
        let mut editor = self.core.editor.lock();
        let state = editor.remove(name)?;
        let after = editor.publish_change(&self.core.view);
        drop(editor);
        self.core.settle(after);
        Some(Removed::new(state, self.core.shared.clone()))
    }

    /// Makes `members` the whole membership, as one change: who is named stays or
    /// comes, everybody else goes. Members that stay keep their place in ties; new
    /// ones come behind them.
    ///
    /// # Errors
    ///
    /// [`BuildError::DuplicateName`]; nothing is changed.
    ///
    /// # Examples
    ///
    /// See [`Replaced`].
    pub fn replace_all<N>(
        &self,
        members: impl IntoIterator<Item = (N, W, MemberSpec)>,
    ) -> Result<Replaced, BuildError>
    where
        N: Into<Arc<str>>,
    {
        let members: Vec<(Arc<str>, W, MemberSpec)> = members
            .into_iter()
            .map(|(name, payload, spec)| (name.into(), payload, spec))
            .collect();
        refuse_duplicates(&members)?;
        Ok(self.put_all(members))
    }

    /// As [`replace_all`](Self::replace_all), for names that differ.
    pub(super) fn put_all(&self, members: Vec<(Arc<str>, W, MemberSpec)>) -> Replaced {
        let shared = &self.core.shared;
        let mut editor = self.core.editor.lock();
        let mut gone = editor.by_name.clone();
        let (mut inserted, mut updated) = (Vec::new(), Vec::new());
        for (name, payload, spec) in members {
            let list = match gone.remove(&name) {
                Some(_) => &mut updated,
                None => &mut inserted,
            };
            list.push(editor.put(&name, payload, spec).id());
        }
        let mut gone: Vec<Arc<str>> = gone.into_keys().collect();
        gone.sort_by_key(|name| editor.seat(name).map(|seat| seat.order));
        let gone: Vec<Arc<MemberState>> = gone
            .into_iter()
            .filter_map(|name| editor.remove(&name))
            .collect();
        let after = editor.publish_change(&self.core.view);
        drop(editor);
        self.core.settle(after);
        let removed = |state| Removed::new(state, shared.clone());
        Replaced {
            inserted,
            updated,
            removed: gone.into_iter().map(removed).collect(),
        }
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

    /// Tells whether there is no member at all.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// balancer.remove("a");
    /// assert!(balancer.is_empty());
    /// # Ok::<(), equipoise::BuildError>(())
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
        let editor = self.core.editor.lock();
        editor.seat(name).map(|seat| seat.state.clone())
    }

    /// Returns the spec that holds for the member of that name: what its source says, what
    /// is overridden, and the flags of its health.
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
        let editor = self.core.editor.lock();
        let seat = editor.seat(name)?;
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
        let slot = *self.core.editor.lock().by_name.get(name)?;
        let view = self.core.view.load();
        let entry = view.entry(slot as usize)?;
        (entry.seat.state.name() == name).then(|| entry.payload.clone())
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

    /// Returns when a member in error is due to be tried again, on the balancer's
    /// clock; a timer may call [`notice_time`](Self::notice_time) then. A time that is
    /// over, the origin for one, means at once; `None`, that nobody is due.
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
    /// balancer.notice_time();
    /// let minute = std::time::Duration::from_secs(60);
    /// assert_eq!(balancer.next_due(), Some(Timestamp::ORIGIN + minute));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.shared().agenda.next_due()
    }

    /// Lets members recover whose time has come, and wakes whoever waits for them.
    ///
    /// Every pick does this by itself; only a balancer that nobody picks from, and that
    /// somebody waits for, needs to be told.
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
    ///     .without_forced_recovery()
    ///     .member("a", (), MemberSpec::new().with_recovery_delay(Duration::from_secs(5)))
    ///     .build()?;
    /// balancer.pick(&PickRequest::new())?.put_in_error();
    /// balancer.notice_time();
    /// assert!(!balancer.member("a").unwrap().status().is_usable());
    ///
    /// clock.advance(Duration::from_secs(5));
    /// balancer.notice_time();
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn notice_time(&self) {
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
