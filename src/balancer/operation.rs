//! What an edit asks for, one [`Operation`] a call.
//!
//! What does not live here: what all of them together come to (`draft.rs`).

use std::fmt;
use std::sync::Arc;

use crate::member::{Flag, MemberSpec, Overrides};

/// One thing that an edit asks for.
pub(super) enum Operation<'c, W> {
    ClearOverrides(Arc<str>),
    /// Sets or clears a flag that is not of health, as an operator does.
    Flag(Arc<str>, Flag, bool),
    /// Sets or clears a flag of health.
    Health(Arc<str>, Flag, bool),
    /// The payload is taken when the edit is carried out.
    Insert(Arc<str>, Option<W>, MemberSpec),
    Override(Arc<str>, Rewrite<'c, Overrides>),
    Remove(Arc<str>),
    /// Removes the source's members that no operation from this one on has inserted.
    RemoveOthers(usize),
    Update(Arc<str>, Rewrite<'c, MemberSpec>),
}

/// A change in the words of a caller. It is run outside every lock, and remembers what it
/// came to, so that the outcome can be looked up under one.
pub(super) struct Rewrite<'c, T> {
    run: Box<dyn Fn(T) -> T + Send + 'c>,
    known: Option<(T, T)>,
}

impl<'c, T: Clone + PartialEq> Rewrite<'c, T> {
    pub(super) fn new(run: impl Fn(T) -> T + Send + 'c) -> Self {
        Self {
            run: Box::new(run),
            known: None,
        }
    }

    /// What becomes of `input`, if that was worked out.
    pub(super) fn outcome(&self, input: &T) -> Option<T> {
        let (known, outcome) = self.known.as_ref()?;
        (known == input).then(|| outcome.clone())
    }

    fn work_out(&mut self, input: T) {
        let outcome = (self.run)(input.clone());
        self.known = Some((input, outcome));
    }
}

/// What a change in the words of a caller is to be made of.
pub(super) enum Input {
    Overrides(Overrides),
    Spec(MemberSpec),
}

impl<W> Operation<'_, W> {
    /// Runs the caller's change, which may do anything: outside every lock.
    pub(super) fn work_out(&mut self, input: Input) {
        match (self, input) {
            (Self::Override(_, change), Input::Overrides(input)) => change.work_out(input),
            (Self::Update(_, change), Input::Spec(input)) => change.work_out(input),
            // A draft asks each operation for its own kind.
            _ => {}
        }
    }
}

impl<W> fmt::Debug for Operation<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClearOverrides(name) => write!(f, "clear_overrides({name:?})"),
            Self::Flag(name, flag, on) | Self::Health(name, flag, on) => {
                let verb = if *on { "set" } else { "clear" };
                write!(f, "{verb}_flag({name:?}, {flag})")
            }
            Self::Insert(name, ..) => write!(f, "insert({name:?})"),
            Self::Override(name, _) => write!(f, "override_member({name:?})"),
            Self::Remove(name) => write!(f, "remove({name:?})"),
            Self::RemoveOthers(_) => write!(f, "remove all others"),
            Self::Update(name, _) => write!(f, "update({name:?})"),
        }
    }
}
