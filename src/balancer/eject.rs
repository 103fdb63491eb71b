//! Ejections and recoveries that a caller decides on, such as outlier detection.
//!
//! Not here: when an ejection ends by itself (`agenda.rs`).

use std::time::Duration;

use super::{Balancer, UnknownMember};
use crate::member::{Cause, MemberId, MemberKey, Status};

impl<W> Balancer<W> {
    /// Takes a member out of service for `time`, whatever its spec contains. It keeps its
    /// leases and loses its sessions, like a member in error.
    ///
    /// An ejection is not an error: it has a flag of its own,
    /// [`Flag::Ejected`](crate::Flag::Ejected), which
    /// [`Lease::put_in_error`](crate::Lease::put_in_error) does not set. If the member is
    /// ejected already, the later end holds, with its cause. `time` is independent of the
    /// member's recovery delay, and [`Flag::IgnoreErrors`](crate::Flag::IgnoreErrors) does
    /// not protect the member. When no other member is left, forced recovery ends ejections
    /// at once, and observers are notified of both the ejection and its end (see
    /// [`forced_recovery`](crate::balancer::Builder::forced_recovery)). To keep a member
    /// out in any case, disable it.
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no such member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let balancer = Balancer::builder()
    ///     .clock(clock.clone())
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// balancer.eject("a", Duration::from_secs(30), "slower than the others")?;
    /// let pick = || balancer.pick(&PickRequest::new()).unwrap().member().name().to_owned();
    /// assert_eq!([pick(), pick()], ["b", "b"]);
    ///
    /// clock.advance(Duration::from_secs(30));
    /// assert_eq!([pick(), pick()], ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn eject<'m>(
        &self,
        member: impl Into<MemberKey<'m>>,
        time: Duration,
        cause: impl Into<Cause>,
    ) -> Result<MemberId, UnknownMember> {
        let (key, cause) = (member.into(), cause.into());
        let mut editor = self.core.editor.lock();
        let state = editor.state_of(key).ok_or_else(|| unknown(key))?;
        let changed = editor.eject(&state, time, &cause);
        self.publish_if(changed, editor);
        Ok(state.id())
    }

    /// Ejects several members, as [`eject`](Self::eject) does one, with one publication.
    /// Members that do not exist are ignored. Returns how many of them exist.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use std::time::Duration;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ()), ("c", ())])?;
    /// let members = balancer.members();
    /// let slow = members.iter().take(2);
    /// let time = Duration::from_secs(30);
    /// let slow = slow.map(|member| (member.id(), time, "too slow".into()));
    /// assert_eq!(balancer.eject_all(slow), 2);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn eject_all(
        &self,
        members: impl IntoIterator<Item = (MemberId, Duration, Cause)>,
    ) -> usize {
        // The caller's iterator runs without the lock.
        let members: Vec<_> = members.into_iter().collect();
        let mut editor = self.core.editor.lock();
        let (mut found, mut changed) = (0, false);
        for (member, time, cause) in &members {
            if let Some(state) = editor.state_of(MemberKey::Id(*member)) {
                found += 1;
                changed |= editor.eject(&state, *time, cause);
            }
        }
        self.publish_if(changed, editor);
        found
    }

    /// Ends all outages of a member's health at once: an error, an ejection and a failed
    /// check. Each may occur again.
    ///
    /// # Errors
    ///
    /// [`UnknownMember`] if there is no such member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Flag};
    /// use std::time::Duration;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let id = balancer.eject("a", Duration::MAX, "maintenance")?;
    /// balancer.set_flag("a", Flag::InError)?;
    /// balancer.recover(id)?;
    /// assert!(balancer.member("a").unwrap().status().is_usable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover<'m>(&self, member: impl Into<MemberKey<'m>>) -> Result<MemberId, UnknownMember> {
        let key = member.into();
        let mut editor = self.core.editor.lock();
        let state = editor.state_of(key).ok_or_else(|| unknown(key))?;
        let changed = editor.change_health(&state, Status::NORMAL, Status::HEALTH);
        self.publish_if(changed, editor);
        Ok(state.id())
    }
}

fn unknown(member: MemberKey<'_>) -> UnknownMember {
    let name = match member {
        MemberKey::Id(id) => id.to_string().into(),
        MemberKey::Name(name) => name.into(),
    };
    UnknownMember { name }
}
