//! The reason why a datagram was dropped: [`Dropped`].

use std::fmt;

/// The reason why a [`UdpForwarder`](super::UdpForwarder) dropped a datagram. Dropped
/// datagrams are only counted: UDP has no way to report them to the sender.
///
/// # Examples
///
/// ```
/// use equipoise::forward::Dropped;
///
/// assert_eq!(Dropped::Oversize.to_string(), "too long");
/// assert!(Dropped::ALL.contains(&Dropped::ClientRate));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Dropped {
    /// All members that could be picked have their maximum number of flows.
    AtCapacity,
    /// The send buffer of a socket was full.
    Backlog,
    /// The client exceeded its maximum number of flows.
    ClientFlows,
    /// The client exceeded its maximum rate of new flows.
    ClientRate,
    /// The system failed to send it.
    Failed,
    /// The maximum number of flows is reached, and none of them may be replaced.
    Full,
    /// No member could be picked, or each member that was tried failed.
    NoMember,
    /// This machine has no socket left for a new flow.
    NoSocket,
    /// It is longer than the limit, or than the network path allows.
    Oversize,
    /// The name of its member was not resolved yet, and the maximum number of datagrams was
    /// already waiting for that, in total or of its flow.
    Resolving,
    /// It would have begun a flow after the stop.
    Stopping,
}

impl Dropped {
    /// All reasons, in the order in which they are displayed.
    pub const ALL: [Self; 11] = [
        Self::AtCapacity,
        Self::Backlog,
        Self::ClientFlows,
        Self::ClientRate,
        Self::Failed,
        Self::Full,
        Self::NoMember,
        Self::NoSocket,
        Self::Oversize,
        Self::Resolving,
        Self::Stopping,
    ];
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AtCapacity => "members at capacity",
            Self::Backlog => "send buffer full",
            Self::ClientFlows => "too many flows of a client",
            Self::ClientRate => "too many new flows of a client",
            Self::Failed => "not sent by the system",
            Self::Full => "too many flows",
            Self::NoMember => "no member",
            Self::NoSocket => "no socket",
            Self::Oversize => "too long",
            Self::Resolving => "name not resolved yet",
            Self::Stopping => "stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Dropped;

    #[test]
    fn the_list_of_all_reasons_is_in_the_order_of_their_numbers() {
        for (place, reason) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
    }
}
