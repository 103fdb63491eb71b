//! Messages that are signed with a shared key: [`HeartbeatKey`], and what keeps old ones from
//! being sent again (`replays`).

mod key;
mod replays;

pub use key::HeartbeatKey;
pub(super) use key::{Stamp, Unverified};
pub(super) use replays::{Replays, Unacceptable};
