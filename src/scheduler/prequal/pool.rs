//! The reports that a pick compares: [`ReportPool`], which has room for 16.
//!
//! No lock: each place has a state word with the number of its report, or 0 if it is empty.
//! A writer takes a place by changing the word to [`WRITING`], writes the other words, and
//! then stores the new state. A reader reads the state before and after the other words; if
//! the number is the same, they belong together. A use or a removal exchanges the state
//! word, and only while it has the number that was read. A report for which no place can be
//! taken in a few tries is dropped: the next one is as good.
//!
//! Not here: which report wins (`choice`), and which reports are counted or removed at a
//! pick (`mod.rs`).
//!
//! # Orderings
//!
//! A writer takes a place with acquire, so that its writes follow those of the former
//! writer. It stores the other words with release, and readers load them with acquire: a
//! reader that sees one new word then also sees that the place was taken, or a later state.

use crate::clock::Timestamp;
use crate::member::MemberId;
use crate::sync::{Acquire, AtomicU32, AtomicU64, Relaxed, Release};

/// The number of reports that the pool holds. Source: the paper's default. Fewer under the
/// model checker.
pub(super) const PLACES: usize = if cfg!(equipoise_loom) { 2 } else { 16 };

/// How often a report is tried to be stored while other writers take its place.
const TRIES: usize = 4;

/// The state of a place without a report.
const EMPTY: u64 = 0;
/// The state of a place while a report is written.
const WRITING: u64 = 1;

const IN_FLIGHT_BITS: u32 = 24;
const USES_BITS: u32 = 8;
const MOST_IN_FLIGHT: u64 = (1 << IN_FLIGHT_BITS) - 1;
const MOST_USES: u64 = (1 << USES_BITS) - 1;

/// A report as it is read from the pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PooledReport {
    pub(super) place: usize,
    /// The number of the report; later ones have greater numbers, until they wrap at 2^32.
    number: u32,
    pub(super) member: MemberId,
    /// Requests in flight as reported, and the picks since.
    pub(super) in_flight: u32,
    /// In nanoseconds.
    pub(super) latency: u64,
    pub(super) at: Timestamp,
    pub(super) uses: u32,
}

impl PooledReport {
    /// Orders reports by their age: the earliest is the least.
    pub(super) fn age_key(&self) -> (Timestamp, u32) {
        (self.at, self.number)
    }
}

/// Up to 16 reports, one of each member: for a moment two, while writers store reports of one
/// member at the same time.
#[derive(Debug, Default)]
pub(super) struct ReportPool {
    places: [Place; PLACES],
    // Relaxed: only the order of the additions themselves matters.
    numbers: AtomicU32,
}

/// The room for one report; see the module's orderings.
#[derive(Debug, Default)]
struct Place {
    /// The number of the report (32 bits), its uses (8 bits) and requests in flight (24
    /// bits).
    state: AtomicU64,
    member: AtomicU64,
    at: AtomicU64,
    latency: AtomicU64,
}

impl ReportPool {
    /// Stores a report: in the place of the member's earlier one, in an empty place, or in
    /// that of the oldest report. Returns `false` if it was dropped: the member has a later
    /// report already, or other writers were in the way.
    pub(super) fn insert(
        &self,
        member: MemberId,
        in_flight: u32,
        latency: u64,
        at: Timestamp,
    ) -> bool {
        for _ in 0..TRIES {
            let (place, seen) = match self.of(member) {
                Some(earlier) if earlier.at > at => return false,
                Some(earlier) => {
                    let seen = self.places[earlier.place].state.load(Relaxed);
                    if number_of(seen) != earlier.number {
                        continue;
                    }
                    (earlier.place, seen)
                }
                None => match self.free_place() {
                    Some(found) => found,
                    None => continue,
                },
            };
            let place = &self.places[place];
            if (place.state)
                .compare_exchange(seen, WRITING, Acquire, Relaxed)
                .is_err()
            {
                continue;
            }
            place.member.store(member.to_bits(), Release);
            place.at.store(at.as_nanos(), Release);
            place.latency.store(latency, Release);
            let in_flight = u64::from(in_flight).min(MOST_IN_FLIGHT);
            let number = u64::from(self.next_number());
            let state = number << (IN_FLIGHT_BITS + USES_BITS) | in_flight;
            place.state.store(state, Release);
            self.keep_latest(member);
            return true;
        }
        false
    }

    /// Removes all reports of a member but the latest: writers at the same time may each have
    /// taken a place for it.
    fn keep_latest(&self, member: MemberId) {
        let reports = || self.iter().filter(|report| report.member == member);
        let Some(latest) = reports().max_by_key(PooledReport::age_key) else {
            return;
        };
        for report in reports().filter(|it| it.age_key() < latest.age_key()) {
            self.remove(&report);
        }
    }

    /// Returns the place for a report of a member that has none, with its state.
    fn free_place(&self) -> Option<(usize, u64)> {
        let empty = self
            .places
            .iter()
            .position(|it| it.state.load(Relaxed) == EMPTY);
        if let Some(place) = empty {
            return Some((place, EMPTY));
        }
        let oldest = self.iter().min_by_key(PooledReport::age_key)?;
        let seen = self.places[oldest.place].state.load(Relaxed);
        (number_of(seen) == oldest.number).then_some((oldest.place, seen))
    }

    /// Iterates over the reports.
    pub(super) fn iter(&self) -> impl Iterator<Item = PooledReport> + '_ {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(place, it)| it.read(place))
    }

    /// Returns the report of a member.
    pub(super) fn of(&self, member: MemberId) -> Option<PooledReport> {
        self.iter().find(|report| report.member == member)
    }

    /// Counts a pick that used a report: one more request in flight and one more use. After
    /// `most` uses the report is removed.
    pub(super) fn count_use(&self, report: &PooledReport, most: u32) {
        self.update(report, |uses, in_flight| {
            (uses + 1 < u64::from(most)).then_some((uses + 1, in_flight + 1))
        });
    }

    /// Counts a pick of the member that used no report.
    pub(super) fn count_pick(&self, member: MemberId) {
        if let Some(report) = self.of(member) {
            self.update(&report, |uses, in_flight| Some((uses, in_flight + 1)));
        }
    }

    pub(super) fn remove(&self, report: &PooledReport) {
        self.update(report, |_, _| None);
    }

    /// Removes all reports; one that is being written stays.
    pub(super) fn clear(&self) {
        for report in self.iter() {
            self.remove(&report);
        }
    }

    /// Changes uses and requests in flight of a report that is still there, or removes it.
    fn update(&self, report: &PooledReport, change: impl Fn(u64, u64) -> Option<(u64, u64)>) {
        let next = |state: u64| {
            if number_of(state) != report.number {
                return None;
            }
            let changed = change(uses_of(state), state & MOST_IN_FLIGHT);
            let kept = changed.map(|(uses, in_flight)| {
                u64::from(report.number) << (IN_FLIGHT_BITS + USES_BITS)
                    | uses.min(MOST_USES) << IN_FLIGHT_BITS
                    | in_flight.min(MOST_IN_FLIGHT)
            });
            Some(kept.unwrap_or(EMPTY))
        };
        // Relaxed: the other words do not change.
        let _ = self.places[report.place]
            .state
            .fetch_update(Relaxed, Relaxed, next);
    }

    /// Returns the number of the next report; never 0.
    fn next_number(&self) -> u32 {
        loop {
            let number = self.numbers.fetch_add(1, Relaxed).wrapping_add(1);
            if number != 0 {
                return number;
            }
        }
    }
}

impl Place {
    fn read(&self, place: usize) -> Option<PooledReport> {
        let state = self.state.load(Acquire);
        let number = number_of(state);
        if number == 0 {
            return None;
        }
        let member = MemberId::from_bits(self.member.load(Acquire));
        let at = Timestamp::from_nanos(self.at.load(Acquire));
        let latency = self.latency.load(Acquire);
        let state = self.state.load(Relaxed);
        if number_of(state) != number {
            return None;
        }
        Some(PooledReport {
            place,
            number,
            member: member?,
            in_flight: low(state & MOST_IN_FLIGHT),
            latency,
            at,
            uses: low(uses_of(state)),
        })
    }
}

fn number_of(state: u64) -> u32 {
    low(state >> (IN_FLIGHT_BITS + USES_BITS))
}

fn uses_of(state: u64) -> u64 {
    state >> IN_FLIGHT_BITS & MOST_USES
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits at most")]
fn low(bits: u64) -> u32 {
    bits as u32
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{PLACES, ReportPool};
    use crate::clock::Timestamp;
    use crate::member::MemberId;
    use crate::sync::Relaxed;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn ids(count: u32) -> Vec<MemberId> {
        (0..count).map(MemberId::new).collect()
    }

    #[test]
    fn a_full_pool_drops_its_oldest_report() {
        let pool = ReportPool::default();
        let ids = ids(20);
        for (time, &id) in (0..).zip(&ids) {
            assert!(pool.insert(id, 3, 7, at(time)));
        }
        assert_eq!(pool.iter().count(), PLACES);
        let kept = ids.iter().filter(|&&id| pool.of(id).is_some());
        assert!(kept.eq(&ids[4..]), "the last sixteen");
    }

    #[test]
    fn a_report_replaces_the_earlier_one_of_its_member() {
        let pool = ReportPool::default();
        let ids = ids(2);
        assert!(pool.insert(ids[0], 9, 0, at(5)));
        assert!(pool.insert(ids[0], 2, 0, at(5)), "as late as the other");
        assert!(!pool.insert(ids[0], 1, 0, at(4)), "it was overtaken");
        assert_eq!(pool.iter().count(), 1);
        assert_eq!(pool.of(ids[0]).unwrap().in_flight, 2);
    }

    #[test]
    fn of_two_reports_of_a_member_the_later_one_stays() {
        for times in [[3, 4], [4, 3]] {
            let pool = ReportPool::default();
            let ids = ids(2);
            for (&id, time) in ids.iter().zip(times) {
                pool.insert(id, 0, 0, at(time));
            }
            // As if two writers had each taken a place for it.
            pool.places[1].member.store(ids[0].to_bits(), Relaxed);
            pool.keep_latest(ids[0]);
            let left: Vec<_> = pool.iter().map(|it| it.at).collect();
            assert_eq!(left, [at(4)]);
        }
    }

    #[test]
    fn threads_that_report_one_member_leave_one_report() {
        let pool = ReportPool::default();
        let id = ids(1)[0];
        for round in 0..500 {
            pool.clear();
            std::thread::scope(|scope| {
                for time in 0..3 {
                    let pool = &pool;
                    scope.spawn(move || pool.insert(id, 0, 0, at(round * 10 + time)));
                }
            });
            assert_eq!(pool.iter().count(), 1);
        }
    }

    #[test]
    fn a_use_counts_a_request_and_the_last_one_removes_the_report() {
        let pool = ReportPool::default();
        let id = ids(1)[0];
        pool.insert(id, 5, 0, at(0));
        let report = pool.of(id).unwrap();
        pool.count_use(&report, 3);
        pool.count_pick(id);
        let used = pool.of(id).unwrap();
        assert_eq!((used.in_flight, used.uses), (7, 1));
        pool.count_use(&report, 3);
        assert_eq!(pool.of(id).unwrap().uses, 2);
        pool.count_use(&report, 3);
        assert_eq!(pool.of(id), None);
    }

    #[test]
    fn a_report_that_was_replaced_is_neither_used_nor_removed() {
        let pool = ReportPool::default();
        let id = ids(1)[0];
        pool.insert(id, 5, 0, at(0));
        let former = pool.of(id).unwrap();
        pool.insert(id, 1, 0, at(1));
        pool.count_use(&former, 9);
        pool.remove(&former);
        let present = pool.of(id).unwrap();
        assert_eq!((present.in_flight, present.uses), (1, 0));
    }

    #[test]
    fn numbers_saturate() {
        let pool = ReportPool::default();
        let id = ids(1)[0];
        pool.insert(id, u32::MAX, u64::MAX, at(0));
        pool.count_pick(id);
        let report = pool.of(id).unwrap();
        assert_eq!(
            (report.in_flight, report.latency),
            ((1 << 24) - 1, u64::MAX)
        );
        for _ in 0..300 {
            pool.count_use(&pool.of(id).unwrap(), u32::MAX);
        }
        assert_eq!(pool.of(id).unwrap().uses, 255);
    }

    #[test]
    fn threads_see_reports_as_they_were_stored() {
        let pool = ReportPool::default();
        let ids = ids(40);
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (pool, ids) = (&pool, &ids);
                scope.spawn(move || {
                    for round in 0..5_000_u64 {
                        let index = (round * 7 + thread * 13) % 40;
                        let id = ids[usize::try_from(index).unwrap()];
                        // The words of a report agree with each other.
                        pool.insert(id, 0, id.to_bits() ^ round, at(round));
                        for report in pool.iter() {
                            assert_eq!(
                                report.latency,
                                report.member.to_bits() ^ report.at.as_nanos()
                            );
                            pool.count_use(&report, 3);
                        }
                    }
                });
            }
        });
    }
}

#[cfg(all(test, equipoise_loom))]
mod loom_tests {
    use super::ReportPool;
    use crate::clock::Timestamp;
    use crate::member::MemberId;
    use std::sync::Arc;

    #[test]
    fn loom_a_reader_sees_a_report_as_it_was_stored() {
        let mut checker = loom::model::Builder::new();
        checker.preemption_bound.get_or_insert(3);
        checker.check(|| {
            let ids = [MemberId::new(0), MemberId::new(1)];
            let pool = Arc::new(ReportPool::default());
            let store = |pool: &ReportPool, id: MemberId, time: u64| {
                pool.insert(id, 0, id.to_bits() ^ time, Timestamp::from_nanos(time));
            };
            store(&pool, ids[0], 1);
            let writer = {
                let pool = pool.clone();
                loom::thread::spawn(move || {
                    store(&pool, ids[0], 2);
                    store(&pool, ids[1], 3);
                })
            };
            for report in pool.iter() {
                let expected = report.member.to_bits() ^ report.at.as_nanos();
                assert_eq!(report.latency, expected, "its words belong together");
                pool.count_use(&report, 2);
            }
            assert!(writer.join().is_ok());
        });
    }
}
