//! [`Ring`], the scheduler.
//!
//! Not here: how a ring is made (`construction.rs`), and the walk from a key (`table.rs`).

use std::ops::ControlFlow;
use std::sync::Arc;

use super::construction::RingConstruction;
use super::size_error::RingSizeError;
use super::table::RingTable;
use crate::member::MemberId;
use crate::scheduler::hashing::by_score::{best_other_by_score, by_score, claim_by_score};
use crate::scheduler::hashing::{HashScheduler, key_of, noting_no_key};
use crate::scheduler::{
    Candidates, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers, Scheduler,
};

/// Picks the member of the nearest point on a ring of hashed points. A key moves only if its
/// own member leaves, or if a member joins that has a nearer point.
///
/// Use it to pick the same members as nginx, HAProxy, Envoy or a memcached client, for
/// example while traffic moves from such a program to this crate. If no other program must
/// pick alike, prefer [`Maglev`](crate::scheduler::Maglev): it is faster and shares more exactly, but a
/// change of members also moves up to 1 % of the keys of other members.
///
/// Each member has points on a ring, in proportion to its weight. A key belongs to the first
/// point at or after it ([`haproxy`](Self::haproxy): to the nearest point on either side).
/// If the member of this point is unusable, full or already tried by the request, the pick
/// goes on to the next point, for up to 1 024 points. After that it picks the eligible member
/// with the best score for the key, by weighted rendezvous hashing. A member with less than
/// its full weight, as during a slow start, keeps that share of its keys and passes the
/// others on; members that ramp up together keep all keys. A request without a hash key gets a
/// random one.
///
/// | constructor | points | key ([`PickRequest::with_hash`](crate::PickRequest::with_hash)) |
/// |---|---|---|
/// | [`new`](Self::new) | 160 × weight | any; [`hash_bytes`](crate::stable_hash::hash_bytes) |
/// | [`with_points`](Self::with_points) | as many × weight | the same |
/// | [`nginx`](Self::nginx) | 160 × weight | [`crc32_with_length`](crate::stable_hash::crc32_with_length) |
/// | [`ketama`](Self::ketama) | 160 × weight ÷ mean weight | [`ketama`](crate::stable_hash::ketama) |
/// | [`envoy`](Self::envoy) | in total at least 1 024 | [`xxhash64`](crate::stable_hash::xxhash64) |
/// | [`haproxy`](Self::haproxy) | 16 × weight | [`sdbm`](crate::stable_hash::sdbm) and [`avalanche`](crate::stable_hash::avalanche), or as configured |
///
/// Keys of `nginx`, `ketama` and `haproxy` have 32 bits; the upper half of a key is ignored.
///
/// # Shares
///
/// With `v` points for each of `n` equal members, the largest share is about `1 + sqrt(2 ln n
/// / v)` times the mean: with 160 points 1.2 for 10 members and 1.3 for 1 000, with 655 points
/// 1.1 and 1.15. [`Balancer::explain`](crate::Balancer::explain) shows the number of points,
/// the position of the key, and the least and the greatest number of points of a member.
///
/// # Cost
///
/// A pick takes no lock and allocates nothing. A ring takes 12 bytes for each point, 1 byte
/// for an index, and 16 bytes for each member: 2.1 kB for each member of weight 1 with 160
/// points. A ring has up to 8 388 608 points; if the weights ask for more, every member has
/// half as many points, a quarter, and so on: with 160 points for a weight of 1, above a total
/// weight of 52 428. A change that crosses this limit moves many keys. Weights of 1 to 10 are
/// therefore better than 1 000 to 10 000. The caller of a change makes the ring, outside every lock;
/// [`Scheduler::plan`] describes this. It takes about 0.3 µs for each point: half a second
/// for 10 000 members with 160 points.
///
/// Source: Karger and others: *Consistent hashing and random trees* (STOC 1997). The
/// constructors name the sources of their points.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::Ring;
/// use equipoise::stable_hash::crc32_with_length;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// // upstream cache {
/// //     hash $uri consistent;
/// //     server 10.0.0.1:80;
/// //     server 10.0.0.2:80;
/// //     server 10.0.0.3:80;
/// // }
/// let names = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
/// let balancer = Balancer::builder()
///     .scheduler(Ring::nginx())
///     .members(names.map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let key = crc32_with_length(b"/images/logo.png");
/// let lease = balancer.pick(&PickRequest::new().with_hash(key))?;
/// assert_eq!(lease.member().name(), "10.0.0.1:80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ring {
    construction: RingConstruction,
}

/// The number of points of a member of weight 1.
const EACH: u32 = 160;

/// The greatest number of points that a member of weight 1 can have.
const MOST_EACH: u32 = 4_096;

/// Envoy's default and greatest size of a ring.
const ENVOY_SIZES: (u32, u32) = (1_024, 8_388_608);

impl Ring {
    /// Creates a scheduler with 160 points for a weight of 1. The order of the members does
    /// not matter.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Ring;
    /// use equipoise::stable_hash::hash_bytes;
    /// use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(Ring::new())
    ///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let request = PickRequest::new().with_hash(hash_bytes(b"/images/logo.png"));
    /// let before = balancer.pick(&request)?.member().name().to_owned();
    /// balancer.set_flag(&before, Flag::Disabled)?;
    /// assert_ne!(balancer.pick(&request)?.member().name(), before);
    /// balancer.clear_flag(&before, Flag::Disabled)?;
    /// assert_eq!(balancer.pick(&request)?.member().name(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            construction: RingConstruction::Own { each: EACH },
        }
    }

    /// Creates a scheduler with `points` points for a weight of 1: more points make shares
    /// more exact and the ring larger.
    ///
    /// A member has a whole number of points, rounded to the nearest one, and at least one. So
    /// with few points, members of the weights 0.5 and 1 may have the same number of them.
    ///
    /// # Errors
    ///
    /// [`RingSizeError::OutOfRange`] if `points` is 0 or more than 4 096.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Ring, RingSizeError};
    ///
    /// assert!(Ring::with_points(655).is_ok());
    /// assert_eq!(Ring::with_points(0).unwrap_err(), RingSizeError::OutOfRange);
    /// ```
    pub fn with_points(points: u32) -> Result<Self, RingSizeError> {
        if !(1..=MOST_EACH).contains(&points) {
            return Err(RingSizeError::OutOfRange);
        }
        Ok(Self {
            construction: RingConstruction::Own { each: points },
        })
    }

    /// Creates a scheduler that picks as nginx does with `hash … consistent`, and as the
    /// Perl module Cache::Memcached::Fast.
    ///
    /// A member's name must be the text of nginx's `server` directive, without its
    /// parameters: `10.0.0.1:80`. nginx adds no default port: `10.0.0.1` is another name than
    /// `10.0.0.1:80`. The key of a request is
    /// [`crc32_with_length`](crate::stable_hash::crc32_with_length) of the text that nginx
    /// hashes, such as `$uri` after it is decoded.
    ///
    /// The picks are nginx's also if members are `down`, have failed, or have been tried by
    /// the request. They differ in these cases:
    ///
    /// * nginx passes 20 points and then turns to round robin. This happens if most members
    ///   are unusable, or one of a far greater weight.
    /// * nginx turns to round robin if the text is empty, or if there is one member only.
    /// * In nginx, a weight is a whole number.
    /// * Above a total weight of 52 428, this ring has half as many points as nginx's, or fewer
    ///   ([cost](Self#cost)), and most keys differ.
    /// * A member whose weight [ramps up](crate::member::Ramp) has a part of its keys.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Ring, Scheduler};
    ///
    /// assert_eq!(Ring::nginx().name(), "ring-nginx");
    /// ```
    #[must_use]
    pub const fn nginx() -> Self {
        Self {
            construction: RingConstruction::Nginx,
        }
    }

    /// Creates a scheduler that picks as libmemcached does with
    /// `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`, and as clients that are built on it (pylibmc,
    /// the PHP extension memcached).
    ///
    /// The points are the MD5 digests of `host:port-number`, with four points for each digest.
    /// The port 11211 is left out, as libmemcached does. A member of the mean weight has 160
    /// points. A change of weights or members changes the number of points of all members,
    /// unless all weights are equal. The key of a request is
    /// [`ketama`](crate::stable_hash::ketama) of the memcached key.
    ///
    /// Each member has at least 4 points; in libmemcached, a member whose weight is below
    /// 1/40 of the mean has none. If there are more than 52 428 members, each has fewer
    /// points.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Ring;
    /// use equipoise::stable_hash::ketama;
    /// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
    ///
    /// // From the tests of libmemcached.
    /// let weights = [600, 300, 200, 350, 1_000, 800, 950, 100];
    /// let members = (1..).zip(weights).map(|(host, weight)| {
    ///     let weight = Weight::new(weight).unwrap();
    ///     (format!("10.0.1.{host}:11211"), (), MemberSpec::new().with_weight(weight))
    /// });
    /// let balancer = Balancer::builder().scheduler(Ring::ketama()).members(members).build()?;
    /// let request = PickRequest::new().with_hash(ketama(b"30C1*Z*S/_").into());
    /// assert_eq!(balancer.pick(&request)?.member().name(), "10.0.1.2:11211");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn ketama() -> Self {
        Self {
            construction: RingConstruction::Ketama,
        }
    }

    /// Creates a scheduler that picks as Envoy does with `RING_HASH` and its default sizes:
    /// at least 1 024 and at most 8 388 608 points.
    ///
    /// A member's name must be the address as Envoy prints it, such as `10.0.0.1:80`, and the
    /// members must be in the order of Envoy's endpoints if their weights differ. The key of
    /// a request is [`xxhash64`](crate::stable_hash::xxhash64) of the value of its hash
    /// policy.
    ///
    /// Envoy makes a ring of its healthy hosts only, in which a host may have another number of
    /// points than before. This ring has the points of all members, so that a failure moves the
    /// keys of the failed member only.
    ///
    /// gRPC's `ring_hash` uses the same points, with at most 4 096
    /// ([`envoy_with_sizes`](Self::envoy_with_sizes)).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Ring;
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// // Six endpoints, from Envoy's tests.
    /// let members = (90..96).map(|port| (format!("127.0.0.1:{port}"), (), MemberSpec::new()));
    /// let scheduler = Ring::envoy_with_sizes(12, 8_388_608)?;
    /// let balancer = Balancer::builder().scheduler(scheduler).members(members).build()?;
    /// let request = PickRequest::new().with_hash(3_551_244_743_356_806_948);
    /// assert_eq!(balancer.pick(&request)?.member().name(), "127.0.0.1:93");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn envoy() -> Self {
        let (least, greatest) = ENVOY_SIZES;
        Self {
            construction: RingConstruction::Envoy { least, greatest },
        }
    }

    /// Creates a scheduler that picks as [`envoy`](Self::envoy), with `minimum_ring_size`
    /// and `maximum_ring_size`.
    ///
    /// If there are more members than `greatest`, some have no points, and get no keys while
    /// others are eligible. The same is true of light members, if the share of the lightest one
    /// is less than one point of `greatest`.
    /// [`Balancer::explain`](crate::Balancer::explain) has a remark then.
    ///
    /// # Errors
    ///
    /// [`RingSizeError::OutOfRange`] if a size is 0 or more than 8 388 608, and
    /// [`RingSizeError::Reversed`] if `least` is greater than `greatest`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Ring, RingSizeError};
    ///
    /// assert!(Ring::envoy_with_sizes(1_024, 4_096).is_ok());
    /// let error = Ring::envoy_with_sizes(20, 10).unwrap_err();
    /// assert_eq!(error, RingSizeError::Reversed);
    /// ```
    pub fn envoy_with_sizes(least: u32, greatest: u32) -> Result<Self, RingSizeError> {
        let range = 1..=ENVOY_SIZES.1;
        if !range.contains(&least) || !range.contains(&greatest) {
            return Err(RingSizeError::OutOfRange);
        }
        if least > greatest {
            return Err(RingSizeError::Reversed);
        }
        Ok(Self {
            construction: RingConstruction::Envoy { least, greatest },
        })
    }

    /// Creates a scheduler that picks as HAProxy does with `hash-type consistent`, for
    /// members whose ids HAProxy has chosen.
    ///
    /// HAProxy places servers by their ids, not by their names (`hash-key id`, the default
    /// and the only way before version 3.0). The first server of a backend has the id 1, the
    /// next one 2, and so on. List the members in the order of the file. If a member is
    /// inserted or removed other than at the end, the ids of those after it change, and most
    /// of their keys move, as in HAProxy. [`haproxy_with_ids`](Self::haproxy_with_ids) avoids
    /// that.
    ///
    /// Servers with `backup` belong in a later [tier](crate::MemberSpec::with_tier), and at
    /// the end, because members are numbered by tier first. All members of a tier serve, as
    /// with `option allbackups`; without it, HAProxy uses the first backup server only.
    ///
    /// The key of a request is the function of `hash-type` of the text that `balance` names:
    ///
    /// | HAProxy | key |
    /// |---|---|
    /// | `hash-type consistent` | `avalanche(sdbm(text))` |
    /// | `hash-type consistent sdbm` | `sdbm(text)` |
    /// | `hash-type consistent djb2 avalanche` | `avalanche(djb2(text))` |
    /// | `hash-type consistent crc32` | `crc32(text)` |
    ///
    /// For `balance uri` the text is the path, without the query. For HTTP/2 and for absolute
    /// URIs it is the whole URI, also without the query, unless `balance uri path-only` is
    /// written. For `balance hdr(name)` it is the value in the first line of that header, up to
    /// the first comma outside quotes. [`sdbm`](crate::stable_hash::sdbm) and the other functions are in
    /// [`stable_hash`](crate::stable_hash). The function `wt6` is not there.
    ///
    /// The picks are HAProxy's also if servers are down. Weights are whole numbers to 256
    /// there; a greater one counts as 256. During `slowstart`, HAProxy has a part of the
    /// points of a server; this scheduler a part of the keys of all its points.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Ring;
    /// use equipoise::stable_hash::{avalanche, sdbm};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// // backend cache
    /// //     balance uri
    /// //     hash-type consistent
    /// //     server a 10.0.0.1:80
    /// //     server b 10.0.0.2:80
    /// let balancer = Balancer::builder()
    ///     .scheduler(Ring::haproxy())
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let key = avalanche(sdbm(b"/images/logo.png"));
    /// let lease = balancer.pick(&PickRequest::new().with_hash(key.into()))?;
    /// assert_eq!(lease.member().name(), "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn haproxy() -> Self {
        Self {
            construction: RingConstruction::Haproxy { id_label: None },
        }
    }

    /// Creates a scheduler that picks as [`haproxy`](Self::haproxy), where a label has the id
    /// of a member (`server … id 7`).
    ///
    /// With ids, a change of members moves only the keys of the members that join or leave.
    /// A member without the label, or whose label is no number from 1 to 4 294 967 295, or
    /// is the id of an earlier member, has the id that HAProxy would give it: the first free
    /// one from its place on.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::Ring;
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// // server a 10.0.0.1:80 id 7
    /// let balancer = Balancer::builder()
    ///     .scheduler(Ring::haproxy_with_ids("id"))
    ///     .member("a", (), MemberSpec::new().with_label("id", "7"))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn haproxy_with_ids(label: impl AsRef<str>) -> Self {
        let id_label = Some(Arc::from(label.as_ref()));
        Self {
            construction: RingConstruction::Haproxy { id_label },
        }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for Ring {
    fn name(&self) -> &'static str {
        self.construction.name()
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let members = members.iter().map(|one| self.construction.member(&one));
        Some(Plan::new(self.construction.table(members.collect())))
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let key = key_of(context);
        let table = candidates.plan::<RingTable>();
        if let Some(table) = table {
            for member in table.walk(key) {
                if let Some(claim) = member.claim(candidates, key) {
                    return Pick::Claimed(claim);
                }
            }
        }
        claim_by_score(candidates, key, table.map(RingTable::hashes))
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let key = key_of(context);
        let table = candidates.plan::<RingTable>();
        let mut walk = table.into_iter().flat_map(|table| table.walk(key));
        let found = walk.find(|member| member.can_take(candidates, key));
        let found = found.map(|member| member.id);
        let hashes = table.map(RingTable::hashes);
        found.or_else(|| best_other_by_score(candidates, key, hashes, None))
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let key = key_of(context);
        let details = noting_no_key(PickDetails::default(), context);
        let Some(table) = candidates.plan::<RingTable>() else {
            return details.note("the ring is not made yet, so that scores decide");
        };
        let Some(nearest) = table.points(key).next() else {
            return details.note("the ring has no points");
        };
        let (least, most) = table.extremes();
        let details = details
            .position(nearest as u64, table.len() as u64)
            .note(format!("each member has {least} to {most} points"));
        let details = if least == 0 {
            details.note("members without points get no keys while others are eligible")
        } else {
            details
        };
        let passed = table
            .walk(key)
            .position(|member| member.can_take(candidates, key));
        match passed {
            Some(0) => details,
            Some(passed) => details.note(format!("points passed over: {passed}")),
            None => details.note("no member of the points near the key can take it: scores decide"),
        }
    }

    fn needs(&self) -> Needs {
        Needs::PLAN
    }
}

impl HashScheduler for Ring {
    fn visit_members(
        &self,
        candidates: &Candidates<'_>,
        key: u64,
        visit: &mut dyn FnMut(MemberId) -> ControlFlow<()>,
    ) {
        let table = candidates.plan::<RingTable>();
        for member in table.into_iter().flat_map(|table| table.walk(key)) {
            if member.keeps(candidates, key) && visit(member.id).is_break() {
                return;
            }
        }
        for one in by_score(candidates, key, table.map(RingTable::hashes)) {
            if visit(one.id()).is_break() {
                return;
            }
        }
    }
}
