//! The operator's layer: what is overridden of members, also while they are away.
//!
//! What does not live here: what overrides do to a spec (`member/overrides.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Balancer, UnknownMember};
use crate::member::{MemberId, MemberSpec, Overrides};

impl<W> Balancer<W> {
    /// Changes what is overridden of a member; `edit` gets the present overrides.
    ///
    /// Overrides belong to the name: they stay when the member is inserted again,
    /// updated or replaced, and wait for it while it is not there, for up to
    /// [`MAX_ABSENT_OVERRIDES`](super::MAX_ABSENT_OVERRIDES) names. `edit` runs outside every lock and may run again
    /// if the overrides are changed at the same time.
    ///
    /// # Examples
    ///
    /// See [`Overrides`].
    pub fn override_member(
        &self,
        name: impl Into<Arc<str>>,
        edit: impl Fn(Overrides) -> Overrides,
    ) {
        let name = name.into();
        while self.override_present(&name, &edit).is_err() {
            let before = self.core.editor.lock().absent.get(&name);
            let after = edit(before.clone());
            let mut editor = self.core.editor.lock();
            if editor.seat(&name).is_none() && editor.absent.get(&name) == before {
                editor.absent.keep(name, after);
                return;
            }
        }
    }

    /// As [`override_member`](Self::override_member), for members that are there.
    pub(super) fn override_present(
        &self,
        name: &str,
        edit: impl Fn(Overrides) -> Overrides,
    ) -> Result<MemberId, UnknownMember> {
        let unknown = || UnknownMember { name: name.into() };
        loop {
            let seat = self.core.editor.lock().seat(name).cloned();
            let seat = seat.ok_or_else(unknown)?;
            let before = seat.overrides();
            let overrides = edit(before.clone());
            let mut editor = self.core.editor.lock();
            let present = editor.seat(name).ok_or_else(unknown)?;
            if !Arc::ptr_eq(present, &seat) || seat.overrides() != before {
                continue;
            }
            let changed = editor.respecify(&seat, seat.source(), overrides);
            self.publish_if(changed, editor);
            return Ok(seat.state.id());
        }
    }

    /// Clears all overrides of a member, so that what its source says holds again;
    /// returns what was overridden, if anything was.
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
        let mut editor = self.core.editor.lock();
        let Some(seat) = editor.seat(name).cloned() else {
            return Some(editor.absent.take(name)).filter(|it| !it.is_empty());
        };
        let cleared = seat.overridden();
        let changed = editor.respecify(&seat, seat.source(), Overrides::new());
        self.publish_if(changed, editor);
        cleared.map(|it| it.overrides.clone())
    }

    /// Returns what is overridden, by name, of members that are there and of those that
    /// are not.
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
            let overridden = seat.overridden()?;
            Some((
                seat.state.name_handle().clone(),
                overridden.overrides.clone(),
            ))
        });
        let absent = editor.absent.by_name.iter();
        let absent = absent.map(|(name, (_, overrides))| (name.clone(), overrides.clone()));
        here.chain(absent).collect()
    }

    /// Returns what the source says of the member of that name, without the flags of its
    /// health; [`spec`](Self::spec) is what holds.
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
        Some(self.core.editor.lock().seat(name)?.source())
    }
}
