//! The default maximum number of clients: [`default_connections`].
//!
//! Not here: what happens when no descriptor is left (`accept`).

/// The maximum, however many descriptors there are.
const MOST: u64 = 10_000;
/// Descriptors for everything that is neither a client nor a member: listeners, files, the
/// runtime.
const OTHERS: u64 = 64;
/// The minimum, even if there are fewer descriptors.
const LEAST: u64 = 16;

/// Returns half of the descriptors that this process may open, after a reserve, so that
/// there is one for each client and one for its member.
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
