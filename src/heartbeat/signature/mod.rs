//! Signatures with a shared key: [`HeartbeatKey`], and the detection of replays
//! (`replays`).

mod key;
mod replays;

pub use key::HeartbeatKey;
pub(super) use key::{Stamp, Unverified};
pub(super) use replays::{Replays, Unacceptable};
