//! Whether a flow may still be used: [`ClientGate`].
//!
//! The client's datagrams pass the gate in one task, and the flow closes it in another. A
//! datagram that passes keeps the flow open; after the gate is closed, none passes. So no
//! datagram is sent through a flow that has just ended.

use crate::sync::{AtomicU64, Relaxed, SeqCst};

/// The flag of a closed gate in its word, next to the number of datagrams.
const CLOSED: u64 = 1 << 63;

/// Counts the datagrams of a client, until it is closed. Times are nanoseconds since a
/// moment that the caller chooses.
#[derive(Debug)]
pub(super) struct ClientGate {
    // SeqCst read-modify-writes: a datagram is either seen by the task that closes the
    // gate, or sees that it is closed.
    word: AtomicU64,
    // Relaxed: the client side writes it before the word. If the flow's side misses that,
    // its exchange of the word fails.
    used: AtomicU64,
}

impl ClientGate {
    /// Creates a gate that one datagram has passed.
    pub(super) fn passed_at(now: u64) -> Self {
        Self {
            word: AtomicU64::new(1),
            used: AtomicU64::new(now),
        }
    }

    /// Lets a datagram of the client pass, unless the gate is closed. Returns whether it
    /// passed.
    pub(super) fn pass(&self, now: u64) -> bool {
        self.used.store(now, Relaxed);
        self.word.fetch_add(1, SeqCst) & CLOSED == 0
    }

    /// Returns when a datagram passed last, in either direction.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Records that a response has passed in the other direction.
    pub(super) fn response_passed(&self, now: u64) {
        self.used.store(now, Relaxed);
    }

    /// Closes the gate unconditionally.
    pub(super) fn close(&self) {
        self.word.fetch_or(CLOSED, SeqCst);
    }

    /// Closes the gate if no datagram has passed for the time `quiet`.
    ///
    /// # Errors
    ///
    /// The time of the next check, if the gate stays open.
    pub(super) fn close_after(&self, quiet: u64, now: u64) -> Result<(), u64> {
        let word = self.word.load(SeqCst);
        let until = self.used.load(Relaxed).saturating_add(quiet);
        if until > now {
            return Err(until);
        }
        self.close_unless_passed(word)
            .map_err(|()| now.saturating_add(quiet))
    }

    /// Closes the gate if each datagram of the client has had `each` responses.
    pub(super) fn close_if_complete(&self, responses: u64, each: u64) -> bool {
        let word = self.word.load(SeqCst);
        let expected = (word & !CLOSED).saturating_mul(each);
        responses >= expected && self.close_unless_passed(word).is_ok()
    }

    /// Closes the gate unless a datagram has passed since the word was read.
    fn close_unless_passed(&self, word: u64) -> Result<(), ()> {
        let closed = self
            .word
            .compare_exchange(word, word | CLOSED, SeqCst, SeqCst);
        closed.map(drop).map_err(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::ClientGate;

    #[test]
    fn a_gate_that_is_used_stays_open_and_tells_until_when() {
        let gate = ClientGate::passed_at(10);
        assert_eq!(gate.close_after(5, 14), Err(15));
        assert!(gate.pass(12));
        assert_eq!(gate.close_after(5, 15), Err(17));
        gate.response_passed(16);
        assert_eq!(gate.close_after(5, 17), Err(21));
        assert!(gate.pass(20));
        assert_eq!(gate.close_after(5, 25), Ok(()));
        assert!(!gate.pass(26));
    }

    #[test]
    fn a_datagram_between_the_look_and_the_close_keeps_the_gate_open() {
        let gate = ClientGate::passed_at(0);
        let word = gate.word.load(super::SeqCst);
        assert!(gate.pass(1));
        assert_eq!(gate.close_unless_passed(word), Err(()));
        assert!(gate.pass(2));
    }

    #[test]
    fn a_gate_closes_when_each_datagram_has_its_answers() {
        let gate = ClientGate::passed_at(0);
        assert!(gate.pass(0));
        assert!(!gate.close_if_complete(3, 2));
        assert!(gate.close_if_complete(4, 2));
        assert!(!gate.pass(1));
    }

    #[test]
    fn a_closed_gate_lets_nothing_pass() {
        let gate = ClientGate::passed_at(0);
        gate.close();
        assert!(!gate.pass(1));
        assert!(!gate.pass(2));
    }
}
