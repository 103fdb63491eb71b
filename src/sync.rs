//! Every atomic, lock and published pointer that the crate uses, in one place, so that one
//! cfg (`equipoise_loom`) replaces all of them by a model checker's.
//!
//! Not here: any protocol. The ordering of each access is justified beside
//! the field that uses it.

#[cfg(not(equipoise_loom))]
pub(crate) use real::{AtomicU32, AtomicU64, Mutex, Published};

#[cfg(equipoise_loom)]
pub(crate) use modelled::{AtomicU32, AtomicU64, Mutex, Published};

pub(crate) use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// A value that is set once and then read without waiting. The model checker does not
/// replace it.
pub(crate) use std::sync::OnceLock;

/// Returns a number for a member that no earlier call in this process has returned.
///
/// A plain static, also under the model checker: nothing is published through it.
pub(crate) fn next_serial() -> u64 {
    use std::sync::atomic::AtomicU64;

    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

#[cfg(not(equipoise_loom))]
mod real {
    use std::sync::Arc;

    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};

    /// What a reader holds while it uses one published value.
    type Loaded<T> = arc_swap::Guard<Arc<T>>;

    /// A pointer that readers follow without waiting and that a writer replaces.
    pub(crate) struct Published<T>(arc_swap::ArcSwap<T>);

    impl<T> Published<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(arc_swap::ArcSwap::from_pointee(value))
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            self.0.load()
        }

        /// Publishes a value, and returns the former one for the caller to drop.
        pub(crate) fn swap(&self, value: T) -> Arc<T> {
            self.0.swap(Arc::new(value))
        }
    }
}

#[cfg(equipoise_loom)]
mod modelled {
    use std::ops::Deref;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use loom::sync::MutexGuard;
    use loom::sync::atomic as loomed;

    use super::SeqCst;

    /// Dereferences as `arc_swap::Guard` does.
    pub(crate) struct Loaded<T>(Arc<T>);

    impl<T> Deref for Loaded<T> {
        type Target = Arc<T>;

        fn deref(&self) -> &Arc<T> {
            &self.0
        }
    }

    /// An atomic of the model checker whose sequentially consistent operations are really
    /// sequentially consistent.
    ///
    /// The checker treats `SeqCst` loads and stores as acquire and release, and reports a
    /// failure where the one total order forbids it. Its read-modify-writes do have one
    /// order for each atomic, so these operations are modelled by them. Weaker operations
    /// stay as the checker has them.
    macro_rules! atomic {
        ($name:ident, $number:ty) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name(loomed::$name);

            impl $name {
                pub(crate) fn new(value: $number) -> Self {
                    Self(loomed::$name::new(value))
                }

                pub(crate) fn load(&self, ordering: Ordering) -> $number {
                    if ordering != SeqCst {
                        return self.0.load(ordering);
                    }
                    // Unlike an addition of zero, an exchange that fails writes nothing and
                    // so releases nothing. If it succeeds by chance, it writes the value
                    // that was there.
                    const UNLIKELY: $number = <$number>::MAX - 0x5eed;
                    match self.0.compare_exchange(UNLIKELY, UNLIKELY, SeqCst, SeqCst) {
                        Ok(value) | Err(value) => value,
                    }
                }

                pub(crate) fn store(&self, value: $number, ordering: Ordering) {
                    if ordering == SeqCst {
                        self.0.swap(value, ordering);
                    } else {
                        self.0.store(value, ordering);
                    }
                }

                /// As the checker's own, which begins with a plain load.
                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    mut update: impl FnMut($number) -> Option<$number>,
                ) -> Result<$number, $number> {
                    let mut seen = self.load(fetch);
                    while let Some(next) = update(seen) {
                        match self.0.compare_exchange(seen, next, set, fetch) {
                            Ok(seen) => return Ok(seen),
                            Err(newer) => seen = newer,
                        }
                    }
                    Err(seen)
                }
            }

            impl Deref for $name {
                type Target = loomed::$name;

                fn deref(&self) -> &loomed::$name {
                    &self.0
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);

    /// The interface of `parking_lot::Mutex` over the model checker's lock.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.lock() {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            }
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        /// Waits without a limit: the model checker has no time.
        pub(crate) fn try_lock_for(&self, _: Duration) -> Option<MutexGuard<'_, T>> {
            Some(self.lock())
        }

        pub(crate) fn is_locked(&self) -> bool {
            self.0.try_lock().is_err()
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    pub(crate) struct Published<T>(Mutex<Arc<T>>);

    impl<T> Published<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(Arc::new(value)))
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            Loaded(self.0.lock().clone())
        }

        pub(crate) fn swap(&self, value: T) -> Arc<T> {
            std::mem::replace(&mut *self.0.lock(), Arc::new(value))
        }
    }
}
