//! The flags of a member, and the one definition of "usable".

use std::fmt;

/// One flag of a member's [`Status`]. In parentheses Apache's letter.
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
    /// Out of service by decision (D).
    Disabled,
    /// Serves the sessions it has and takes no new ones (N).
    Draining,
    /// Taken out of service for a time, by
    /// [`Balancer::eject`](crate::Balancer::eject) (Apache has no letter for it).
    Ejected,
    /// A health check found it wanting (C).
    FailedCheck,
    /// Stands in, one for one, for members of its tier that cannot be picked (R).
    HotSpare,
    /// Serves only when nobody else of its tier can (H).
    HotStandby,
    /// Is never put in error (I).
    IgnoreErrors,
    /// A request failed on it; it rests until its recovery delay is over (E).
    InError,
    /// Out of service by decision, and not even recovered meanwhile (S).
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

/// A set of [`Flag`]s.
///
/// # Examples
///
/// ```
/// use equipoise::{Flag, Status};
///
/// let status = Status::NORMAL.with(Flag::HotStandby);
/// assert!(status.contains(Flag::HotStandby));
/// assert!(status.is_usable(), "a standby may serve when its turn comes");
/// assert_eq!(status.without(Flag::HotStandby), Status::NORMAL);
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Status(u16);

impl Status {
    /// No flag at all.
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

    /// The flags that events set and clear, not only operators.
    pub(crate) const HEALTH: Self =
        Self(Flag::FailedCheck.bit() | Flag::Ejected.bit() | Flag::InError.bit());

    /// The flags of health that end as time passes, and that forced recovery ends.
    pub(crate) const TIMED: Self = Self(Flag::Ejected.bit() | Flag::InError.bit());

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
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

    /// Returns whether a member of this status can serve at all: it is neither
    /// disabled, stopped, in error, ejected nor failed by a health check.
    ///
    /// Draining, spares and standbys are usable: whether they are *picked* is
    /// decided by who else there is.
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
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL
            .into_iter()
            .filter(move |&flag| self.contains(flag))
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
}
