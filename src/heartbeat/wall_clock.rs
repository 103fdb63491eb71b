//! The time of day, for comparison with timestamps of other machines and files.
//!
//! Not here: ages, which are measured by a [`Clock`](crate::clock::Clock).

use std::time::{SystemTime, UNIX_EPOCH};

#[expect(
    clippy::disallowed_methods,
    reason = "files and other machines have no other common time"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since 1970.
pub(super) fn millis() -> u64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
