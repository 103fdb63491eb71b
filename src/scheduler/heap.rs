//! A heap whose order is told by its owner, which may record the index of each element, so
//! that any element can be moved or removed in O(log n).
//!
//! Each node has four children, so that a heap of many elements is flat.

const CHILDREN: usize = 4;

/// The order of a heap's elements.
pub(super) trait HeapOrder<T> {
    /// Returns whether `a` goes before `b`; never true in both directions.
    fn goes_before(&self, a: T, b: T) -> bool;

    /// Called with the new index of each element that moves.
    fn moved(&mut self, element: T, at: usize) {
        let _ = (element, at);
    }
}

/// Makes room for an element at index `at`. A list that grows step by step grows by an
/// eighth instead of doubling: there is one element for each member.
pub(super) fn make_room<T>(list: &mut Vec<T>, at: usize) {
    if at >= list.capacity() {
        let room = (at + 1).max(list.capacity() + list.capacity() / 8);
        list.reserve_exact(room - list.len());
    }
}

/// Fills a list up to index `at`.
pub(super) fn grow<T: Clone>(list: &mut Vec<T>, at: usize, empty: T) {
    make_room(list, at);
    if at >= list.len() {
        list.resize(at + 1, empty);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Heap<T>(Vec<T>);

impl<T: Copy> Heap<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes room for `count` elements in total, so that moving them needs no allocation.
    pub(super) fn reserve(&mut self, count: usize) {
        if let Some(last) = count.checked_sub(1) {
            make_room(&mut self.0, last);
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
    pub(super) fn first(&self) -> Option<T> {
        self.0.first().copied()
    }

    pub(super) fn push(&mut self, element: T, order: &mut impl HeapOrder<T>) {
        self.0.push(element);
        self.sift_up(self.0.len() - 1, order);
    }

    /// Removes the element at index `at`.
    pub(super) fn remove(&mut self, at: usize, order: &mut impl HeapOrder<T>) {
        self.0.swap_remove(at);
        if at < self.0.len() {
            self.settle(at, order);
        }
    }

    /// Replaces the element at index `at`.
    pub(super) fn change(&mut self, at: usize, element: T, order: &mut impl HeapOrder<T>) {
        self.0[at] = element;
        self.settle(at, order);
    }

    fn settle(&mut self, at: usize, order: &mut impl HeapOrder<T>) {
        let at = self.sift_up(at, order);
        self.sift_down(at, order);
    }

    fn sift_up(&mut self, mut at: usize, order: &mut impl HeapOrder<T>) -> usize {
        let element = self.0[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if !order.goes_before(element, self.0[parent]) {
                break;
            }
            self.0[at] = self.0[parent];
            order.moved(self.0[at], at);
            at = parent;
        }
        self.0[at] = element;
        order.moved(element, at);
        at
    }

    fn sift_down(&mut self, mut at: usize, order: &mut impl HeapOrder<T>) {
        let element = self.0[at];
        loop {
            let first = CHILDREN * at + 1;
            let end = (first + CHILDREN).min(self.0.len());
            if first >= end {
                break;
            }
            let mut child = first;
            for other in first + 1..end {
                if order.goes_before(self.0[other], self.0[child]) {
                    child = other;
                }
            }
            if !order.goes_before(self.0[child], element) {
                break;
            }
            self.0[at] = self.0[child];
            order.moved(self.0[at], at);
            at = child;
        }
        self.0[at] = element;
        order.moved(element, at);
    }
}

#[cfg(test)]
mod tests {
    use super::{Heap, HeapOrder};
    use crate::random::Random;
    use std::collections::BTreeSet;

    /// Slots by key, with the index of each.
    struct Slots {
        keys: Vec<Option<u64>>,
        places: Vec<usize>,
    }

    impl HeapOrder<u32> for Slots {
        fn goes_before(&self, a: u32, b: u32) -> bool {
            self.keys[a as usize] < self.keys[b as usize]
        }

        fn moved(&mut self, slot: u32, at: usize) {
            self.places[slot as usize] = at;
        }
    }

    #[test]
    fn it_agrees_with_a_sorted_set_whatever_is_moved_or_removed() {
        let random = Random::seeded(3);
        let mut heap = Heap::new();
        let mut slots = Slots {
            keys: vec![None; 200],
            places: vec![usize::MAX; 200],
        };
        let mut sorted = BTreeSet::new();
        for _ in 0..20_000 {
            let number = u32::try_from(random.below(200)).unwrap();
            let slot = number as usize;
            let at = slots.places[slot];
            // Unique keys, so that the heap and the set have the same order.
            let key = random.below(1000) * 1000 + slot as u64;
            match (slots.keys[slot], random.below(3)) {
                (None, _) => {
                    slots.keys[slot] = Some(key);
                    heap.push(number, &mut slots);
                    sorted.insert((key, number));
                }
                (Some(old), 0) => {
                    heap.remove(at, &mut slots);
                    slots.keys[slot] = None;
                    sorted.remove(&(old, number));
                }
                (Some(old), _) => {
                    slots.keys[slot] = Some(key);
                    heap.change(at, number, &mut slots);
                    sorted.remove(&(old, number));
                    sorted.insert((key, number));
                }
            }
            assert_eq!(heap.first(), sorted.first().map(|&(_, slot)| slot));
            assert_eq!(heap.is_empty(), sorted.is_empty());
        }
    }
}
