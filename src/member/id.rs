//! The identity of a member: [`MemberId`], which this process never uses twice, and
//! [`MemberKey`].

use std::fmt;
use std::num::NonZeroU64;

use crate::sync::next_serial;

const SLOT_BITS: u32 = 26;

/// Identifies one member among all that this process has ever had.
///
/// A member keeps its id through every update. If it is inserted again after a removal, it
/// keeps the id if one of its leases still exists, or a handle of it that
/// [`Balancer::member`](crate::Balancer::member) has returned.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, MemberSpec};
///
/// let balancer = Balancer::new([("a", "10.0.0.1:80")])?;
/// let before = balancer.member("a").unwrap().id();
/// let after = balancer.insert("a", "10.0.0.9:80", MemberSpec::new())?;
/// assert_eq!(before, after, "the name is the identity");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(
    /// A serial number of 38 bits, which starts at 1, and a slot of 26 bits.
    NonZeroU64,
);

impl MemberId {
    /// The number of slots of a balancer.
    pub(crate) const SLOTS: u32 = 1 << SLOT_BITS;

    pub(crate) fn new(slot: u32) -> Self {
        let word = next_serial() << SLOT_BITS | u64::from(slot % Self::SLOTS);
        Self(NonZeroU64::new(word).unwrap_or(NonZeroU64::MAX))
    }

    /// Returns the id as a number, for an atomic; never 0.
    pub(crate) const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Returns the id of a number that [`to_bits`](Self::to_bits) has returned; `None` for
    /// 0.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// Returns the member's slot, an index for tables: unique among the members of its
    /// balancer, small, and reused only when the member and its leases are gone.
    ///
    /// A [`Scheduler`](crate::Scheduler) can keep its state in a vector indexed by slot.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ()), ("b", ())])?;
    /// let mut loads = vec![0; balancer.len()];
    /// for member in balancer.members() {
    ///     loads[member.id().slot()] = member.in_flight();
    /// }
    /// assert_eq!(loads, [0, 0]);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "26 bits")]
    pub const fn slot(self) -> usize {
        (self.0.get() as u32 % Self::SLOTS) as usize
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({self})")
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0.get() >> SLOT_BITS)
    }
}

/// Names one member, by its name or by its [`MemberId`].
///
/// A method that takes `impl Into<MemberKey>` accepts either.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let id = balancer.member("a").unwrap().id();
/// assert!(balancer.learned_limit("a").is_some());
/// assert!(balancer.learned_limit(id).is_some());
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a member has these two and no more"
)]
pub enum MemberKey<'m> {
    /// The member with this id.
    Id(MemberId),
    /// The member with this name.
    Name(&'m str),
}

impl From<MemberId> for MemberKey<'_> {
    fn from(id: MemberId) -> Self {
        Self::Id(id)
    }
}

impl<'m> From<&'m str> for MemberKey<'m> {
    fn from(name: &'m str) -> Self {
        Self::Name(name)
    }
}

impl<'m> From<&'m String> for MemberKey<'m> {
    fn from(name: &'m String) -> Self {
        Self::Name(name)
    }
}
