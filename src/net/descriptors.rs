//! How many clients there may be by default: [`default_connections`].
//!
//! What does not live here: what happens when there is no descriptor left (`accept`).

/// No more than so many, however many descriptors there may be.
const MOST: u64 = 10_000;
/// Descriptors for what is neither a client nor a member: listeners, files, the runtime.
const OTHERS: u64 = 64;
/// No fewer than so many, even if that is more than there may be.
const LEAST: u64 = 16;

/// Half of the descriptors that this process may have, but for some, so that each client leaves
/// one for its member.
pub(crate) fn default_connections() -> u32 {
    u32::try_from(out_of(soft_limit())).unwrap_or(u32::MAX)
}

fn out_of(descriptors: Option<u64>) -> u64 {
    let left = descriptors.unwrap_or(u64::MAX).saturating_sub(OTHERS);
    (left / 2).clamp(LEAST, MOST)
}

#[cfg(unix)]
fn soft_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn soft_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::out_of;

    #[test]
    fn each_client_leaves_a_descriptor_for_its_member() {
        for (limit, clients) in [
            (Some(1024), 480),
            (Some(20_064), 10_000),
            (Some(1 << 20), 10_000),
            (None, 10_000),
            (Some(20), 16),
        ] {
            assert_eq!(out_of(limit), clients, "{limit:?}");
        }
    }
}
