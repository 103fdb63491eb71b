//! The facts about a member, in atomics that outlive every change of membership.

use std::sync::Arc;
use std::time::Duration;

use super::caps::{Caps, LearnedLimits, LimitOwner};
use super::counters::MemberCounters;
use super::health::Record;
use super::{Cause, Flag, GivenBack, Health, LiveStatus, MemberId, MemberSpec, Status, Uncounted};
use crate::clock::Timestamp;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Relaxed, SeqCst};

/// The facts about one member: what is in flight, what was picked, the bytes, the
/// live status.
///
/// Schedulers and observers read it; only the balancer writes it. A lease keeps it
/// alive after the member has been removed.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let mut lease = balancer.pick(&PickRequest::new()).unwrap();
/// lease.record_sent(120);
/// lease.record_received(4_096);
///
/// let member = balancer.member("a").unwrap();
/// assert_eq!((member.name(), member.id()), ("a", lease.member().id()));
/// assert_eq!((member.in_flight(), member.picked()), (1, 1));
/// assert_eq!((member.bytes_sent(), member.bytes_received()), (120, 4_096));
/// assert_eq!(member.bytes(), 4_216);
/// assert_eq!(member.max_in_flight(), equipoise::member::MAX_IN_FLIGHT);
///
/// lease.put_in_error();
/// assert_eq!(member.status().to_string(), "in error");
/// drop(balancer.pick(&PickRequest::new())); // nobody else is left: it is tried again
/// assert_eq!(member.retries(), 1);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
#[repr(align(64))] // Every request writes here: neighbours must not share a line.
pub struct MemberState {
    counters: MemberCounters,
    // Read-modify-writes only, so that a new error is never lost. SeqCst, because
    // whoever changes it says so in the balancer's `due`, and reads there are first.
    // Flags of health change under the lock of the record; times and other flags without.
    live: AtomicU64,
    caps: Caps,
    // Relaxed: sums that only grow; a reader may be a frame behind.
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    id: MemberId,
    rest: Box<Rest>,
}

/// What few requests need: elsewhere, so that the others find all they need in one line.
#[derive(Debug)]
struct Rest {
    name: Arc<str>,
    // Relaxed: a number for operators.
    retries: AtomicU32,
    /// Why the flags of health are set. A leaf: no other lock is taken under it.
    record: Mutex<Record>,
    /// The learned limits; the smallest is in `caps`, which is set under this lock. A leaf.
    limits: Mutex<LearnedLimits>,
}

#[cfg(not(equipoise_loom))]
const _: () = assert!(size_of::<MemberState>() == 64);

impl MemberState {
    pub(crate) fn new(name: Arc<str>, slot: u32, spec: &MemberSpec, now: Timestamp) -> Self {
        let mut record = Record::default();
        record.follow((Status::NORMAL, spec.status()), now, None);
        if spec.status().contains(Flag::InError) {
            record.count_error(now, now);
        }
        Self {
            counters: MemberCounters::new(),
            live: AtomicU64::new(LiveStatus::new(spec.status(), now).word()),
            caps: Caps::new(spec.max_in_flight()),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            id: MemberId::new(slot),
            rest: Box::new(Rest {
                name,
                retries: AtomicU32::new(0),
                record: Mutex::new(record),
                limits: Mutex::new(LearnedLimits::default()),
            }),
        }
    }

    /// Returns the member's id.
    #[must_use]
    #[inline]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// Returns the name under which the member was inserted.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.rest.name
    }

    pub(crate) fn name_handle(&self) -> &Arc<str> {
        &self.rest.name
    }

    /// Returns how many requests are in flight (Apache: `busy`).
    #[doc(alias = "busy")]
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.counters.in_flight()
    }

    /// Returns how often the member was picked, by a scheduler or by a session.
    ///
    /// Counts to 2^39 and then again from 0, as a scraper of counters expects.
    #[must_use]
    pub fn picked(&self) -> u64 {
        self.counters.picked()
    }

    /// Returns the bytes sent to the member (Apache: `transferred`).
    #[doc(alias = "transferred")]
    #[must_use]
    #[inline]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// Returns the bytes received from the member (Apache: `read`).
    #[must_use]
    #[inline]
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Relaxed)
    }

    /// Returns the bytes of both directions.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes_sent().saturating_add(self.bytes_received())
    }

    /// Returns the status as it is now.
    #[must_use]
    #[inline]
    pub fn status(&self) -> Status {
        self.live().status()
    }

    /// Returns how often the member has left the error status to be tried again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.rest.retries.load(Relaxed)
    }

    /// Returns its health: why it is in error, ejected or failed by a check, since when, and
    /// until when.
    #[must_use]
    pub fn health(&self) -> Health {
        let record = self.rest.record.lock();
        let live = self.live();
        // A stopped member stays in error.
        let ends = !live.status().contains(Flag::Stopped);
        let delay = record.error_delay.filter(|_| ends);
        let until = delay.map(|delay| live.since() + delay);
        record.health.clone().with_error_until(until)
    }

    /// Returns how many may be in flight at once: the smaller of its spec's
    /// [`max_in_flight`](MemberSpec::max_in_flight) and its
    /// [`learned_limit`](Self::learned_limit);
    /// [`MAX_IN_FLIGHT`](super::MAX_IN_FLIGHT) with neither.
    #[must_use]
    #[inline]
    pub fn max_in_flight(&self) -> u32 {
        self.caps.smaller()
    }

    /// Returns the limit on requests in flight that was learned while running, if there
    /// is one: the smallest of those that its protocol, an adaptive limit and the trial after
    /// an ejection have set.
    #[must_use]
    pub fn learned_limit(&self) -> Option<u32> {
        self.caps.learned()
    }

    /// The learned limit that this owner has set.
    pub(crate) fn limit_of(&self, owner: LimitOwner) -> Option<u32> {
        self.rest.limits.lock().get(owner)
    }

    pub(crate) fn is_on_trial(&self) -> bool {
        // Without a learned limit it is not, which one line of memory tells.
        self.caps.learned().is_some() && self.limit_of(LimitOwner::Trial).is_some()
    }

    /// Sets a learned limit; returns whether more may be in flight than before.
    pub(crate) fn learn_limit(&self, owner: LimitOwner, limit: Option<u32>) -> bool {
        let mut limits = self.rest.limits.lock();
        let smallest = limits.set(owner, limit);
        self.caps.set_learned(smallest)
    }

    #[inline]
    pub(crate) fn live(&self) -> LiveStatus {
        LiveStatus::from_word(self.live.load(SeqCst))
    }

    #[inline]
    pub(crate) fn count_in(&self) -> Result<u32, Uncounted> {
        self.counters.count_in(self.caps.smaller())
    }

    /// The member is removed: from here on nobody is counted in.
    pub(crate) fn close(&self) {
        self.counters.close();
    }

    /// The member is back.
    pub(crate) fn open(&self) {
        self.counters.open();
    }

    #[inline]
    pub(crate) fn give_back(&self) -> GivenBack {
        self.counters.give_back()
    }

    pub(crate) fn add_bytes_sent(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn add_bytes_received(&self, bytes: u64) {
        self.bytes_received.fetch_add(bytes, Relaxed);
    }

    /// Puts the member in error as of `now`; returns the statuses before and after,
    /// or `None` if it ignores errors.
    pub(crate) fn put_in_error(
        &self,
        now: Timestamp,
        cause: Option<&Cause>,
    ) -> Option<(Status, Status)> {
        // One that is in error rests anew: no news, and no lock.
        let again = |word| {
            let status = LiveStatus::from_word(word).status();
            let again = status.contains(Flag::InError) && !status.contains(Flag::IgnoreErrors);
            again.then(|| LiveStatus::new(status, now).word())
        };
        if let Ok(old) = self.live.fetch_update(SeqCst, SeqCst, again) {
            let status = LiveStatus::from_word(old).status();
            return Some((status, status));
        }
        let mut record = self.rest.record.lock();
        let old = self
            .live
            .fetch_update(SeqCst, SeqCst, |word| {
                let status = LiveStatus::from_word(word).status();
                (!status.contains(Flag::IgnoreErrors))
                    .then(|| LiveStatus::new(status.with(Flag::InError), now).word())
            })
            .ok()?;
        let old = LiveStatus::from_word(old);
        let (before, after) = (old.status(), old.status().with(Flag::InError));
        if before != after {
            record.follow((before, after), now, cause);
            record.count_error(old.since(), now);
        }
        Some((before, after))
    }

    /// Ends those outages of exactly the status that `seen` shows; a newer error stays.
    pub(crate) fn end_outages(&self, seen: LiveStatus, over: Status, now: Timestamp) -> bool {
        let mut record = self.rest.record.lock();
        let done = self.exchange(seen, seen.changed(Status::NORMAL, over, now));
        if done {
            let before = seen.status();
            record.follow((before, before.difference(over)), now, None);
            if before.intersection(over).contains(Flag::InError) {
                self.rest.retries.fetch_add(1, Relaxed);
            }
        }
        done
    }

    /// The ramp of an arrival is over, unless the member has changed since `seen`.
    pub(crate) fn end_ramp(&self, seen: LiveStatus) -> bool {
        self.exchange(seen, seen.arrived())
    }

    fn exchange(&self, seen: LiveStatus, new: LiveStatus) -> bool {
        let (seen, new) = (seen.word(), new.word());
        let done = self.live.compare_exchange(seen, new, SeqCst, SeqCst);
        done.is_ok()
    }

    /// The member joins at `now`: its ramp begins, if its health is good.
    pub(crate) fn arrive(&self, now: Timestamp) {
        let _ = self.live.fetch_update(SeqCst, SeqCst, |word| {
            let live = LiveStatus::from_word(word);
            let is_well = live.status().intersection(Status::HEALTH) == Status::NORMAL;
            is_well.then(|| live.arriving(now).word())
        });
    }

    /// Ejects the member, or lets its ejection last longer. Returns the statuses before and
    /// after, and whether there is news.
    pub(crate) fn eject(
        &self,
        until: Timestamp,
        now: Timestamp,
        cause: &Cause,
    ) -> ((Status, Status), bool) {
        let mut record = self.rest.record.lock();
        let ejected = Status::NORMAL.with(Flag::Ejected);
        let change = self.change_word(ejected, Status::NORMAL, now);
        let (before, after) = (change.0.status(), change.1.status());
        if before != after {
            record.follow((before, after), now, Some(cause));
            record.set_ejected_until(until);
            return ((before, after), true);
        }
        ((before, after), record.extend_ejection(until, cause))
    }

    /// When an ejection ends, if it does by itself.
    pub(crate) fn ejected_until(&self) -> Option<Timestamp> {
        let record = self.rest.record.lock();
        record.health.outage(Flag::Ejected)?.until
    }

    /// How long the present error lasts, which `delay` works out from the number of errors
    /// in a row; it is kept for the [`health`](Self::health).
    pub(crate) fn error_delay(&self, delay: impl FnOnce(u32) -> Duration) -> Duration {
        let mut record = self.rest.record.lock();
        let delay = delay(record.health.errors_in_a_row());
        record.error_delay = Some(delay);
        delay
    }

    /// Takes over a spec, whose flags were made from those in `old`; flags that others
    /// change meanwhile stay as they are. Returns the statuses before and after.
    pub(crate) fn configure(
        &self,
        spec: &MemberSpec,
        old: Status,
        now: Timestamp,
    ) -> (Status, Status) {
        self.caps.set_spec(spec.max_in_flight());
        let new = spec.status();
        self.change_flags(new.difference(old), old.difference(new), now, None)
    }

    /// Sets and clears flags as of `now`, for a reason if one is known; returns the statuses
    /// before and after.
    pub(crate) fn change_flags(
        &self,
        set: Status,
        clear: Status,
        now: Timestamp,
        cause: Option<&Cause>,
    ) -> (Status, Status) {
        if set.union(clear).intersection(Status::HEALTH) == Status::NORMAL {
            let (before, after) = self.change_word(set, clear, now);
            return (before.status(), after.status());
        }
        let mut record = self.rest.record.lock();
        let (old, new) = self.change_word(set, clear, now);
        let (before, after) = (old.status(), new.status());
        record.follow((before, after), now, cause);
        if !before.contains(Flag::InError) && after.contains(Flag::InError) {
            record.count_error(old.since(), now);
        }
        if set.contains(Flag::Ejected) {
            record.eject_without_end();
        }
        if clear.contains(Flag::InError) {
            record.forget_errors();
        }
        (before, after)
    }

    fn change_word(&self, set: Status, clear: Status, now: Timestamp) -> (LiveStatus, LiveStatus) {
        let apply = |word| LiveStatus::from_word(word).changed(set, clear, now);
        let old = self
            .live
            .fetch_update(SeqCst, SeqCst, |word| Some(apply(word).word()))
            .unwrap_or_else(|seen| seen);
        (LiveStatus::from_word(old), apply(old))
    }
}
