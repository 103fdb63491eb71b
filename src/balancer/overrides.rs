//! The operator's layer: the overrides of members, also while these are absent.
//!
//! Not here: how overrides change a spec (`member/overrides.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Balancer;
use crate::member::{MemberSpec, Overrides};

impl<W> Balancer<W> {
    /// Changes the overrides of a member, of whatever source; `change` receives the present
    /// overrides.
    ///
    /// Overrides belong to the name: they stay when the member is inserted again, updated
    /// or replaced, and are kept while no member has the name, for up to
    /// [`MAX_ABSENT_OVERRIDES`](super::MAX_ABSENT_OVERRIDES) names. `change` runs outside
    /// every lock and may run again if the overrides are changed at the same time.
    pub fn override_member(
        &self,
        name: impl Into<Arc<str>>,
        change: impl Fn(Overrides) -> Overrides + Send,
    ) {
        let mut edit = self.edit();
        edit.override_member(name, change);
        // It fails for no name, because overrides may be set before their member exists.
        drop(edit.apply());
    }

    /// Clears all overrides of a member, so that its source's spec holds again; returns the
    /// former overrides, if there were any.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Overrides;
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_flag("a", Flag::Disabled)?;
    /// let cleared = balancer.clear_overrides("a");
    /// assert_eq!(cleared, Some(Overrides::new().with_flag(Flag::Disabled)));
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "clearing is what it is for")]
    pub fn clear_overrides(&self, name: &str) -> Option<Overrides> {
        let mut edit = self.edit();
        edit.clear_overrides(name);
        let (_, cleared) = edit.apply().ok()?.cleared.pop()?;
        Some(cleared)
    }

    /// Returns all overrides by name, of existing members and of absent ones. It waits for
    /// a change that is in progress.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// balancer.override_member("later", |it| it.with_flag(Flag::Disabled));
    /// let overrides = balancer.overrides();
    /// assert_eq!(overrides.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "later"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn overrides(&self) -> BTreeMap<Arc<str>, Overrides> {
        let editor = self.core.editor.lock();
        let here = editor.roster.by_tier().filter_map(|seat| {
            let overrides = seat.overrides();
            (!overrides.is_empty()).then(|| (seat.state.name_handle().clone(), overrides))
        });
        let absent = editor.absent.by_name.iter();
        let absent = absent.map(|(name, (_, overrides))| (name.clone(), overrides.clone()));
        here.chain(absent).collect()
    }

    /// Returns the spec that the source has given to the member of that name, without the
    /// flags of its health; [`spec`](Self::spec) returns the one that holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag, MemberSpec};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.set_flag("a", Flag::Draining)?;
    /// assert_eq!(balancer.source_spec("a"), Some(MemberSpec::new()));
    /// assert_eq!(balancer.spec("a"), Some(MemberSpec::new().with_flag(Flag::Draining)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this reads the spec and changes nothing"]
    pub fn source_spec(&self, name: &str) -> Option<MemberSpec> {
        Some(self.seat(name)?.source())
    }
}
