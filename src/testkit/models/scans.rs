//! Models that look at all members for one pick, and remember nothing.

use std::cmp::Ordering;

/// Returns the member whose part of the sum contains `draw`: with the parts 2, 0 and 3, the
/// draws 0 and 1 give member 0, and 2 to 4 member 2. `None` if the sum is not greater than
/// the draw.
///
/// With weights as parts, this is a draw in proportion to weights; with idle capacities, the
/// draw of [`Heartbeat`](crate::Heartbeat).
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::by_sum;
///
/// let drawn: Vec<_> = (0..6).map(|draw| by_sum(&[2, 0, 3], draw)).collect();
/// assert_eq!(drawn, [Some(0), Some(0), Some(2), Some(2), Some(2), None]);
/// ```
#[must_use]
pub fn by_sum(parts: &[u64], draw: u64) -> Option<usize> {
    let mut rest = draw;
    for (member, &part) in parts.iter().enumerate() {
        if rest < part {
            return Some(member);
        }
        rest -= part;
    }
    None
}

/// Returns the first member with room, given which members have room.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::first;
///
/// assert_eq!(first(&[false, true, true]), Some(1));
/// assert_eq!(first(&[]), None);
/// ```
#[must_use]
pub fn first(have_room: &[bool]) -> Option<usize> {
    have_room.iter().position(|&has_room| has_room)
}

/// Returns all members with the least (requests in flight + 1) / weight, given both for each
/// member. A scheduler that scans all members picks one of these.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::least_requests;
///
/// // 2 / 1, 2 / 2 and 3 / 3
/// assert_eq!(least_requests(&[(1, 1), (1, 2), (2, 3)]), [1, 2]);
/// ```
#[must_use]
pub fn least_requests(members: &[(u64, u64)]) -> Vec<usize> {
    // a / v against b / w, as a * w against b * v
    let compare = |&(a, v): &(u64, u64), &(b, w): &(u64, u64)| {
        let (a, b) = (u128::from(a) + 1, u128::from(b) + 1);
        (a * u128::from(w)).cmp(&(b * u128::from(v)))
    };
    let least = members.iter().min_by(|one, other| compare(one, other));
    let is_least = |member: &&(usize, &(u64, u64))| {
        least.is_some_and(|least| compare(member.1, least) == Ordering::Equal)
    };
    let all = members.iter().enumerate();
    all.filter(|member| is_least(&member))
        .map(|(at, _)| at)
        .collect()
}

/// Returns the members in the order of weighted rendezvous hashing, given for each member
/// the hash of key and member, and its weight.
///
/// The upper 53 bits of a hash are a number *u* in (0, 1), and −*w* / ln *u* is the score;
/// the highest wins. The logarithm is the platform's, so a comparison with a scheduler must
/// allow for scores that are equal up to rounding.
///
/// Source: Thaler, Ravishankar: *Using name-based mappings to increase hit rates* (1998);
/// weights: Schindelhauer, Schomaker: *Weighted distributed hash tables* (2005).
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::rendezvous;
///
/// let half = u64::MAX / 2;
/// assert_eq!(rendezvous(&[(half, 1), (half, 3), (half / 2, 1)]), [1, 0, 2]);
/// ```
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits, and weights below 2^53"
)]
pub fn rendezvous(members: &[(u64, u64)]) -> Vec<usize> {
    let score = |&(hash, weight): &(u64, u64)| {
        let u = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -(weight as f64) / u.ln()
    };
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| score(&members[b]).total_cmp(&score(&members[a])));
    order
}
