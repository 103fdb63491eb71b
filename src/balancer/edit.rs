//! Many changes of the membership as one: [`Edit`].
//!
//! Not here: the results of an edit's operations (`draft.rs`), and the
//! methods that are edits of one operation (`members.rs`, `overrides.rs`, `source.rs`).

use std::fmt;
use std::sync::Arc;

use super::draft::Draft;
use super::operation::{Operation, SpecChange, work_out};
use super::{Balancer, EditError, RemovedMember};
use crate::member::{Flag, MemberId, MemberSpec, Overrides, Status};
use crate::snapshot::SourceName;

/// Many changes of the membership, recorded first and then [applied](Self::apply) as one.
///
/// Recording takes no lock and changes nothing. It may take any time and may await; an edit
/// that is dropped, because of an error or a panic, has changed nothing. Applying it takes
/// the lock once. Requests see all of the edit or none of it, and the scheduler is notified
/// once. Ten thousand inserts in one edit cost a small part of what they cost one by one.
///
/// The operations apply in the order in which they were recorded, each to the result of
/// those before it. Only the final result counts: a member that is removed and inserted
/// again in one edit is updated. An edit may insert a name once.
///
/// An edit belongs to a [source](super::MemberSource); [`Balancer::edit`] returns one of
/// the default source. `insert`, `remove`, `update` and `replace_all` apply to that
/// source's own members only. The other operations are an operator's, and apply to all
/// members.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Flag, MemberSpec};
///
/// let balancer = Balancer::new([("a", "10.0.0.1:80"), ("b", "10.0.0.2:80")])?;
/// let mut edit = balancer.edit();
/// for (name, address) in [("c", "10.0.0.3:80"), ("d", "10.0.0.4:80")] {
///     edit.insert(name, address, MemberSpec::new());
/// }
/// edit.set_flag("c", Flag::HotStandby);
/// edit.remove("a");
/// assert_eq!(balancer.len(), 2, "nothing has changed yet");
///
/// let edited = edit.apply()?;
/// assert_eq!((edited.inserted.len(), edited.removed.len()), (2, 1));
/// assert_eq!(balancer.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an edit does nothing unless it is applied"]
pub struct Edit<'c, W> {
    balancer: Balancer<W>,
    owner: SourceName,
    operations: Vec<Operation<'c, W>>,
}

/// The result of an applied [`Edit`].
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec};
///
/// let balancer = Balancer::new([("a", 1), ("b", 2)])?;
/// let done = balancer.replace_all([("b", 2, MemberSpec::new()), ("c", 3, MemberSpec::new())])?;
/// assert_eq!((done.inserted.len(), done.updated.len(), done.removed.len()), (1, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct EditSummary {
    /// Members that are new, in the order in which they were inserted.
    pub inserted: Vec<MemberId>,
    /// Members that existed before, that the edit names, and that still exist.
    pub updated: Vec<MemberId>,
    /// Members that were removed.
    pub removed: Vec<RemovedMember>,
    /// The overrides that were cleared, with the names of their members.
    pub cleared: Vec<(Arc<str>, Overrides)>,
}

impl EditSummary {
    /// Returns the member of an edit that names one.
    pub(super) fn member(self) -> Option<MemberId> {
        self.inserted.into_iter().chain(self.updated).next()
    }
}

impl<W> Balancer<W> {
    /// Returns an edit of the default source, for many changes at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<usize>::builder().build()?;
    /// let mut edit = balancer.edit();
    /// for at in 0..1_000 {
    ///     edit.insert(format!("m{at}"), at, MemberSpec::new());
    /// }
    /// edit.apply()?;
    /// assert_eq!(balancer.len(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edit<'c>(&self) -> Edit<'c, W> {
        self.edit_of(self.core.default_source.clone())
    }

    pub(super) fn edit_of<'c>(&self, owner: SourceName) -> Edit<'c, W> {
        Edit {
            balancer: self.clone(),
            owner,
            operations: Vec::new(),
        }
    }
}

impl<'c, W> Edit<'c, W> {
    /// Inserts a member, or gives an existing one a new payload and spec, as
    /// [`Balancer::insert`] does.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, payload: W, spec: MemberSpec) {
        let operation = Operation::Insert(name.into(), Some(payload), spec);
        self.operations.push(operation);
    }

    /// Removes a member, as [`Balancer::remove`] does.
    pub fn remove(&mut self, name: impl Into<Arc<str>>) {
        self.operations.push(Operation::Remove(name.into()));
    }

    /// Changes the spec that the source has given, as [`Balancer::update`] does. `change`
    /// runs when the edit is applied, outside every lock, and runs again if the member is
    /// changed at the same time. It must not change that member itself: it would be run
    /// again without end.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec, Weight};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let half = Weight::new(1)?;
    /// let mut edit = balancer.edit();
    /// for member in balancer.members() {
    ///     edit.update(member.name(), |spec: MemberSpec| spec.with_weight(half));
    /// }
    /// assert_eq!(edit.apply()?.updated.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(
        &mut self,
        name: impl Into<Arc<str>>,
        change: impl Fn(MemberSpec) -> MemberSpec + Send + 'c,
    ) {
        let change = SpecChange::new(change);
        self.operations.push(Operation::Update(name.into(), change));
    }

    /// Replaces all members of the source by `members`, as [`Balancer::replace_all`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let mut edit = balancer.edit();
    /// edit.replace_all(["b", "c"].map(|name| (name, (), MemberSpec::new())));
    /// edit.set_flag("c", Flag::Draining);
    /// let edited = edit.apply()?;
    /// assert_eq!(edited.removed[0].name(), "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_all<N>(&mut self, members: impl IntoIterator<Item = (N, W, MemberSpec)>)
    where
        N: Into<Arc<str>>,
    {
        let from = self.operations.len();
        for (name, payload, spec) in members {
            self.insert(name, payload, spec);
        }
        self.operations.push(Operation::RemoveOthers(from));
    }

    /// Sets a flag of a member, as [`Balancer::set_flag`] does.
    pub fn set_flag(&mut self, name: impl Into<Arc<str>>, flag: Flag) {
        self.change_flag(name.into(), flag, true);
    }

    /// Clears a flag of a member, as [`Balancer::clear_flag`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// let mut edit = balancer.edit();
    /// edit.clear_flag("a", Flag::Draining);
    /// edit.set_flag("b", Flag::Draining);
    /// edit.apply()?; // there is no moment at which both drain
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_flag(&mut self, name: impl Into<Arc<str>>, flag: Flag) {
        self.change_flag(name.into(), flag, false);
    }

    fn change_flag(&mut self, name: Arc<str>, flag: Flag, on: bool) {
        self.operations.push(if Status::HEALTH.contains(flag) {
            Operation::Health(name, flag, on)
        } else {
            Operation::Flag(name, flag, on)
        });
    }

    /// Changes the overrides of a member, as [`Balancer::override_member`] does. `change`
    /// runs when the edit is applied, outside every lock, and runs again if the overrides
    /// are changed at the same time. It must not change them itself: it would be run again
    /// without end.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Overrides;
    /// use equipoise::{Balancer, Weight};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let mut edit = balancer.edit();
    /// edit.override_member("a", |it: Overrides| it.with_tier(1));
    /// edit.override_member("later", |it: Overrides| it.with_tier(1));
    /// edit.apply()?;
    /// assert_eq!(balancer.overrides().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn override_member(
        &mut self,
        name: impl Into<Arc<str>>,
        change: impl Fn(Overrides) -> Overrides + Send + 'c,
    ) {
        let change = SpecChange::new(change);
        self.operations
            .push(Operation::Override(name.into(), change));
    }

    /// Clears all overrides of a member, as [`Balancer::clear_overrides`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// let mut edit = balancer.edit();
    /// for name in balancer.overrides().into_keys() {
    ///     edit.clear_overrides(name);
    /// }
    /// assert_eq!(edit.apply()?.cleared.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_overrides(&mut self, name: impl Into<Arc<str>>) {
        self.operations.push(Operation::ClearOverrides(name.into()));
    }

    /// Applies all recorded changes as one.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the edit inserts a name twice, names a member that does not exist,
    /// or names one that another source owns. Nothing is changed then.
    ///
    /// # Panics
    ///
    /// If a closure that was given to [`update`](Self::update) or
    /// [`override_member`](Self::override_member) panics; nothing is changed then. If the
    /// scheduler panics when it is notified; then everything is changed but not yet shown,
    /// and the next change or pick notifies the scheduler again and shows it. If there are
    /// more than 67 108 864 members at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::EditError;
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::new([("a", 1)])?;
    /// let mut edit = balancer.edit();
    /// edit.insert("b", 2, MemberSpec::new());
    /// edit.remove("c");
    /// let error = edit.apply().unwrap_err();
    /// assert_eq!(error, EditError::UnknownMember { name: "c".into() });
    /// assert_eq!(balancer.len(), 1);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn apply(mut self) -> Result<EditSummary, EditError> {
        loop {
            let mut editor = self.balancer.core.editor.lock();
            let mut draft = Draft::of(&editor, &self.owner, &self.operations)?;
            let open = draft.take_open();
            if open.is_empty() {
                let done = draft.carry_out(&mut editor, &self.owner, &mut self.operations);
                if done.changed || !done.updated.is_empty() {
                    self.balancer.publish_if(done.changed, editor);
                }
                let shared = &self.balancer.core.shared;
                let removed = |state| RemovedMember::new(state, shared.clone());
                return Ok(EditSummary {
                    inserted: done.inserted,
                    updated: done.updated,
                    removed: done.removed.into_iter().map(removed).collect(),
                    cleared: done.cleared,
                });
            }
            drop(editor);
            work_out(&mut self.operations, open);
        }
    }
}

impl<W> fmt::Debug for Edit<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("source", &self.owner)
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}
