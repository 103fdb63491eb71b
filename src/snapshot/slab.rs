//! An array by slot that shares unchanged chunks with its copies: a copy costs one pointer
//! for each chunk, a change one chunk.

use std::array;
use std::fmt;
use std::sync::Arc;

const CHUNK: usize = 64;

type Chunk<T> = [Option<Arc<T>>; CHUNK];

pub(crate) struct Slab<T>(Vec<Arc<Chunk<T>>>);

impl<T> Slab<T> {
    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<&Arc<T>> {
        self.0.get(slot / CHUNK)?[slot % CHUNK].as_ref()
    }

    /// Returns the former value.
    pub(crate) fn put(&mut self, slot: usize, value: Arc<T>) -> Option<Arc<T>> {
        while self.0.len() <= slot / CHUNK {
            self.0.push(Arc::new(array::from_fn(|_| None)));
        }
        Arc::make_mut(&mut self.0[slot / CHUNK])[slot % CHUNK].replace(value)
    }

    pub(crate) fn take(&mut self, slot: usize) -> Option<Arc<T>> {
        self.get(slot)?;
        Arc::make_mut(&mut self.0[slot / CHUNK])[slot % CHUNK].take()
    }
}

impl<T> Clone for Slab<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.0.iter().flat_map(|chunk| chunk.iter().flatten());
        f.debug_struct("Slab").field("used", &used.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;
    use std::sync::Arc;

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut slab = Slab::default();
        slab.put(3, Arc::new("a"));
        slab.put(200, Arc::new("b"));
        let copy = slab.clone();
        assert_eq!(slab.take(200).as_deref(), Some(&"b"));
        slab.put(3, Arc::new("c"));
        assert_eq!(copy.get(3).map(|value| **value), Some("a"));
        assert_eq!(copy.get(200).map(|value| **value), Some("b"));
        assert_eq!((slab.get(200), slab.get(9_999)), (None, None));
        assert_eq!(slab.take(9_999), None);
    }
}
