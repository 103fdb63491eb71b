//! Which members are eligible, by Apache's walk: [`eligible`].

/// What the walk reads of a member.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::MemberRole;
///
/// let mut role = MemberRole::new();
/// role.is_spare = true;
/// assert!(role.is_able && !role.is_standby);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberRole {
    /// Whether it may take new requests: it is usable and does not drain.
    pub is_able: bool,
    /// Whether it replaces members that cannot serve. A member that is also a standby is a
    /// spare.
    pub is_spare: bool,
    /// Whether it serves only if no other member of its tier can.
    pub is_standby: bool,
}

impl MemberRole {
    /// Creates the role of an ordinary member that may take requests.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_able: true,
            is_spare: false,
            is_standby: false,
        }
    }
}

impl Default for MemberRole {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the eligible members in the order that settles ties, each with whether it stands
/// in as a spare.
///
/// `members` are numbers with tiers, in configuration order. The lowest tier with a member
/// that can serve decides: its ordinary members, and behind them one spare for each that
/// cannot serve; or else its standbys. `role` is called once for each member of each tier
/// that is looked at, in order.
///
/// With `lone_spares`, if no tier has a member, the spares of the first tier serve that has
/// no ordinary member. Apache has no such rule.
///
/// Source: `ap_proxy_balancer_get_best_worker` of Apache httpd 2.4.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::{MemberRole, eligible};
///
/// let mut roles = [MemberRole::new(); 3];
/// roles[0].is_able = false;
/// roles[2].is_spare = true;
/// let group = eligible(&[(0, 0), (1, 0), (2, 0)], true, |member| roles[member]);
/// assert_eq!(group, [(1, false), (2, true)]);
/// ```
pub fn eligible(
    members: &[(usize, i64)],
    lone_spares: bool,
    mut role: impl FnMut(usize) -> MemberRole,
) -> Vec<(usize, bool)> {
    let mut tiers: Vec<i64> = members.iter().map(|&(_, tier)| tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let mut lone: Vec<usize> = Vec::new();
    for tier in tiers {
        let (mut group, mut spares, mut standbys) = (Vec::new(), Vec::new(), Vec::new());
        let mut missing = 0;
        for &(member, of) in members {
            if of != tier {
                continue;
            }
            let role = role(member);
            match (role.is_able, role.is_spare, role.is_standby) {
                (true, true, _) => spares.push(member),
                (true, false, true) => standbys.push((member, false)),
                (true, false, false) => group.push((member, false)),
                (false, false, false) => missing += 1,
                (false, ..) => {}
            }
        }
        if lone.is_empty() && group.is_empty() && missing == 0 {
            lone.clone_from(&spares);
        }
        group.extend(spares.into_iter().take(missing).map(|spare| (spare, true)));
        if group.is_empty() {
            group = standbys;
        }
        if !group.is_empty() {
            return group;
        }
    }
    lone.retain(|_| lone_spares);
    lone.into_iter().map(|member| (member, false)).collect()
}
