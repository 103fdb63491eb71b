//! A value that the application passes to its own scheduler with a request; only they know
//! its type.

use std::any::Any;
use std::fmt;

/// A borrowed value of any type, or none.
#[derive(Clone, Copy, Default)]
pub(crate) struct PickFacts<'r>(Option<&'r (dyn Any + Send + Sync)>);

impl<'r> PickFacts<'r> {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) const fn new(facts: &'r (dyn Any + Send + Sync)) -> Self {
        Self(Some(facts))
    }

    /// Returns the value, if it is of this type.
    pub(crate) fn get<T: Any>(self) -> Option<&'r T> {
        self.0?.downcast_ref()
    }
}

impl fmt::Debug for PickFacts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}
