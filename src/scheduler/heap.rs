//! A heap of slots by key that records the index of each slot, so that any slot can be
//! moved or removed in O(log n).
//!
//! Each node has four children, and the keys lie beside the slots: the four children are
//! compared within two cache lines, without reading the members.

const CHILDREN: usize = 4;

/// The key that orders a heap.
pub(super) trait HeapKey: Copy {
    /// Returns whether this key goes before `other`; never true in both directions.
    fn goes_before(&self, other: &Self) -> bool;
}

/// Makes room for an element at index `at`, with a margin of an eighth instead of doubling.
pub(super) fn make_room<T>(list: &mut Vec<T>, at: usize) {
    if at >= list.capacity() {
        list.reserve_exact(at + 1 + at / 8 - list.len());
    }
}

/// Fills a list up to index `at`.
pub(super) fn grow<T: Clone>(list: &mut Vec<T>, at: usize, empty: T) {
    make_room(list, at);
    if at >= list.len() {
        list.resize(at + 1, empty);
    }
}

#[derive(Debug)]
pub(super) struct Heap<K>(Vec<(K, u32)>);

impl<K: HeapKey> Heap<K> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes room for `slots` in total, so that moving them needs no allocation.
    pub(super) fn reserve(&mut self, slots: usize) {
        if slots > self.0.capacity() {
            // A margin of an eighth instead of doubling: there is one such entry for each
            // member.
            let room = slots + slots / 8;
            self.0.reserve_exact(room - self.0.len());
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<(K, u32)> {
        self.0.first().copied()
    }

    /// Inserts a slot; `moved` is called with the new index of each slot that moves.
    pub(super) fn push(&mut self, key: K, slot: u32, mut moved: impl FnMut(u32, usize)) {
        self.0.push((key, slot));
        self.sift_up(self.0.len() - 1, &mut moved);
    }

    /// Removes the element at index `at`.
    pub(super) fn remove(&mut self, at: usize, mut moved: impl FnMut(u32, usize)) {
        self.0.swap_remove(at);
        if at < self.0.len() {
            self.settle(at, &mut moved);
        }
    }

    /// Changes the key of the element at index `at`.
    pub(super) fn change(&mut self, at: usize, key: K, mut moved: impl FnMut(u32, usize)) {
        self.0[at].0 = key;
        self.settle(at, &mut moved);
    }

    fn settle(&mut self, at: usize, moved: &mut impl FnMut(u32, usize)) {
        let at = self.sift_up(at, moved);
        self.sift_down(at, moved);
    }

    fn sift_up(&mut self, mut at: usize, moved: &mut impl FnMut(u32, usize)) -> usize {
        let item = self.0[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if !item.0.goes_before(&self.0[parent].0) {
                break;
            }
            self.0[at] = self.0[parent];
            moved(self.0[at].1, at);
            at = parent;
        }
        self.0[at] = item;
        moved(item.1, at);
        at
    }

    fn sift_down(&mut self, mut at: usize, moved: &mut impl FnMut(u32, usize)) {
        let item = self.0[at];
        loop {
            let first = CHILDREN * at + 1;
            let end = (first + CHILDREN).min(self.0.len());
            if first >= end {
                break;
            }
            let mut child = first;
            for other in first + 1..end {
                if self.0[other].0.goes_before(&self.0[child].0) {
                    child = other;
                }
            }
            if !self.0[child].0.goes_before(&item.0) {
                break;
            }
            self.0[at] = self.0[child];
            moved(self.0[at].1, at);
            at = child;
        }
        self.0[at] = item;
        moved(item.1, at);
    }
}

#[cfg(test)]
mod tests {
    use super::{Heap, HeapKey};
    use crate::random::Random;
    use std::collections::BTreeSet;

    impl HeapKey for u64 {
        fn goes_before(&self, other: &Self) -> bool {
            self < other
        }
    }

    #[test]
    fn it_agrees_with_a_sorted_set_whatever_is_moved_or_removed() {
        let random = Random::seeded(3);
        let mut heap = Heap::new();
        let mut places = vec![usize::MAX; 200];
        let mut keys = vec![None::<u64>; 200];
        let mut sorted = BTreeSet::new();
        for _ in 0..20_000 {
            let slot = usize::try_from(random.below(200)).unwrap();
            // Unique keys, so that the heap and the set have the same order.
            let key = random.below(1000) * 1000 + slot as u64;
            let number = u32::try_from(slot).unwrap();
            let moved = |slot: u32, at: usize| places[slot as usize] = at;
            match (keys[slot], random.below(3)) {
                (None, _) => {
                    heap.push(key, number, moved);
                    keys[slot] = Some(key);
                    sorted.insert((key, number));
                }
                (Some(old), 0) => {
                    let at = places[slot];
                    heap.remove(at, |slot, at| places[slot as usize] = at);
                    keys[slot] = None;
                    sorted.remove(&(old, number));
                }
                (Some(old), _) => {
                    let at = places[slot];
                    heap.change(at, key, |slot, at| places[slot as usize] = at);
                    keys[slot] = Some(key);
                    sorted.remove(&(old, number));
                    sorted.insert((key, number));
                }
            }
            assert_eq!(heap.first(), sorted.first().copied());
            assert_eq!(heap.is_empty(), sorted.is_empty());
        }
    }
}
