//! The order in which a hashing scheduler passes a key on: [`HashScheduler`].
//!
//! Not here: what a scheduler that wraps another one does with this order (`bounded`).

use std::ops::ControlFlow;

use crate::member::MemberId;
use crate::scheduler::{Candidates, Scheduler};

/// A scheduler that maps keys to members, and can list the members for a key in order.
///
/// [`BoundedLoad`](super::BoundedLoad) wraps such a scheduler. Implement this trait for a
/// hashing scheduler of your own to bound the load of its members.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{BoundedLoad, Candidates, HashScheduler, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberId, MemberSpec, PickRequest};
/// use std::ops::ControlFlow;
///
/// /// Key `k` belongs to the member at index `k mod n`.
/// #[derive(Debug)]
/// struct Modulo;
///
/// impl Scheduler for Modulo {
///     fn name(&self) -> &'static str {
///         "modulo"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
///         let key = context.hash().unwrap_or_else(|| context.random().next_u64());
///         let start = (key % candidates.len().max(1) as u64) as usize;
///         let order = candidates.iter().skip(start).chain(candidates.iter());
///         candidates.claim_first(order)
///     }
/// }
///
/// impl HashScheduler for Modulo {
///     fn visit_members(
///         &self,
///         candidates: &Candidates<'_>,
///         key: u64,
///         visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
///     ) {
///         let len = candidates.len() as u64;
///         for step in 0..len {
///             let index = (key % len + step) % len;
///             let member = candidates.at(index as usize);
///             if member.is_some_and(|member| visit(member.id()).is_break()) {
///                 return;
///             }
///         }
///     }
/// }
///
/// let balancer = Balancer::builder()
///     .scheduler(BoundedLoad::new(Modulo))
///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let request = PickRequest::new().with_hash(1);
/// let leases: Vec<_> = (0..3).map(|_| balancer.pick(&request).unwrap()).collect();
/// let names: Vec<_> = leases.iter().map(|lease| lease.member().name()).collect();
/// assert_eq!(names, ["b", "c", "b"], "at most 1, 1 and 2 requests for each member");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub trait HashScheduler: Scheduler {
    /// Calls `visit` with the members for `key` in order, until it breaks: the member that a
    /// pick would choose first, then the one that it would choose if the first could not be
    /// picked, and so on.
    ///
    /// All members are eligible. A member may be visited more than once, and may be tried or
    /// at its cap; the caller skips it then. The order may end before all members have been
    /// visited. This allocates nothing, as it is called in a pick.
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    );
}

const _: Option<&dyn HashScheduler> = None;

impl<S: HashScheduler + ?Sized> HashScheduler for Box<S> {
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    ) {
        (**self).visit_members(candidates, key, visit);
    }
}
