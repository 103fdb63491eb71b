//! How large an experiment may be: more would not end, or not fit into the memory.
//!
//! Not here: limits of a single option (`options`).

use std::time::Duration;

use crate::numbers::{grouped, number};

pub(crate) const MEMBERS: i64 = 1_000_000;
pub(crate) const SERVERS: i64 = 1_000_000;
pub(crate) const BALANCERS: i64 = 10_000;
pub(crate) const REQUESTS: u64 = 100_000_000;

/// Each balancer has a list of all members: how many entries these lists have together.
const ENTRIES: u64 = 1_000_000;

/// The clock of a simulation ends after 584 years.
const YEARS: f64 = 100.0;

/// What an experiment is made of.
pub(crate) struct Size<'a> {
    pub(crate) members: u32,
    pub(crate) servers: u32,
    pub(crate) balancers: &'a [u32],
    /// The time from the first request to the last, and that of all the work, in seconds.
    pub(crate) seconds: f64,
}

impl Size<'_> {
    /// Returns what is too large, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = |count: u64| grouped(&count.to_string());
        let members = u64::from(self.members);
        if members > MEMBERS.unsigned_abs() {
            return Err(format!(
                "the log needs {} members for this load; at most {} are simulated: set their \
                 number with --members, or another --load",
                count(members),
                count(MEMBERS.unsigned_abs())
            ));
        }
        let balancers = u64::from(self.balancers.iter().copied().max().unwrap_or(1));
        if members * balancers > ENTRIES {
            return Err(format!(
                "{} members for each of {} balancers are too many: at most {} together",
                count(members),
                count(balancers),
                count(ENTRIES)
            ));
        }
        // One member has all servers in the simulation of one common queue.
        if self.members.checked_mul(self.servers).is_none() {
            return Err(format!(
                "{} members with {} servers each are too many: at most {} servers together",
                count(members),
                count(self.servers.into()),
                count(u32::MAX.into())
            ));
        }
        let years = self.seconds / Duration::from_secs(365 * 86_400).as_secs_f64();
        if years > YEARS {
            return Err(format!(
                "the requests take {} years: at most {YEARS} are simulated. Use fewer --requests, \
                 a lower --mean or a higher --load",
                number(years)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn what_would_not_end_is_refused() {
        let size = |members, servers, balancers, seconds| {
            let balancers = &[1, balancers];
            let size = Size {
                members,
                servers,
                balancers,
                seconds,
            };
            size.check().is_ok()
        };
        assert!(size(1_000_000, 4_000, 1, 1e9));
        assert!(size(100, 1_000_000, 10_000, 0.0));
        assert!(!size(u32::MAX, 1, 1, 0.0));
        assert!(!size(1_000_000, 1, 2, 0.0));
        assert!(!size(1_000_000, 5_000, 1, 0.0));
        assert!(!size(1, 1, 1, 4e9));
        assert!(!size(1, 1, 1, f64::INFINITY));
    }
}
