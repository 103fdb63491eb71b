//! Sources of members: a [`MemberSource`] owns the members that it has inserted.

use std::fmt;
use std::sync::Arc;

use super::{Balancer, Edit, EditError, EditSummary, RemovedMember};
use crate::member::{MemberId, MemberSpec};
use crate::snapshot::SourceName;

/// The name of the source that the members of [`Builder`](super::Builder) and of the plain
/// methods ([`Balancer::insert`]) belong to.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::balancer::DEFAULT_SOURCE;
///
/// let balancer = Balancer::new([("a", ())])?;
/// assert_eq!(balancer.source_of("a").as_deref(), Some(DEFAULT_SOURCE));
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub const DEFAULT_SOURCE: &str = "default";

/// A source of a balancer's members: a configuration, a DNS name, a registry.
///
/// A source owns its members. Its methods change no member of another source, and fail for
/// a name that another source owns, so that several sources can feed one balancer side by
/// side. [Overrides](Balancer::override_member) of an operator apply to the members of all
/// sources.
///
/// A source is identified by its name: it exists as soon as a handle is created, and
/// another handle of the same name continues with the same members. Dropping a handle
/// removes no members.
///
/// To move a member from one source to another, remove it from the first and insert it with
/// the second. It keeps its id, counters and health if a lease of it is alive, and its
/// overrides in any case.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec};
///
/// let balancer = Balancer::new([("spare", "10.0.0.9:80")])?;
/// let dns = balancer.source("dns:api.example.com");
/// let found = |addresses: &[&'static str]| {
///     let members = addresses.iter().map(|&it| (it, it, MemberSpec::new()));
///     dns.replace_all(members.collect::<Vec<_>>())
/// };
/// found(&["10.0.0.1:80", "10.0.0.2:80"])?;
/// found(&["10.0.0.2:80"])?;
/// assert_eq!(balancer.len(), 2, "the one that the DNS still has, and the spare");
///
/// let error = dns.insert("spare", "10.0.0.3:80", MemberSpec::new()).unwrap_err();
/// assert_eq!(error.to_string(), "the member called \"spare\" belongs to the source \"default\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemberSource<W> {
    balancer: Balancer<W>,
    name: SourceName,
}

impl<W> Balancer<W> {
    /// Returns the source of that name, which owns members of its own.
    pub fn source(&self, name: impl Into<Arc<str>>) -> MemberSource<W> {
        MemberSource::of(self.clone(), Arc::new(name.into()))
    }

    /// Returns the name of the source that owns the member of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<()>::builder().build()?;
    /// balancer.source("etcd").insert("a", (), MemberSpec::new())?;
    /// assert_eq!(balancer.source_of("a").as_deref(), Some("etcd"));
    /// assert_eq!(balancer.source_of("b"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn source_of(&self, name: &str) -> Option<Arc<str>> {
        let view = self.core.view.load();
        let seat = view.picture.roster.named(name)?;
        Some((*seat.owner).clone())
    }
}

impl<W> MemberSource<W> {
    pub(super) fn of(balancer: Balancer<W>, name: SourceName) -> Self {
        Self { balancer, name }
    }

    /// Returns its name.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// assert_eq!(balancer.source("etcd").name(), "etcd");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns an edit of this source, for many changes at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<()>::builder().build()?;
    /// let etcd = balancer.source("etcd");
    /// let mut edit = etcd.edit();
    /// edit.insert("a", (), MemberSpec::new());
    /// edit.insert("b", (), MemberSpec::new());
    /// edit.apply()?;
    /// assert_eq!(balancer.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edit<'c>(&self) -> Edit<'c, W> {
        self.balancer.edit_of(self.name.clone())
    }

    /// Inserts a member, or gives the source's member of that name a new payload and spec,
    /// as [`Balancer::insert`] does.
    ///
    /// # Errors
    ///
    /// [`EditError::OtherSource`] if the name belongs to another source.
    pub fn insert(
        &self,
        name: impl Into<Arc<str>>,
        payload: W,
        spec: MemberSpec,
    ) -> Result<MemberId, EditError> {
        let name = name.into();
        let mut edit = self.edit();
        edit.insert(name.clone(), payload, spec);
        let edited = edit.apply()?;
        edited.member().ok_or(EditError::UnknownMember { name })
    }

    /// Changes the spec that the source has given to a member, as [`Balancer::update`]
    /// does.
    ///
    /// # Errors
    ///
    /// [`EditError::UnknownMember`], or [`EditError::OtherSource`]; nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<()>::builder().build()?;
    /// let etcd = balancer.source("etcd");
    /// etcd.insert("a", (), MemberSpec::new())?;
    /// etcd.update("a", |spec| spec.with_tier(1))?;
    /// assert!(balancer.update("a", |spec| spec.with_tier(2)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(
        &self,
        name: &str,
        change: impl Fn(MemberSpec) -> MemberSpec + Send,
    ) -> Result<MemberId, EditError> {
        let name: Arc<str> = name.into();
        let mut edit = self.edit();
        edit.update(name.clone(), change);
        let edited = edit.apply()?;
        edited.member().ok_or(EditError::UnknownMember { name })
    }

    /// Removes a member, as [`Balancer::remove`] does.
    ///
    /// # Errors
    ///
    /// [`EditError::UnknownMember`], or [`EditError::OtherSource`]; nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let balancer = Balancer::<()>::builder().build()?;
    /// let etcd = balancer.source("etcd");
    /// etcd.insert("a", (), MemberSpec::new())?;
    /// assert_eq!(etcd.remove("a")?.name(), "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<RemovedMember, EditError> {
        let name: Arc<str> = name.into();
        let mut edit = self.edit();
        edit.remove(name.clone());
        let removed = edit.apply()?.removed.pop();
        removed.ok_or(EditError::UnknownMember { name })
    }

    /// Replaces all members of the source by `members`, as one change: listed members are
    /// kept or added; all others of this source are removed.
    ///
    /// # Errors
    ///
    /// [`EditError::DuplicateName`], or [`EditError::OtherSource`]; nothing is changed.
    pub fn replace_all<N>(
        &self,
        members: impl IntoIterator<Item = (N, W, MemberSpec)>,
    ) -> Result<EditSummary, EditError>
    where
        N: Into<Arc<str>>,
    {
        let mut edit = self.edit();
        edit.replace_all(members);
        edit.apply()
    }
}

impl<W> Clone for MemberSource<W> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            name: self.name.clone(),
        }
    }
}

impl<W> fmt::Debug for MemberSource<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberSource")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
