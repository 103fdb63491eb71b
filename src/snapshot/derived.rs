//! Values that schedulers make of a picture before it is published: [`Derived`].
//!
//! Not here: what the values are.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::sync::OnceLock;

/// A list of values, each with the number of its owner. It only grows, so that a reader
/// needs no lock. Copies share the values that they have.
#[derive(Clone, Default)]
pub(crate) struct Derived(OnceLock<Arc<DerivedValue>>);

struct DerivedValue {
    owner: u64,
    value: Box<dyn Any + Send + Sync>,
    next: Derived,
}

impl Derived {
    /// Returns the value of an owner, if it has one of this type.
    #[inline]
    pub(crate) fn get<T: Any>(&self, owner: u64) -> Option<&T> {
        let mut rest = self;
        loop {
            let one = rest.0.get()?;
            if one.owner == owner {
                return one.value.downcast_ref();
            }
            rest = &one.next;
        }
    }

    /// Adds a value, unless its owner has one already.
    pub(crate) fn add<T>(&self, owner: u64, value: T)
    where
        T: Any + Send + Sync,
    {
        let mut new = Arc::new(DerivedValue {
            owner,
            value: Box::new(value),
            next: Self::default(),
        });
        let mut rest = self;
        loop {
            match rest.0.get() {
                Some(one) if one.owner == owner => return,
                Some(one) => rest = &one.next,
                None => match rest.0.set(new) {
                    Ok(()) => return,
                    // Another owner was faster.
                    Err(back) => new = back,
                },
            }
        }
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Derived;

    #[test]
    fn each_owner_finds_its_own_first_value() {
        let derived = Derived::default();
        assert_eq!(derived.get::<u32>(1), None);
        derived.add(1, 10_u32);
        derived.add(2, "two");
        let copy = derived.clone();
        derived.add(1, 11_u32);
        derived.add(3, 30_u32);
        assert_eq!(derived.get::<u32>(1), Some(&10));
        assert_eq!(derived.get::<&str>(2), Some(&"two"));
        assert_eq!(derived.get::<u32>(2), None, "another type");
        assert_eq!(derived.get::<u32>(3), Some(&30));
        assert_eq!(copy.get::<u32>(1), Some(&10));
    }
}
