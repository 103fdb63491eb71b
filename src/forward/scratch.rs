//! The memory that bytes pass through: one piece for each thread, lent to whatever stream is
//! read from.
//!
//! A stream has bytes of its own only while the other side takes none, so a connection that
//! is idle costs no buffer.

use std::cell::Cell;

/// How much is read at once.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Takes the thread's memory, or new memory if a stream has it.
pub(super) fn take() -> Box<[u8]> {
    SPARE.take().unwrap_or_else(|| vec![0; SIZE].into())
}

/// Puts it back for the next stream. Memory of another size is given up.
pub(super) fn put_back(memory: Box<[u8]>) {
    if memory.len() == SIZE {
        SPARE.set(Some(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZE, put_back, take};

    #[test]
    fn memory_that_was_put_back_is_lent_again() {
        let (mut one, other) = (take(), take());
        assert_eq!((one.len(), other.len()), (SIZE, SIZE));
        one[0] = 7;
        put_back(one);
        assert_eq!(take()[0], 7);
        put_back(other);
    }
}
