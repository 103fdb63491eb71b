//! [`Rendezvous`]: consistent hashing by the best score, without a table.
//!
//! Not here: the scores (`mod.rs`), and the search for the best one (`by_score.rs`).

use std::ops::ControlFlow;

use super::by_score::{MemberHashes, by_score, claim_by_score, scores};
use super::{HashScheduler, Purpose, hash_of, hash_pair, key_of, lower, noting_no_key};
use crate::member::MemberId;
use crate::scheduler::{
    Candidates, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers, Scheduler,
};

/// Picks the member with the best score for the request's hash key (weighted rendezvous
/// hashing, also called highest random weight).
///
/// Use it for up to about a hundred members, where each key must stay with its member and
/// no other key may move: caches, shards. [`Maglev`](super::Maglev) takes the same time for
/// any number of members, but moves up to 1 % of the other keys when a member joins or
/// leaves.
///
/// The score of a member follows from the key, the member's name and its weight, and from
/// nothing else. So all processes with the same members and weights pick alike, and no key
/// moves between two members because of a third one:
///
/// | event | keys that move |
/// |---|---|
/// | a member is unusable, drained, full, or tried by the request | its own, to all others by weight |
/// | it is eligible again, or is inserted again | those same keys, back |
/// | a member is removed or inserted | its own only |
/// | its weight grows, as during a slow start | to it only, and never away |
///
/// Each member is the best for a key with a chance in proportion to its weight. With `K`
/// different keys and `n` members of equal weight, the greatest share exceeds the mean by
/// about `sqrt(2 n ln n / K)` of it, by chance.
///
/// [`PickRequest::with_hash`](crate::PickRequest::with_hash) sets the key. A request
/// without a key goes to the member of a random key.
///
/// Cost: a pick hashes the key with each eligible member; most members need no logarithm. It
/// takes no lock and allocates nothing. The plan holds one hash for each member, 16 bytes; until it
/// is made, a pick hashes the names itself, and picks the same members.
///
/// Source: Thaler, Ravishankar: *Using name-based mappings to increase hit rates* (1998),
/// with weights after Schindelhauer, Schomaker: *Weighted distributed hash tables* (2005).
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Rendezvous;
/// use equipoise::stable_hash::hash_bytes;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let balancer = Balancer::builder()
///     .scheduler(Rendezvous::new())
///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let key = hash_bytes(b"/images/logo.png");
/// let owner = || {
///     let lease = balancer.pick(&PickRequest::new().with_hash(key)).unwrap();
///     lease.member().name().to_owned()
/// };
/// let before = owner();
/// balancer.remove(&before)?;
/// assert_ne!(owner(), before);
/// balancer.insert(before.as_str(), (), MemberSpec::new())?;
/// assert_eq!(owner(), before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Rendezvous;

impl Rendezvous {
    /// Creates a scheduler.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::Rendezvous;
    ///
    /// assert_eq!(Rendezvous::new().name(), "rendezvous");
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Returns the `size` members that one of many clients should use: a random subset that
    /// is the same each time, and differs for each `client`.
    ///
    /// Use it if hundreds of balancers would otherwise each connect to all of thousands of
    /// members. `client` is a number that identifies the balancer, such as the hash of its
    /// host name. A member that joins or leaves changes at most one entry of a subset. The
    /// result is in the order of the members' hashes.
    ///
    /// The members get equal numbers of clients only on average: with `T` clients, a member
    /// is in `T * size / n` subsets, give or take the square root of that.
    ///
    /// Source: gRPC proposal A68, *Random subsetting with rendezvous hashing*.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Rendezvous;
    /// use equipoise::stable_hash::hash_bytes;
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let all: Vec<String> = (0..1_000).map(|at| format!("node{at}")).collect();
    /// let client = hash_bytes(b"edge-7.example");
    /// let mine = Rendezvous::subset(&all, 20, client);
    /// assert_eq!(mine.len(), 20);
    ///
    /// let balancer = Balancer::<()>::builder().build()?;
    /// balancer.replace_all(mine.into_iter().map(|name| (name.clone(), (), MemberSpec::new())))?;
    /// assert_eq!(balancer.len(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn subset<N>(names: impl IntoIterator<Item = N>, size: usize, client: u64) -> Vec<N>
    where
        N: AsRef<str>,
    {
        let hashed = names.into_iter().map(|name| {
            let member = lower(hash_of(name.as_ref()));
            (hash_pair(Purpose::Subset, client, member), name)
        });
        let mut hashed: Vec<(u64, N)> = hashed.collect();
        hashed.sort_by(|(hash, name), (other_hash, other)| {
            let tie = || name.as_ref().cmp(other.as_ref());
            hash.cmp(other_hash).then_with(tie)
        });
        let nearest = hashed.into_iter().take(size);
        nearest.map(|(_, name)| name).collect()
    }
}

impl Scheduler for Rendezvous {
    fn name(&self) -> &'static str {
        "rendezvous"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(MemberHashes::new(members)))
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        claim_by_score(candidates, key_of(context), candidates.plan())
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let mut order = by_score(candidates, key_of(context), candidates.plan());
        Some(order.next()?.id())
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let details = PickDetails::comparing("score of the hash key");
        let scores = scores(candidates, key_of(context), candidates.plan());
        let details = scores.fold(details, |details, (member, score)| {
            details.score(member, score)
        });
        noting_no_key(details, context)
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

impl HashScheduler for Rendezvous {
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    ) {
        for one in by_score(candidates, key, candidates.plan()) {
            if visit(one.id()).is_break() {
                return;
            }
        }
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests;
