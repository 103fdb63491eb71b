//! Maglev's table, filled as the paper states: [`MaglevModel`].

use crate::stable_hash::hash_bytes_128;

/// Maglev's table: which member owns each slot, and with it each hash key.
///
/// The members are sorted by name. In each round each member is asked in turn; it takes the
/// next free slot of its own permutation of the slots if its weight times the number of the
/// round has reached its target, and its target then grows by the greatest weight.
///
/// Source: Eisenbud and others: *Maglev: A fast and reliable software network load balancer*
/// (NSDI 2016), 3.4; weights as in Envoy (`maglev_lb.cc`).
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Maglev;
/// use equipoise::testkit::models::MaglevModel;
/// use equipoise::{Balancer, PickRequest};
///
/// let model = MaglevModel::new(251, &[("a", 100), ("b", 100)]);
/// let balancer = Balancer::builder()
///     .scheduler(Maglev::with_table_size(251)?)
///     .members(["a", "b"].map(|name| (name, (), Default::default())))
///     .build()?;
/// for key in 0..251 {
///     let lease = balancer.pick(&PickRequest::new().with_hash(key))?;
///     assert_eq!(Some(lease.member().name()), model.owner(key));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaglevModel {
    names: Vec<String>,
    table: Vec<usize>,
}

impl MaglevModel {
    /// Fills a table with `size` slots (a prime number) for members with names and weights
    /// in hundredths.
    #[must_use]
    pub fn new(size: usize, members: &[(&str, u64)]) -> Self {
        let mut members = members.to_vec();
        members.sort_unstable();
        let heaviest = members.iter().map(|&(_, weight)| weight).max().unwrap_or(0);
        let mut table = vec![usize::MAX; size];
        let mut targets = vec![0; members.len()];
        let mut claimed = vec![0; members.len()];
        let (mut round, mut free) = (0, if members.is_empty() { 0 } else { size });
        while free > 0 {
            round += 1;
            for (at, &(name, weight)) in members.iter().enumerate() {
                if round * weight < targets[at] || free == 0 {
                    continue;
                }
                targets[at] += heaviest;
                loop {
                    let slot = permutation(name, size, claimed[at]);
                    claimed[at] += 1;
                    if table[slot] == usize::MAX {
                        table[slot] = at;
                        break;
                    }
                }
                free -= 1;
            }
        }
        Self {
            names: members.iter().map(|&(name, _)| name.to_owned()).collect(),
            table,
        }
    }

    /// Returns the name of the member that owns a hash key; `None` without members.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the number of slots"
    )]
    pub fn owner(&self, key: u64) -> Option<&str> {
        let slot = (key % self.table.len() as u64) as usize;
        self.names.get(self.table[slot]).map(String::as_str)
    }
}

/// Returns a slot of a member's permutation.
#[expect(
    clippy::cast_possible_truncation,
    reason = "halves of a hash, and a slot"
)]
fn permutation(name: &str, size: usize, at: u64) -> usize {
    let hash = hash_bytes_128(name.as_bytes());
    let (upper, lower) = ((hash >> 64) as u64, hash as u64);
    let size = size as u64;
    let (offset, skip) = (upper % size, lower % (size - 1) + 1);
    ((offset + at * skip) % size) as usize
}
