//! The state of a member, in atomics that persist through every change of the membership.

use std::sync::Arc;
use std::time::Duration;

use super::caps::{Caps, LearnedLimits, LimitOwner};
use super::counters::{CountersSeen, MemberCounters};
use super::health::HealthRecord;
use super::{Cause, CountedOut, Flag, Health, LiveStatus, MemberId, MemberSpec, Status, Uncounted};
use crate::clock::Timestamp;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Relaxed, SeqCst};

/// The state of one member: requests in flight, picks, bytes, and the live status.
///
/// Schedulers and observers read it; only the balancer writes it. A lease keeps it alive
/// after the member has been removed.
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
/// drop(balancer.pick(&PickRequest::new())); // no other member is left: it is tried again
/// assert_eq!(member.recoveries(), 1);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Debug)]
#[repr(align(64))] // Every request writes here: neighbours must not share a line.
pub struct MemberState {
    counters: MemberCounters,
    // Read-modify-writes only, so that a new error is never lost. SeqCst: a change of this
    // word is followed by a write of the balancer's `due`, and a pick reads `due` before
    // this word. Flags of health change under the lock of the history; times and other flags
    // without it.
    live: AtomicU64,
    caps: Caps,
    // The requests in flight that a scheduler has noted; an end that leaves fewer takes the
    // note away and notifies it. SeqCst, like the counters: the scheduler notes and then
    // reads the counters, an end decrements them and then reads the note; one of the two
    // sees the other.
    noted: AtomicU32,
    // 1 if a request was picked after the last head of a response, otherwise 0. Relaxed: a
    // hint for picking; of a pick and a head at the same time, either may win.
    awaits_head: AtomicU32,
    // Relaxed: sums that only grow; a reader may see them slightly late.
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    id: MemberId,
    cold: Box<ColdState>,
}

/// Fields that few requests need, kept apart so that the others fit into one cache line.
#[derive(Debug)]
struct ColdState {
    name: Arc<str>,
    // Relaxed: a number for display.
    recoveries: AtomicU32,
    /// A leaf lock: no other lock is taken under it. `None` until there is something to
    /// record, as for most members.
    history: Mutex<Option<Box<MemberHistory>>>,
}

#[derive(Debug, Default)]
struct MemberHistory {
    /// The causes of the flags of health.
    health: HealthRecord,
    /// The learned limits; the smallest is in `caps`, which is set under the lock.
    limits: LearnedLimits,
}

#[cfg(not(equipoise_loom))]
const _: () = assert!(size_of::<MemberState>() == 64);

impl MemberState {
    pub(crate) fn new(name: Arc<str>, slot: u32, spec: &MemberSpec, now: Timestamp) -> Self {
        let mut history: Option<Box<MemberHistory>> = None;
        if spec.status().intersection(Status::HEALTH) != Status::NORMAL {
            let record = &mut history.get_or_insert_default().health;
            record.follow((Status::NORMAL, spec.status()), now, None);
            if spec.status().contains(Flag::InError) {
                record.count_error(now, now);
            }
        }
        Self {
            counters: MemberCounters::new(),
            live: AtomicU64::new(LiveStatus::new(spec.status(), now).word()),
            caps: Caps::new(spec.max_in_flight()),
            noted: AtomicU32::new(0),
            awaits_head: AtomicU32::new(0),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            id: MemberId::new(slot),
            cold: Box::new(ColdState {
                name,
                recoveries: AtomicU32::new(0),
                history: Mutex::new(history),
            }),
        }
    }

    /// Returns the member's id.
    #[must_use]
    #[inline]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// Returns the member's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.cold.name
    }

    pub(crate) fn name_handle(&self) -> &Arc<str> {
        &self.cold.name
    }

    /// Returns how many requests are in flight (Apache: `busy`).
    #[doc(alias = "busy")]
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.counters.in_flight()
    }

    /// Returns how many times the member was picked, by a scheduler or by a session.
    ///
    /// The number wraps to 0 at 2^38, as tools that scrape counters expect.
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

    /// Returns the bytes of both directions together.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes_sent().saturating_add(self.bytes_received())
    }

    /// Returns the present status.
    #[must_use]
    #[inline]
    pub fn status(&self) -> Status {
        self.live().status()
    }

    /// Returns how many times the member has recovered from an error.
    #[must_use]
    pub fn recoveries(&self) -> u32 {
        self.cold.recoveries.load(Relaxed)
    }

    /// Returns the member's health: why it is in error, ejected or failed by a check, since
    /// when, and until when.
    #[must_use]
    pub fn health(&self) -> Health {
        let history = self.cold.history.lock();
        let Some(MemberHistory { health: record, .. }) = history.as_deref() else {
            return Health::default();
        };
        let live = self.live();
        // A stopped member stays in error.
        let ends = !live.status().contains(Flag::Stopped);
        let delay = record.error_delay.filter(|_| ends);
        let until = delay.map(|delay| live.since() + delay);
        record.health.clone().with_error_until(until)
    }

    /// Returns how many requests may be in flight at once: the smaller of the spec's
    /// [`max_in_flight`](MemberSpec::max_in_flight) and the
    /// [`learned_limit`](Self::learned_limit), or [`MAX_IN_FLIGHT`](super::MAX_IN_FLIGHT)
    /// if there is neither.
    #[must_use]
    #[inline]
    pub fn max_in_flight(&self) -> u32 {
        self.caps.smaller()
    }

    /// Returns whether the member is below its cap at this moment.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight() < self.max_in_flight()
    }

    /// Returns the limit on requests in flight that was learned while running, if there is
    /// one. It is the smallest of those set by the member's protocol, by an adaptive limit
    /// and by the trial after an ejection.
    #[must_use]
    pub fn learned_limit(&self) -> Option<u32> {
        self.caps.learned()
    }

    /// Returns the learned limit that this owner has set.
    pub(crate) fn limit_of(&self, owner: LimitOwner) -> Option<u32> {
        self.cold.history.lock().as_ref()?.limits.get(owner)
    }

    pub(crate) fn is_on_trial(&self) -> bool {
        // A member without a learned limit is not on trial; that is known without the lock.
        self.caps.learned().is_some() && self.limit_of(LimitOwner::Trial).is_some()
    }

    /// Sets a learned limit; returns whether this allows more requests in flight than
    /// before.
    pub(crate) fn learn_limit(&self, owner: LimitOwner, limit: Option<u32>) -> bool {
        let mut history = self.cold.history.lock();
        let smallest = history.get_or_insert_default().limits.set(owner, limit);
        self.caps.set_learned(smallest)
    }

    #[inline]
    pub(crate) fn live(&self) -> LiveStatus {
        LiveStatus::from_word(self.live.load(SeqCst))
    }

    #[inline]
    pub(crate) fn count_in(&self) -> Result<CountersSeen, Uncounted> {
        self.counters.count_in(self.caps.smaller())
    }

    /// Returns requests in flight and picks, as they are at one time.
    #[inline]
    pub(crate) fn look(&self) -> CountersSeen {
        self.counters.look()
    }

    /// Counts a request in, if the counters are still as they were `seen`.
    #[inline]
    pub(crate) fn count_in_as(&self, seen: CountersSeen) -> Result<CountersSeen, Uncounted> {
        self.counters.count_in_as(seen, self.caps.smaller())
    }

    /// Lets a scheduler learn of all later picks from the counters, which are returned.
    pub(crate) fn begin_reading(&self) -> CountersSeen {
        self.counters.begin_reading()
    }

    /// Lets the scheduler be notified of later picks again; returns the counters.
    pub(crate) fn end_reading(&self) -> CountersSeen {
        self.counters.end_reading()
    }

    /// Notes how many requests are in flight, for a scheduler that orders members by that
    /// number; returns it. An end that leaves fewer takes the note away and calls
    /// [`Scheduler::on_room`](crate::Scheduler::on_room).
    pub(crate) fn note_in_flight(&self) -> u32 {
        let mut noted = self.in_flight();
        loop {
            self.noted.store(noted, SeqCst);
            let now = self.in_flight();
            if now >= noted {
                return noted;
            }
            noted = now;
        }
    }

    /// Takes the note away if an end leaves fewer requests in flight than are noted; returns
    /// whether it does. `before` were in flight before the end. If it does, the
    /// caller has to notify the scheduler, which notes the load anew.
    #[inline]
    pub(crate) fn take_note_below(&self, before: u32) -> bool {
        let below = |noted| (before <= noted).then_some(0);
        self.noted.fetch_update(SeqCst, SeqCst, below).is_ok()
    }

    /// Stops counting requests in, because the member was removed.
    pub(crate) fn close(&self) {
        self.counters.close();
    }

    /// Counts requests in again, because the member was inserted again.
    pub(crate) fn open(&self) {
        self.counters.open();
    }

    #[inline]
    pub(crate) fn count_out(&self) -> CountedOut {
        self.counters.count_out()
    }

    /// Notes that a request waits for the head of its response, or that a head has arrived or
    /// is not waited for any more. Only while the scheduler needs the time to the head.
    #[inline]
    pub(crate) fn set_awaits_head(&self, awaits: bool) {
        self.awaits_head.store(awaits.into(), Relaxed);
    }

    /// Returns whether requests are in flight, and one of them was picked after the last head.
    ///
    /// This is a note and not a count: a later pick or head sets it right, whatever was missed,
    /// for example under another scheduler.
    #[inline]
    pub(crate) fn awaits_head(&self) -> bool {
        self.awaits_head.load(Relaxed) != 0 && self.in_flight() > 0
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
        // A member that is in error already stays in error from now on: no change of
        // status, and no lock.
        let again = |word| {
            let status = LiveStatus::from_word(word).status();
            let again = status.contains(Flag::InError) && !status.contains(Flag::IgnoreErrors);
            again.then(|| LiveStatus::new(status, now).word())
        };
        if let Ok(old) = self.live.fetch_update(SeqCst, SeqCst, again) {
            let status = LiveStatus::from_word(old).status();
            return Some((status, status));
        }
        let mut history = self.cold.history.lock();
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
            let record = &mut history.get_or_insert_default().health;
            record.follow((before, after), now, cause);
            record.count_error(old.since(), now);
        }
        Some((before, after))
    }

    /// Ends the outages in `over`, if the word is still exactly the one of `seen`: a newer
    /// error stays.
    pub(crate) fn end_outages(&self, seen: LiveStatus, over: Status, now: Timestamp) -> bool {
        let mut history = self.cold.history.lock();
        let done = self.exchange(seen, seen.changed(Status::NORMAL, over, now));
        if done {
            let before = seen.status();
            let record = &mut history.get_or_insert_default().health;
            record.follow((before, before.difference(over)), now, None);
            if before.intersection(over).contains(Flag::InError) {
                self.cold.recoveries.fetch_add(1, Relaxed);
            }
        }
        done
    }

    /// Ends the ramp, unless the member has changed since `seen`.
    pub(crate) fn end_ramp(&self, seen: LiveStatus) -> bool {
        self.exchange(seen, seen.with_ramp_ended())
    }

    fn exchange(&self, seen: LiveStatus, new: LiveStatus) -> bool {
        let (seen, new) = (seen.word(), new.word());
        let done = self.live.compare_exchange(seen, new, SeqCst, SeqCst);
        done.is_ok()
    }

    /// Marks the member as joined at `now`; its ramp begins, if its health is good.
    pub(crate) fn start_ramp(&self, now: Timestamp) {
        let _ = self.live.fetch_update(SeqCst, SeqCst, |word| {
            let live = LiveStatus::from_word(word);
            let is_well = live.status().intersection(Status::HEALTH) == Status::NORMAL;
            is_well.then(|| live.with_ramp_started(now).word())
        });
    }

    /// Ejects the member, or extends its ejection. Returns the statuses before and after,
    /// and whether anything changed.
    pub(crate) fn eject(
        &self,
        until: Timestamp,
        now: Timestamp,
        cause: &Cause,
    ) -> ((Status, Status), bool) {
        let mut history = self.cold.history.lock();
        let record = &mut history.get_or_insert_default().health;
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

    /// Returns when the ejection ends, if it ends by itself.
    pub(crate) fn ejected_until(&self) -> Option<Timestamp> {
        let history = self.cold.history.lock();
        let health = &history.as_ref()?.health.health;
        health.outage(Flag::Ejected)?.until
    }

    /// Returns how long the present error lasts: `delay` of the number of consecutive
    /// errors. The result is stored for [`health`](Self::health).
    pub(crate) fn error_delay(&self, delay: impl FnOnce(u32) -> Duration) -> Duration {
        let mut history = self.cold.history.lock();
        let record = &mut history.get_or_insert_default().health;
        let delay = delay(record.health.errors_in_a_row());
        record.error_delay = Some(delay);
        delay
    }

    /// Applies a new spec; `old` has the flags of the spec before it. Flags that were
    /// changed by other means in the meantime stay. Returns the statuses before and after.
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

    /// Sets and clears flags as of `now`, with a cause if one is known; returns the
    /// statuses before and after.
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
        let mut history = self.cold.history.lock();
        let record = &mut history.get_or_insert_default().health;
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
