//! The results of an edit's operations, computed before anything is changed: [`Draft`].
//!
//! A draft is made and carried out under the editor's lock. It runs none of the caller's
//! code. Where it needs the result of a caller's closure that is not known yet, it records
//! the closure's input; another draft is made once the closure has run.

use std::collections::HashMap;
use std::sync::Arc;

use super::EditError;
use super::editor::Editor;
use super::operation::{Input, Operation, flagged, without_health};
use crate::member::{Flag, MemberId, MemberSpec, MemberState, Overrides, Status};
use crate::snapshot::{Seat, SourceName};

/// The result of an edit, member by member.
pub(super) struct Draft {
    /// In the order in which the edit names them first.
    members: Vec<Drafted>,
    by_name: HashMap<Arc<str>, usize>,
    /// The inserted members, in that order, which is also their order in ties.
    inserted: Vec<usize>,
    open: Vec<(usize, Input)>,
}

/// The result for one member.
struct Drafted {
    name: Arc<str>,
    /// The member as it is now, if it exists.
    seat: Option<Arc<Seat>>,
    /// Whether it exists after the edit.
    stays: bool,
    /// The operation that inserts it.
    insert: Option<usize>,
    /// The spec of its source, without the flags of health.
    source: MemberSpec,
    /// The flags of health that it starts with, if it is new.
    health: Status,
    /// The changes of its health.
    flags: Vec<(Flag, bool)>,
    overrides: Overrides,
    cleared: Overrides,
    /// The result of a caller's closure is not known yet.
    open: bool,
}

/// The result of an edit that was carried out.
#[derive(Default)]
pub(super) struct Done {
    /// Whether there is anything to publish.
    pub(super) changed: bool,
    pub(super) inserted: Vec<MemberId>,
    pub(super) updated: Vec<MemberId>,
    pub(super) removed: Vec<Arc<MemberState>>,
    pub(super) cleared: Vec<(Arc<str>, Overrides)>,
}

impl Draft {
    /// Computes the results of a source's operations.
    pub(super) fn of<W>(
        editor: &Editor<W>,
        owner: &str,
        operations: &[Operation<'_, W>],
    ) -> Result<Self, EditError> {
        let mut draft = Self {
            members: Vec::with_capacity(operations.len()),
            by_name: HashMap::with_capacity(operations.len()),
            inserted: Vec::new(),
            open: Vec::new(),
        };
        for (at, operation) in operations.iter().enumerate() {
            draft.add(editor, owner, at, operation)?;
        }
        Ok(draft)
    }

    /// Takes the callers' closures that still have to run, by operation.
    pub(super) fn take_open(&mut self) -> Vec<(usize, Input)> {
        std::mem::take(&mut self.open)
    }

    fn add<W>(
        &mut self,
        editor: &Editor<W>,
        owner: &str,
        at: usize,
        operation: &Operation<'_, W>,
    ) -> Result<(), EditError> {
        match operation {
            Operation::ClearOverrides(name) => {
                let member = self.member(editor, name);
                let cleared = std::mem::take(&mut member.overrides);
                if !cleared.is_empty() {
                    member.cleared = cleared;
                }
            }
            Operation::Flag(name, flag, on) => {
                let member = self.present(editor, name)?;
                let overrides = std::mem::take(&mut member.overrides);
                member.overrides = flagged(overrides, *flag, *on);
            }
            Operation::Health(name, flag, on) => {
                self.present(editor, name)?.flags.push((*flag, *on));
            }
            Operation::Insert(name, _, spec) => self.insert(editor, owner, at, name, spec)?,
            Operation::Override(name, change) => {
                let member = self.member(editor, name);
                if !member.open {
                    match change.outcome(&member.overrides) {
                        Some(outcome) => member.overrides = outcome,
                        None => {
                            member.open = true;
                            let input = Input::Overrides(member.overrides.clone());
                            self.open.push((at, input));
                        }
                    }
                }
            }
            Operation::Remove(name) => {
                let member = self.present(editor, name)?;
                member.belongs_to(owner)?;
                member.stays = false;
            }
            Operation::RemoveOthers(from) => self.remove_others(editor, owner, *from),
            Operation::Update(name, change) => {
                let member = self.present(editor, name)?;
                member.belongs_to(owner)?;
                if !member.open {
                    match change.outcome(&member.source) {
                        Some(outcome) => member.source = without_health(outcome),
                        None => {
                            member.open = true;
                            let input = Input::Spec(member.source.clone());
                            self.open.push((at, input));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn insert<W>(
        &mut self,
        editor: &Editor<W>,
        owner: &str,
        at: usize,
        name: &Arc<str>,
        spec: &MemberSpec,
    ) -> Result<(), EditError> {
        let member = self.member(editor, name);
        if member.insert.is_some() {
            return Err(EditError::DuplicateName { name: name.clone() });
        }
        member.belongs_to(owner)?;
        member.source = without_health(spec.clone());
        member.health = spec.status().intersection(Status::HEALTH);
        member.insert = Some(at);
        member.stays = true;
        let index = self.by_name.get(name).copied();
        self.inserted.extend(index);
        Ok(())
    }

    fn remove_others<W>(&mut self, editor: &Editor<W>, owner: &str, from: usize) {
        let own = editor
            .roster
            .by_tier()
            .filter(|seat| **seat.owner == *owner);
        for seat in own {
            if !self.by_name.contains_key(seat.state.name()) {
                self.member(editor, seat.state.name_handle()).stays = false;
            }
        }
        let named = self.members.iter_mut();
        for member in named.filter(|member| member.belongs_to(owner).is_ok()) {
            member.stays &= member.insert.is_some_and(|insert| insert >= from);
        }
    }

    /// Returns a member by its name, as the operations so far leave it.
    fn member<W>(&mut self, editor: &Editor<W>, name: &Arc<str>) -> &mut Drafted {
        let at = match self.by_name.get(name) {
            Some(&at) => at,
            None => {
                let seat = editor.seat(name).cloned();
                self.members.push(match seat {
                    Some(seat) => Drafted::there(seat),
                    None => Drafted::absent(name.clone(), editor.absent.get(name)),
                });
                let at = self.members.len() - 1;
                self.by_name.insert(name.clone(), at);
                at
            }
        };
        &mut self.members[at]
    }

    fn present<W>(
        &mut self,
        editor: &Editor<W>,
        name: &Arc<str>,
    ) -> Result<&mut Drafted, EditError> {
        let member = self.member(editor, name);
        if member.stays {
            Ok(member)
        } else {
            Err(EditError::UnknownMember { name: name.clone() })
        }
    }

    /// Applies the draft.
    pub(super) fn carry_out<W>(
        self,
        editor: &mut Editor<W>,
        owner: &SourceName,
        operations: &mut [Operation<'_, W>],
    ) -> Done {
        let mut done = Done::default();
        for &at in &self.inserted {
            if let Some(member) = self.members.get(at).filter(|member| member.stays) {
                member.put(editor, owner, operations, &mut done);
            }
        }
        let mut leaving = Vec::new();
        for mut member in self.members {
            if !member.cleared.is_empty() {
                let cleared = std::mem::take(&mut member.cleared);
                done.cleared.push((member.name.clone(), cleared));
            }
            match (member.stays, member.insert.is_some()) {
                (true, true) => {}
                (true, false) => member.respecify(editor, &mut done),
                (false, _) if member.seat.is_some() => leaving.push(member),
                (false, _) => {
                    if editor.absent.get(&member.name) != member.overrides {
                        editor.absent.keep(member.name, member.overrides);
                    }
                }
            }
        }
        leaving.sort_by_key(|member| member.seat.as_ref().map(|seat| seat.order));
        // Last: readers lose a member as soon as it is removed, and find the other members
        // only once this is published.
        for member in leaving {
            if let Some(seat) = member.seat {
                editor.remove(&seat, member.overrides);
                done.removed.push(seat.state.clone());
                done.changed = true;
            }
        }
        done
    }
}

impl Drafted {
    fn there(seat: Arc<Seat>) -> Self {
        let mut member = Self::absent(seat.state.name_handle().clone(), seat.overrides());
        member.stays = true;
        member.source = seat.source();
        member.seat = Some(seat);
        member
    }

    fn absent(name: Arc<str>, overrides: Overrides) -> Self {
        Self {
            name,
            seat: None,
            stays: false,
            insert: None,
            source: MemberSpec::new(),
            health: Status::NORMAL,
            flags: Vec::new(),
            overrides,
            cleared: Overrides::new(),
            open: false,
        }
    }

    /// Returns an error for a member that another source owns. A member that does not exist
    /// has no owner.
    fn belongs_to(&self, owner: &str) -> Result<(), EditError> {
        match &self.seat {
            Some(seat) if **seat.owner != *owner => Err(EditError::OtherSource {
                name: self.name.clone(),
                owner: (*seat.owner).clone(),
            }),
            _ => Ok(()),
        }
    }

    fn put<W>(
        &self,
        editor: &mut Editor<W>,
        owner: &SourceName,
        operations: &mut [Operation<'_, W>],
        done: &mut Done,
    ) {
        let operation = self.insert.and_then(|at| operations.get_mut(at));
        let Some(Operation::Insert(_, payload, _)) = operation else {
            return;
        };
        let Some(payload) = payload.take() else {
            return;
        };
        let status = self.source.status().union(self.health);
        let spec = self.source.clone().with_status(status);
        let known = self.seat.as_ref();
        let source = (owner, payload, spec);
        let state = editor.put(known, &self.name, source, self.overrides.clone());
        for &(flag, on) in &self.flags {
            editor.set_health(&state, flag, on);
        }
        let list = match self.seat {
            Some(_) => &mut done.updated,
            None => &mut done.inserted,
        };
        list.push(state.id());
        done.changed = true;
    }

    fn respecify<W>(self, editor: &mut Editor<W>, done: &mut Done) {
        let Some(seat) = self.seat else {
            return;
        };
        done.changed |= editor.respecify(&seat, self.source, self.overrides);
        for (flag, on) in self.flags {
            done.changed |= editor.set_health(&seat.state, flag, on);
        }
        done.updated.push(seat.state.id());
    }
}
