//! Facts about a request whose type only its user and its scheduler know.

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

    /// The value, if it is of this type.
    pub(crate) fn get<T: Any>(self) -> Option<&'r T> {
        self.0?.downcast_ref()
    }
}

impl fmt::Debug for PickFacts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}
