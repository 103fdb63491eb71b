//! Rings as lists of points that are sorted by their distance from a key: [`RingModel`].

use md5::{Digest, Md5};

use crate::stable_hash::{avalanche, crc32, hash_bytes, hash_bytes_128, xxhash64};

/// A ring: a key belongs to the member of the nearest point. Members are numbers, in the
/// order in which they are given; weights are in hundredths, as those of
/// [`Weight`](crate::Weight).
///
/// Source: Karger and others: *Consistent hashing and random trees* (STOC 1997). The
/// constructors place points as those of [`Ring`](crate::scheduler::Ring), which name their
/// sources.
///
/// # Examples
///
/// ```
/// use equipoise::stable_hash::crc32_with_length;
/// use equipoise::testkit::models::RingModel;
///
/// let members = [("10.0.0.1:80", 100), ("10.0.0.2:80", 100), ("10.0.0.3:80", 100)];
/// let ring = RingModel::nginx(&members);
/// // As nginx with `hash $uri consistent`.
/// let order = ring.order(crc32_with_length(b"/images/logo.png"));
/// assert_eq!((order[0], order.len()), (0, 3));
/// ```
#[derive(Clone, Debug)]
pub struct RingModel {
    /// Positions of 64 bits, each with its member.
    points: Vec<(u64, usize)>,
    /// By how many bits a key is moved up.
    shift: u32,
    /// Whether the nearest point may be on either side of the key.
    is_both_ways: bool,
}

impl RingModel {
    /// The ring of [`Ring::with_points`](crate::scheduler::Ring::with_points).
    #[must_use]
    pub fn new(each: u64, members: &[(&str, u64)]) -> Self {
        Self::of(members, 0, |name, weight, _| {
            let member = hash_bytes_128(name.as_bytes()).to_le_bytes();
            let point = |number: u32| {
                let number = number.to_le_bytes();
                hash_bytes(&[&member[..], &number[..]].concat())
            };
            (0..count(each, weight)).map(point).collect()
        })
    }

    /// The ring of [`Ring::nginx`](crate::scheduler::Ring::nginx), for names with a port.
    #[must_use]
    pub fn nginx(members: &[(&str, u64)]) -> Self {
        Self::of(members, 32, |name, weight, _| {
            let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
            let mut previous = 0_u32;
            let points = (0..count(160, weight)).map(|_| {
                let bytes = u32::to_le_bytes(previous);
                previous =
                    crc32(&[host.as_bytes(), &[0_u8][..], port.as_bytes(), &bytes[..]].concat());
                u64::from(previous) << 32
            });
            points.collect()
        })
    }

    /// The ring of [`Ring::ketama`](crate::scheduler::Ring::ketama), for names without a
    /// port.
    #[must_use]
    pub fn ketama(members: &[(&str, u64)]) -> Self {
        let total: u64 = members.iter().map(|&(_, weight)| weight).sum();
        let each = 40 * members.len() as u64;
        Self::of(members, 32, |name, weight, _| {
            let digests = (each * weight / total).max(1);
            let points = (0..digests).flat_map(|number| {
                let digest: [u8; 16] = Md5::digest(format!("{name}-{number}")).into();
                let words = [0, 4, 8, 12].map(|at| {
                    let bytes = [digest[at], digest[at + 1], digest[at + 2], digest[at + 3]];
                    u64::from(u32::from_le_bytes(bytes)) << 32
                });
                words.into_iter()
            });
            points.collect()
        })
    }

    /// The ring of [`Ring::envoy_with_sizes`](crate::scheduler::Ring::envoy_with_sizes).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "small weights")]
    pub fn envoy(least: u32, greatest: u32, members: &[(&str, u64)]) -> Self {
        let total: u64 = members.iter().map(|&(_, weight)| weight).sum();
        let share = |weight: u64| weight as f64 / total as f64;
        let lightest = members.iter().map(|&(_, weight)| share(weight));
        let lightest = lightest.fold(1.0, f64::min);
        let scale = (lightest * f64::from(least)).ceil() / lightest;
        let scale = scale.min(f64::from(greatest));
        let (mut placed, mut target) = (0.0, 0.0);
        Self::of(members, 0, |name, weight, _| {
            target += scale * share(weight);
            let mut points = Vec::new();
            while placed < target {
                points.push(xxhash64(format!("{name}_{}", points.len()).as_bytes()));
                placed += 1.0;
            }
            points
        })
    }

    /// The ring of [`Ring::haproxy`](crate::scheduler::Ring::haproxy).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a small index")]
    pub fn haproxy(members: &[(&str, u64)]) -> Self {
        let ring = Self::of(members, 32, |_, weight, at| {
            let id = at as u32 + 1;
            let point = |number: u32| u64::from(avalanche(4_096 * id + number)) << 32;
            (0..count(16, weight.min(25_600))).map(point).collect()
        });
        Self {
            is_both_ways: true,
            ..ring
        }
    }

    fn of(
        members: &[(&str, u64)],
        shift: u32,
        mut points: impl FnMut(&str, u64, usize) -> Vec<u64>,
    ) -> Self {
        let mut all: Vec<(u64, usize)> = Vec::new();
        for (at, &(name, weight)) in members.iter().enumerate() {
            all.extend(points(name, weight, at).into_iter().map(|it| (it, at)));
        }
        // Of points at one position, that of the first member remains.
        all.sort_unstable();
        all.dedup_by_key(|point| point.0);
        Self {
            points: all,
            shift,
            is_both_ways: false,
        }
    }

    /// Returns the members in the order of their nearest points: the owner of the key, then
    /// the member that it is passed on to, and so on.
    #[must_use]
    pub fn order(&self, key: u64) -> Vec<usize> {
        let key = key << self.shift;
        let distance = |position: u64| {
            let (ahead, behind) = (position.wrapping_sub(key), key.wrapping_sub(position));
            if self.is_both_ways && behind <= ahead {
                (behind, 0)
            } else {
                (ahead, 1)
            }
        };
        let mut points = self.points.clone();
        points.sort_by_key(|&(position, _)| distance(position));
        let mut order = Vec::new();
        for (_, member) in points {
            if !order.contains(&member) {
                order.push(member);
            }
        }
        order
    }
}

/// The number of points of a member that has `each` for a weight of 1, rounded to the nearest
/// number.
#[expect(clippy::cast_possible_truncation, reason = "small weights")]
fn count(each: u64, weight: u64) -> u32 {
    ((each * weight + 50) / 100).max(1) as u32
}
