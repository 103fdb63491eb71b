//! The operations of an edit: [`Operation`].
//!
//! Not here: their combined result (`draft.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::member::{Flag, MemberSpec, Overrides, Status};

/// One operation of an edit.
pub(super) enum Operation<'c, W> {
    ClearOverrides(Arc<str>),
    /// Sets or clears a flag that is not one of health, as an operator does.
    Flag(Arc<str>, Flag, bool),
    /// Sets or clears a flag of health.
    Health(Arc<str>, Flag, bool),
    /// The payload is taken when the edit is carried out.
    Insert(Arc<str>, Option<W>, MemberSpec),
    Override(Arc<str>, SpecChange<'c, Overrides>),
    Remove(Arc<str>),
    /// Removes the source's members that no operation from this one on has inserted.
    RemoveOthers(usize),
    Update(Arc<str>, SpecChange<'c, MemberSpec>),
}

/// A change by a caller's closure. The closure runs outside every lock; its results are
/// stored, so that they can be looked up under a lock.
pub(super) struct SpecChange<'c, T> {
    run: Box<dyn Fn(T) -> T + Send + 'c>,
    known: Option<(T, T)>,
}

impl<'c, T: Clone + PartialEq> SpecChange<'c, T> {
    pub(super) fn new(run: impl Fn(T) -> T + Send + 'c) -> Self {
        Self {
            run: Box::new(run),
            known: None,
        }
    }

    /// Returns the result for `input`, if it was computed.
    pub(super) fn outcome(&self, input: &T) -> Option<T> {
        let (known, outcome) = self.known.as_ref()?;
        (known == input).then(|| outcome.clone())
    }

    fn work_out(&mut self, input: T) -> T {
        if let Some(outcome) = self.outcome(&input) {
            return outcome;
        }
        let outcome = (self.run)(input.clone());
        self.known = Some((input, outcome.clone()));
        outcome
    }
}

/// The input of a caller's closure.
pub(super) enum Input {
    Overrides(Overrides),
    Spec(MemberSpec),
}

/// Runs the callers' closures that are `open`, in order and outside every lock: they may
/// run any code.
///
/// Later closures for the same members run too, with these results as input, since a draft
/// will most likely need them. So a member that is changed many times in one edit does not
/// need as many drafts.
pub(super) fn work_out<W>(operations: &mut [Operation<'_, W>], open: Vec<(usize, Input)>) {
    let mut open = open.into_iter().peekable();
    let mut found = ChangedMembers::default();
    for (at, operation) in operations.iter_mut().enumerate() {
        if let Some((_, input)) = open.next_if(|&(open, _)| open == at) {
            found.begin(operation, input);
        }
        found.follow(operation);
    }
}

/// The results for the members whose closures are being run.
#[derive(Default)]
struct ChangedMembers {
    overrides: HashMap<Arc<str>, Overrides>,
    specs: HashMap<Arc<str>, MemberSpec>,
}

impl ChangedMembers {
    fn begin<W>(&mut self, operation: &Operation<'_, W>, input: Input) {
        match (operation, input) {
            (Operation::Override(name, _), Input::Overrides(input)) => {
                self.overrides.insert(name.clone(), input);
            }
            (Operation::Update(name, _), Input::Spec(input)) => {
                self.specs.insert(name.clone(), input);
            }
            // A draft requests of each operation its own kind of result.
            _ => {}
        }
    }

    fn follow<W>(&mut self, operation: &mut Operation<'_, W>) {
        match operation {
            Operation::ClearOverrides(name) => {
                if let Some(overrides) = self.overrides.get_mut(name) {
                    *overrides = Overrides::new();
                }
            }
            Operation::Flag(name, flag, on) => {
                if let Some(overrides) = self.overrides.get_mut(name) {
                    *overrides = flagged(std::mem::take(overrides), *flag, *on);
                }
            }
            Operation::Insert(name, _, spec) => {
                if let Some(source) = self.specs.get_mut(name) {
                    *source = without_health(spec.clone());
                }
            }
            Operation::Override(name, change) => {
                if let Some(overrides) = self.overrides.get_mut(name) {
                    *overrides = change.work_out(std::mem::take(overrides));
                }
            }
            Operation::Update(name, change) => {
                if let Some(source) = self.specs.get_mut(name) {
                    *source = without_health(change.work_out(std::mem::take(source)));
                }
            }
            Operation::Health(..) | Operation::Remove(_) | Operation::RemoveOthers(_) => {}
        }
    }
}

/// Returns the overrides after an operator has set or cleared a flag.
pub(super) fn flagged(overrides: Overrides, flag: Flag, on: bool) -> Overrides {
    if on {
        overrides.with_flag(flag)
    } else {
        overrides.with_flag_off(flag)
    }
}

/// Returns a source's spec without the flags of health, which a source does not set.
pub(super) fn without_health(spec: MemberSpec) -> MemberSpec {
    let flags = spec.status().difference(Status::HEALTH);
    spec.with_status(flags)
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

#[cfg(test)]
mod tests {
    use super::{Input, Operation, SpecChange, work_out};
    use crate::member::{Flag, MemberSpec, Overrides};

    type Recorded = Operation<'static, ()>;

    fn update(name: &str) -> Recorded {
        let next = |spec: MemberSpec| {
            let tier = spec.tier() + 1;
            spec.with_tier(tier).with_flag(Flag::InError)
        };
        Operation::Update(name.into(), SpecChange::new(next))
    }

    fn override_tier(name: &str) -> Recorded {
        let next = |it: Overrides| it.with_tier(7);
        Operation::Override(name.into(), SpecChange::new(next))
    }

    fn spec_of(operation: &Recorded, input: &MemberSpec) -> Option<MemberSpec> {
        match operation {
            Operation::Update(_, change) => change.outcome(input),
            _ => None,
        }
    }

    #[test]
    fn later_changes_of_a_member_run_on_what_the_earlier_ones_come_to() {
        let mut recorded = [update("b"), update("a"), update("b"), update("a")];
        let spec = MemberSpec::new();
        work_out(&mut recorded, vec![(1, Input::Spec(spec.clone()))]);
        let second = spec_of(&recorded[3], &spec.clone().with_tier(1)).unwrap();
        assert_eq!(second.tier(), 2, "without the flag of health between them");
        assert_eq!(spec_of(&recorded[0], &spec), None, "nothing asked for it");
        assert_eq!(spec_of(&recorded[2], &spec), None);
    }

    #[test]
    fn what_is_recorded_between_two_changes_counts() {
        let flag = Operation::Flag("a".into(), Flag::Draining, true);
        let cleared = Operation::ClearOverrides("a".into());
        let first = override_tier("a");
        let mut recorded = [first, flag, override_tier("a"), cleared, override_tier("a")];
        let input = Overrides::new();
        work_out(&mut recorded, vec![(0, Input::Overrides(input.clone()))]);
        let known = |at: usize, input: &Overrides| match &recorded[at] {
            Operation::Override(_, change) => change.outcome(input).is_some(),
            _ => false,
        };
        let flagged = Overrides::new().with_tier(7).with_flag(Flag::Draining);
        assert!(known(0, &input) && known(2, &flagged) && known(4, &input));
    }
}
