//! The reason why a connection did not end normally: [`Aborted`].

use std::fmt;

/// The reason why a [`TcpForwarder`](super::TcpForwarder) did not serve a connection, or
/// did not serve it until its normal end.
///
/// # Examples
///
/// ```
/// use equipoise::forward::Aborted;
///
/// assert_eq!(Aborted::NoMember.to_string(), "no member");
/// assert!(Aborted::ALL.contains(&Aborted::IdleTimeout));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Aborted {
    /// The client exceeded its maximum number of connections.
    ClientConnections,
    /// The client's connection failed.
    ClientDisconnected,
    /// The client exceeded its maximum rate of new connections.
    ClientRate,
    /// One side had ended, and no byte passed within the half-close timeout.
    HalfCloseTimeout,
    /// No byte passed within the idle timeout.
    IdleTimeout,
    /// The connection reached its maximum lifetime.
    Lifetime,
    /// The member's connection failed, or ended without a byte where that counts as a
    /// failure.
    MemberDisconnected,
    /// The member was [lost](crate::forward::OnMemberLoss).
    MemberLost,
    /// No member could be picked, or each member that was tried failed.
    NoMember,
    /// No member was connected within the opening timeout: the connection waited for one,
    /// or attempts took too long.
    OpeningTimeout,
    /// All members were at their maximum number of connections, and the queue for a member
    /// was full.
    QueueFull,
    /// The forwarder stopped and the drain timeout passed, or the forwarder was dropped.
    Stopping,
}

impl Aborted {
    /// All reasons, in the order in which they are displayed.
    pub const ALL: [Self; 12] = [
        Self::ClientConnections,
        Self::ClientDisconnected,
        Self::ClientRate,
        Self::HalfCloseTimeout,
        Self::IdleTimeout,
        Self::Lifetime,
        Self::MemberDisconnected,
        Self::MemberLost,
        Self::NoMember,
        Self::OpeningTimeout,
        Self::QueueFull,
        Self::Stopping,
    ];
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClientConnections => "too many connections of a client",
            Self::ClientDisconnected => "disconnected by the client",
            Self::ClientRate => "too many new connections of a client",
            Self::HalfCloseTimeout => "half-close timeout",
            Self::IdleTimeout => "idle timeout",
            Self::Lifetime => "lifetime over",
            Self::MemberDisconnected => "disconnected by the member",
            Self::MemberLost => "member lost",
            Self::NoMember => "no member",
            Self::OpeningTimeout => "opening timeout",
            Self::QueueFull => "queue full",
            Self::Stopping => "stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Aborted;

    #[test]
    fn the_list_of_all_reasons_is_in_the_order_of_their_numbers() {
        for (place, reason) in Aborted::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
    }
}
