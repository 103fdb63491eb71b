//! The flags of a member, and the definition of "usable".

use std::fmt;
use std::iter::FusedIterator;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

/// One flag of a member's [`Status`]. Apache's letter is given in parentheses.
///
/// # Examples
///
/// ```
/// use equipoise::{Flag, Status};
///
/// let status = Status::NORMAL.with(Flag::Draining).with(Flag::InError);
/// assert_eq!(status.to_string(), "draining, in error");
/// assert!(!status.is_usable());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Flag {
    /// An operator or the source has taken the member out of service (D).
    Disabled,
    /// The member serves its present sessions and takes no new ones (N).
    Draining,
    /// The member is out of service for a time, by
    /// [`Balancer::eject`](crate::Balancer::eject) (Apache has no letter for it).
    Ejected,
    /// A health check of the member has failed (C).
    FailedCheck,
    /// The member replaces a member of its tier that cannot be picked, one for one (R).
    HotSpare,
    /// The member serves only when no other member of its tier can (H).
    HotStandby,
    /// The member is never put in error (I).
    IgnoreErrors,
    /// A request to the member has failed; the member is not picked until its recovery
    /// delay has elapsed (E).
    InError,
    /// An operator or the source has taken the member out of service, and an error does not
    /// end in the meantime (S).
    Stopped,
}

impl Flag {
    /// All flags, in the order in which they are shown.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// let fatal = Flag::ALL.into_iter().filter(|&flag| !Status::NORMAL.with(flag).is_usable());
    /// assert_eq!(fatal.count(), 5);
    /// ```
    pub const ALL: [Self; 9] = [
        Self::Disabled,
        Self::Draining,
        Self::Ejected,
        Self::FailedCheck,
        Self::HotSpare,
        Self::HotStandby,
        Self::IgnoreErrors,
        Self::InError,
        Self::Stopped,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "disabled",
            Self::Draining => "draining",
            Self::Ejected => "ejected",
            Self::FailedCheck => "failed check",
            Self::HotSpare => "hot spare",
            Self::HotStandby => "hot standby",
            Self::IgnoreErrors => "ignores errors",
            Self::InError => "in error",
            Self::Stopped => "stopped",
        })
    }
}

/// A set of [`Flag`]s; its operators and methods are those of sets.
///
/// # Examples
///
/// ```
/// use equipoise::{Flag, Status};
///
/// assert_eq!(Flag::Draining | Flag::InError, Status::from_iter([Flag::InError, Flag::Draining]));
/// assert_eq!((Flag::Draining | Flag::InError) - Flag::InError, Flag::Draining.into());
///
/// let status = Status::NORMAL.with(Flag::HotStandby);
/// assert!(status.contains(Flag::HotStandby));
/// assert!(status.is_usable(), "a standby may serve when its turn comes");
/// assert_eq!(status.without(Flag::HotStandby), Status::NORMAL);
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Status(u16);

impl Status {
    /// No flags.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Status;
    ///
    /// assert_eq!(Status::NORMAL, Status::default());
    /// assert_eq!(Status::NORMAL.to_string(), "ok");
    /// ```
    pub const NORMAL: Self = Self(0);

    const UNUSABLE: u16 = Flag::Disabled.bit() | Flag::Stopped.bit() | Self::HEALTH.0;

    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// The flags that events set and clear, besides operators.
    pub(crate) const HEALTH: Self =
        Self(Flag::FailedCheck.bit() | Flag::Ejected.bit() | Flag::InError.bit());

    /// The flags of health that end as time passes; forced recovery also ends them.
    pub(crate) const TIMED: Self = Self(Flag::Ejected.bit() | Flag::InError.bit());

    /// Returns the flags that are in either set, as `|` does.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the flags of this set that are not in `other`, as `-` does.
    #[inline]
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the flags that are in both sets, as `&` does.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns this set with `flag`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// let status = Status::NORMAL.with(Flag::Draining);
    /// assert_eq!(status.with(Flag::Draining), status);
    /// ```
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | flag.bit())
    }

    /// Returns this set without `flag`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// let status = Status::NORMAL.with(Flag::Draining).with(Flag::InError);
    /// assert_eq!(status.without(Flag::InError).to_string(), "draining");
    /// ```
    #[must_use]
    pub const fn without(self, flag: Flag) -> Self {
        Self(self.0 & !flag.bit())
    }

    /// Returns whether `flag` is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// let status = Status::NORMAL.with(Flag::Draining);
    /// assert!(status.contains(Flag::Draining));
    /// assert!(!status.contains(Flag::InError));
    /// ```
    #[must_use]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Returns whether a member with this status can serve at all: it is neither disabled,
    /// stopped, in error, ejected nor failed by a health check.
    ///
    /// Draining members, spares and standbys are usable. Whether they are *picked* depends
    /// on the other members.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// assert!(Status::NORMAL.with(Flag::Draining).is_usable(), "for its sessions");
    /// assert!(!Status::NORMAL.with(Flag::Stopped).is_usable());
    /// ```
    #[must_use]
    pub const fn is_usable(self) -> bool {
        self.0 & Self::UNUSABLE == 0
    }

    /// Iterates over the flags that are set, in the order of [`Flag::ALL`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Flag, Status};
    ///
    /// let status = Status::NORMAL.with(Flag::InError).with(Flag::Draining);
    /// assert!(status.iter().eq([Flag::Draining, Flag::InError]));
    /// ```
    #[must_use]
    pub const fn iter(self) -> Flags {
        Flags(self)
    }
}

/// An iterator over the flags of a [`Status`], in the order of [`Flag::ALL`];
/// [`Status::iter`] returns it.
///
/// # Examples
///
/// ```
/// use equipoise::{Flag, Status};
///
/// let mut flags = (Flag::Draining | Flag::InError).iter();
/// assert_eq!(flags.len(), 2);
/// assert_eq!(flags.next_back(), Some(Flag::InError));
/// ```
#[derive(Clone, Debug)]
pub struct Flags(Status);

impl Flags {
    /// Removes one flag from the rest.
    fn take(&mut self, flag: Option<&Flag>) -> Option<Flag> {
        let flag = *flag?;
        self.0 = self.0.without(flag);
        Some(flag)
    }
}

impl Iterator for Flags {
    type Item = Flag;

    fn next(&mut self) -> Option<Flag> {
        self.take(Flag::ALL.get(self.0.0.trailing_zeros() as usize))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl DoubleEndedIterator for Flags {
    fn next_back(&mut self) -> Option<Flag> {
        let last = self.0.0.checked_ilog2()?;
        self.take(Flag::ALL.get(last as usize))
    }
}

impl ExactSizeIterator for Flags {
    fn len(&self) -> usize {
        self.0.0.count_ones() as usize
    }
}

impl FusedIterator for Flags {}

impl IntoIterator for Status {
    type Item = Flag;
    type IntoIter = Flags;

    fn into_iter(self) -> Flags {
        self.iter()
    }
}

impl Extend<Flag> for Status {
    fn extend<I: IntoIterator<Item = Flag>>(&mut self, flags: I) {
        *self = flags.into_iter().fold(*self, Self::with);
    }
}

impl FromIterator<Flag> for Status {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::NORMAL, Self::with)
    }
}

impl From<Flag> for Status {
    fn from(flag: Flag) -> Self {
        Self::NORMAL.with(flag)
    }
}

impl<F: Into<Status>> BitOr<F> for Flag {
    type Output = Status;

    fn bitor(self, other: F) -> Status {
        other.into().with(self)
    }
}

impl<F: Into<Self>> BitOr<F> for Status {
    type Output = Self;

    fn bitor(self, other: F) -> Self {
        self.union(other.into())
    }
}

impl<F: Into<Self>> BitOrAssign<F> for Status {
    fn bitor_assign(&mut self, other: F) {
        *self = self.union(other.into());
    }
}

impl<F: Into<Self>> BitAnd<F> for Status {
    type Output = Self;

    fn bitand(self, other: F) -> Self {
        self.intersection(other.into())
    }
}

impl<F: Into<Self>> Sub<F> for Status {
    type Output = Self;

    fn sub(self, other: F) -> Self {
        self.difference(other.into())
    }
}

impl<F: Into<Self>> SubAssign<F> for Status {
    fn sub_assign(&mut self, other: F) {
        *self = self.difference(other.into());
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("ok");
        }
        let words: Vec<String> = self.iter().map(|flag| flag.to_string()).collect();
        f.pad(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Flag, Status};

    #[test]
    fn only_d_s_e_c_and_an_ejection_make_a_member_unusable() {
        let unusable: Vec<Flag> = Flag::ALL
            .into_iter()
            .filter(|&flag| !Status::NORMAL.with(flag).is_usable())
            .collect();
        assert_eq!(
            unusable,
            [
                Flag::Disabled,
                Flag::Ejected,
                Flag::FailedCheck,
                Flag::InError,
                Flag::Stopped
            ]
        );
    }

    #[test]
    fn flags_are_set_and_cleared_one_by_one() {
        let all = Flag::ALL.into_iter().fold(Status::NORMAL, Status::with);
        assert_eq!(all.iter().count(), 9);
        assert_eq!(
            Flag::ALL.into_iter().fold(all, Status::without),
            Status::NORMAL
        );
        assert_eq!(Status::NORMAL.to_string(), "ok");
    }
    #[test]
    fn sets_are_joined_cut_and_read_as_lists_of_flags_are() {
        let all: Status = Flag::ALL.into_iter().collect();
        for bits in 0..=all.bits() {
            let status = Status::from_bits(bits);
            let has = |flag: &Flag| status.contains(*flag);
            let (flags, rest): (Vec<_>, Vec<_>) = Flag::ALL.into_iter().partition(has);
            assert!(status.iter().eq(flags.iter().copied()));
            assert!(status.iter().rev().eq(flags.iter().rev().copied()));
            assert_eq!(status.iter().len(), flags.len());
            assert_eq!(Status::from_iter(flags), status);
            assert_eq!(status | Status::from_iter(rest.clone()), all);
            assert_eq!(all - status, rest.into_iter().collect());
            for flag in Flag::ALL {
                assert_eq!(status | flag, status.with(flag));
                assert_eq!(flag | status, status.with(flag));
                assert_eq!(status - flag, status.without(flag));
                assert_eq!(status & flag == flag.into(), status.contains(flag));
            }
        }
    }
}
