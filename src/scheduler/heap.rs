//! A binary heap of slots that knows where each slot stands, so that any of them can
//! be moved or removed in O(log n).
//!
//! It holds no keys: whoever owns them says which slot goes first.

/// The owner of the keys.
pub(super) trait Ranked {
    /// Tells whether `a` goes before `b`; never both ways.
    fn goes_before(&self, a: u32, b: u32) -> bool;

    /// Hears that `slot` now stands at index `at`.
    fn moved(&mut self, slot: u32, at: usize);
}

pub(super) fn push(heap: &mut Vec<u32>, slot: u32, owner: &mut impl Ranked) {
    let at = heap.len();
    heap.push(slot);
    sift_up(heap, at, owner);
}

/// Removes what stands at index `at`.
pub(super) fn remove(heap: &mut Vec<u32>, at: usize, owner: &mut impl Ranked) {
    heap.swap_remove(at);
    if at < heap.len() {
        settle(heap, at, owner);
    }
}

/// Restores the order after the key of what stands at index `at` has changed.
pub(super) fn settle(heap: &mut [u32], at: usize, owner: &mut impl Ranked) {
    let at = sift_up(heap, at, owner);
    sift_down(heap, at, owner);
}

fn sift_up(heap: &mut [u32], mut at: usize, owner: &mut impl Ranked) -> usize {
    let slot = heap[at];
    while at > 0 {
        let parent = (at - 1) / 2;
        if !owner.goes_before(slot, heap[parent]) {
            break;
        }
        heap[at] = heap[parent];
        owner.moved(heap[at], at);
        at = parent;
    }
    heap[at] = slot;
    owner.moved(slot, at);
    at
}

fn sift_down(heap: &mut [u32], mut at: usize, owner: &mut impl Ranked) {
    let slot = heap[at];
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            break;
        }
        if child + 1 < heap.len() && owner.goes_before(heap[child + 1], heap[child]) {
            child += 1;
        }
        if !owner.goes_before(heap[child], slot) {
            break;
        }
        heap[at] = heap[child];
        owner.moved(heap[at], at);
        at = child;
    }
    heap[at] = slot;
    owner.moved(slot, at);
}
