//! Which check runs when, and how many run at the same time: [`CheckQueue`].
//!
//! It is pure: times are arguments. What does not live here: the members (`driver`).

use std::collections::{BTreeSet, HashMap, VecDeque};

/// The key of a member in the queue. A key is never reused.
pub(super) type CheckKey = u64;

/// The queue in which a member waits for a slot.
///
/// Checks that hang hold their slots until their time limits. Members whose last check was
/// slow have at most half of the slots, which leaves slots to the others. Both queues take
/// turns, which keeps slow members from waiting forever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speed {
    Quick,
    Slow,
}

/// The state of a member in the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CheckState<T> {
    /// Due at that time.
    Later(T),
    Running(Speed),
    Waiting(Speed),
}

/// Members by the time of their next check, the queues of members that are due, and the
/// slots.
#[derive(Debug)]
pub(super) struct CheckQueue<T> {
    states: HashMap<CheckKey, (CheckState<T>, Speed)>,
    times: BTreeSet<(T, CheckKey)>,
    /// Members that are due; a key whose state has changed since is skipped.
    quick: VecDeque<CheckKey>,
    slow: VecDeque<CheckKey>,
    slots: usize,
    running: usize,
    running_slow: usize,
    /// The queue whose turn it is, if members wait in both.
    turn: Speed,
}

impl<T: Copy + Ord> CheckQueue<T> {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            states: HashMap::new(),
            times: BTreeSet::new(),
            quick: VecDeque::new(),
            slow: VecDeque::new(),
            slots: slots.max(1),
            running: 0,
            running_slow: 0,
            turn: Speed::Quick,
        }
    }

    /// Schedules a member at `at`, unless it waits for a slot or runs.
    pub(super) fn put(&mut self, key: CheckKey, at: T) {
        let speed = match self.states.get(&key) {
            None => Speed::Quick,
            Some(&(CheckState::Later(before), speed)) => {
                self.times.remove(&(before, key));
                speed
            }
            Some(_) => return,
        };
        self.states.insert(key, (CheckState::Later(at), speed));
        self.times.insert((at, key));
    }

    /// Records the end of a member's check; it is due again at `at`.
    pub(super) fn ended(&mut self, key: CheckKey, speed: Speed, at: T) {
        let Some(&(CheckState::Running(slot), _)) = self.states.get(&key) else {
            return;
        };
        self.free_slot(slot);
        self.states.insert(key, (CheckState::Later(at), speed));
        self.times.insert((at, key));
    }

    /// Removes a member, and frees its slot if it has one.
    pub(super) fn remove(&mut self, key: CheckKey) {
        match self.states.remove(&key) {
            Some((CheckState::Later(at), _)) => {
                self.times.remove(&(at, key));
            }
            Some((CheckState::Running(slot), _)) => self.free_slot(slot),
            Some((CheckState::Waiting(_), _)) => self.tidy(),
            None => {}
        }
    }

    fn free_slot(&mut self, slot: Speed) {
        self.running -= 1;
        if slot == Speed::Slow {
            self.running_slow -= 1;
        }
    }

    /// Keeps stale keys from piling up when members come and go while all slots are taken.
    fn tidy(&mut self) {
        let Self {
            states,
            quick,
            slow,
            ..
        } = self;
        if quick.len() + slow.len() > 2 * states.len() + 64 {
            for queue in [quick, slow] {
                queue.retain(|key| states.contains_key(key));
            }
        }
    }

    /// Returns the earliest time at which another member becomes due.
    pub(super) fn next_due(&self) -> Option<T> {
        self.times.first().map(|&(at, _)| at)
    }

    /// Returns the next member to check, if one is due and a slot is free. It holds the
    /// slot until [`ended`](Self::ended).
    pub(super) fn start(&mut self, now: T) -> Option<CheckKey> {
        while let Some(&(at, key)) = self.times.first() {
            if at > now {
                break;
            }
            self.times.pop_first();
            if let Some((state, speed)) = self.states.get_mut(&key) {
                *state = CheckState::Waiting(*speed);
                match speed {
                    Speed::Quick => self.quick.push_back(key),
                    Speed::Slow => self.slow.push_back(key),
                }
            }
        }
        let (first, second) = match self.turn {
            Speed::Quick => (Speed::Quick, Speed::Slow),
            Speed::Slow => (Speed::Slow, Speed::Quick),
        };
        let (key, speed) = match self.take(first) {
            Some(key) => (key, first),
            None => (self.take(second)?, second),
        };
        self.turn = match speed {
            Speed::Quick => Speed::Slow,
            Speed::Slow => Speed::Quick,
        };
        self.running += 1;
        if speed == Speed::Slow {
            self.running_slow += 1;
        }
        self.states.insert(key, (CheckState::Running(speed), speed));
        Some(key)
    }

    fn take(&mut self, speed: Speed) -> Option<CheckKey> {
        let is_full = match speed {
            Speed::Quick => self.running >= self.slots,
            // A single slot alternates between the queues.
            Speed::Slow => {
                self.running >= self.slots || self.running_slow >= (self.slots / 2).max(1)
            }
        };
        if is_full {
            return None;
        }
        let queue = match speed {
            Speed::Quick => &mut self.quick,
            Speed::Slow => &mut self.slow,
        };
        loop {
            let key = queue.pop_front()?;
            if self.states.get(&key) == Some(&(CheckState::Waiting(speed), speed)) {
                return Some(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckQueue, Speed};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn all_that_start(queue: &mut CheckQueue<u32>, now: u32) -> Vec<u64> {
        std::iter::from_fn(|| queue.start(now)).collect()
    }

    #[test]
    fn members_start_when_they_are_due_and_a_slot_is_free() {
        let mut queue = CheckQueue::new(2);
        for (key, at) in [(1, 10), (2, 5), (3, 5), (4, 20)] {
            queue.put(key, at);
        }
        assert!(all_that_start(&mut queue, 4).is_empty());
        assert_eq!(queue.next_due(), Some(5));
        assert_eq!(all_that_start(&mut queue, 10), [2, 3]);
        assert_eq!(queue.next_due(), Some(20));
        queue.ended(2, Speed::Quick, 11);
        assert_eq!(all_that_start(&mut queue, 11), [1], "it was due before 2");
        queue.remove(3);
        assert_eq!(all_that_start(&mut queue, 11), [2]);
    }

    #[test]
    fn a_running_or_waiting_member_is_not_scheduled_again() {
        let mut queue = CheckQueue::new(1);
        queue.put(1, 0);
        queue.put(2, 0);
        assert_eq!(all_that_start(&mut queue, 0), [1]);
        queue.put(1, 0);
        queue.put(2, 0);
        assert!(all_that_start(&mut queue, 0).is_empty());
        queue.ended(1, Speed::Quick, 9);
        queue.put(1, 3);
        assert_eq!(all_that_start(&mut queue, 0), [2]);
        queue.ended(2, Speed::Quick, 9);
        assert!(all_that_start(&mut queue, 2).is_empty());
        assert_eq!(all_that_start(&mut queue, 3), [1]);
    }

    #[test]
    fn slow_members_leave_half_of_the_slots_to_others() {
        let mut queue = CheckQueue::new(4);
        for key in 0..8 {
            queue.put(key, 0);
        }
        // The first four all hang.
        assert_eq!(all_that_start(&mut queue, 0), [0, 1, 2, 3]);
        for key in 0..4 {
            queue.ended(key, Speed::Slow, 0);
        }
        let started = all_that_start(&mut queue, 0);
        assert_eq!(started.iter().filter(|&&key| key < 4).count(), 2);
        // The slow ones hang again; all others are checked nevertheless.
        for key in [4, 5] {
            assert!(started.contains(&key));
            queue.ended(key, Speed::Quick, 1);
        }
        assert_eq!(all_that_start(&mut queue, 0), [6, 7]);
    }

    #[test]
    fn a_single_slot_alternates_between_quick_and_slow_members() {
        let mut queue = CheckQueue::new(1);
        queue.put(1, 0);
        assert_eq!(queue.start(0), Some(1));
        queue.ended(1, Speed::Slow, 0);
        let mut started = Vec::new();
        for now in 0..6 {
            queue.put(2, now);
            queue.put(3, now);
            let key = queue.start(now).unwrap();
            assert_eq!(queue.start(now), None);
            started.push(key);
            let speed = if key == 1 { Speed::Slow } else { Speed::Quick };
            queue.ended(key, speed, now + 1);
        }
        assert!(started.contains(&1) && started.contains(&2) && started.contains(&3));
    }

    proptest! {
        #[test]
        fn no_slot_is_lost_and_none_runs_twice(
            steps in prop::collection::vec((0_u8..5, 0_u64..12, any::<bool>()), 0..400),
            slots in 1_usize..6,
        ) {
            let mut queue = CheckQueue::new(slots);
            let mut running = BTreeMap::new();
            let mut known = BTreeMap::new();
            for (now, (step, key, slow)) in (0_u32..).zip(steps) {
                match step {
                    0 | 1 => {
                        queue.put(key, now);
                        known.insert(key, ());
                    }
                    2 => {
                        let speed = if slow { Speed::Slow } else { Speed::Quick };
                        queue.ended(key, speed, now + 3);
                        running.remove(&key);
                    }
                    3 => {
                        queue.remove(key);
                        running.remove(&key);
                        known.remove(&key);
                    }
                    _ => {
                        while let Some(key) = queue.start(now) {
                            prop_assert!(known.contains_key(&key));
                            prop_assert!(running.insert(key, ()).is_none());
                        }
                        prop_assert!(running.len() <= slots);
                    }
                }
                prop_assert_eq!(queue.running, running.len());
            }
            // All members are checked in the end.
            let mut left = known.clone();
            for now in 1_000..1_100 {
                for &key in running.keys() {
                    queue.ended(key, Speed::Quick, 5_000);
                    left.remove(&key);
                }
                running.clear();
                while let Some(key) = queue.start(now) {
                    running.insert(key, ());
                }
            }
            prop_assert!(left.is_empty());
        }
    }
}
