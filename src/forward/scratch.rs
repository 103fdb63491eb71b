//! The buffer that bytes pass through: one for each thread, lent to the stream that is
//! being read.
//!
//! A stream only owns a buffer while the other side does not accept its bytes, so an idle
//! connection costs no buffer.

use std::cell::Cell;

/// The number of bytes that are read at once.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Takes the thread's buffer, or a new one if it is in use.
pub(super) fn take() -> Box<[u8]> {
    SPARE.take().unwrap_or_else(|| vec![0; SIZE].into())
}

/// Returns a buffer for the next stream. A buffer of another size is freed.
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
