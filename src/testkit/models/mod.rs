//! Models: the schedulers' definitions as plain code, to compare a fast scheduler with.
//!
//! A model looks at all members for each pick, and shares no code with the schedulers. Write
//! one for a scheduler of your own, let both see the same requests, and compare the picks:
//!
//! ```
//! use equipoise::testkit::Group;
//! use equipoise::testkit::models::{ModelMember, Election, ElectionMethod};
//! use equipoise::{ByRequests, MemberSpec, PickRequest, Weight};
//!
//! let mut group = Group::new(ByRequests::new());
//! let weights = [200, 100, 400];
//! let ids: Vec<_> = weights
//!     .iter()
//!     .enumerate()
//!     .map(|(at, &weight)| {
//!         let weight = Weight::from_hundredths(weight)?;
//!         Ok(group.insert(&format!("m{at}"), MemberSpec::new().with_weight(weight)))
//!     })
//!     .collect::<Result<_, equipoise::WeightError>>()?;
//! let mut model = Election::new(ElectionMethod::Requests);
//! let facts = |at: usize| ModelMember::new(weights[at].into());
//! for _ in 0..100 {
//!     let expected = model.elect(&[0, 1, 2], &[], facts).unwrap();
//!     assert_eq!(group.pick(&PickRequest::new()), Ok(ids[expected]));
//! }
//! # Ok::<(), equipoise::WeightError>(())
//! ```
//!
//! | scheduler | model |
//! |---|---|
//! | [`ByRequests`](crate::ByRequests), [`ByBusyness`](crate::ByBusyness), [`ByTraffic`](crate::ByTraffic) | [`Election`] |
//! | [`Heartbeat`](crate::Heartbeat) | [`by_sum`], of the idle capacities |
//! | [`Rotation`](crate::scheduler::Rotation) | [`SmoothRotation`] |
//! | [`WeightedRandom`](crate::scheduler::WeightedRandom) | [`by_sum`], of the weights |
//! | [`LeastRequest`](crate::scheduler::LeastRequest) | [`least_requests`]; [`two_choices`] where it draws |
//! | [`PeakEwma`](crate::scheduler::PeakEwma) | [`two_choices`], of the costs in [`PeakCost`] |
//! | [`Prequal`](crate::scheduler::Prequal) | [`PrequalModel`]; [`two_choices`] without reports |
//! | [`Maglev`](crate::scheduler::Maglev) | [`MaglevModel`] |
//! | [`Ring`](crate::scheduler::Ring) | [`RingModel`] |
//! | [`Rendezvous`](crate::scheduler::Rendezvous) | [`rendezvous`] |
//! | [`Modulo`](crate::scheduler::Modulo) | [`remainder_slots`]; [`by_sum`] as nginx |
//! | [`BoundedLoad`](crate::scheduler::BoundedLoad) | [`below_bound`], in the order of the scheduler inside |
//! | [`First`](crate::scheduler::First) | [`first`] |
//! | [`ZoneAware`](crate::scheduler::ZoneAware) | [`zone_chances`] |
//!
//! [`eligible`] is the model of the members that may be picked.

mod election;
mod loads;
mod maglev;
mod prequal;
mod ring;
mod rotation;
mod scans;
mod shares;
mod walk;

pub use election::{Election, ElectionMethod, MemberBooks, ModelMember};
pub use loads::{PeakCost, two_choices};
pub use maglev::MaglevModel;
pub use prequal::PrequalModel;
pub use ring::RingModel;
pub use rotation::SmoothRotation;
pub use scans::{by_sum, first, least_requests, rendezvous};
pub use shares::{below_bound, remainder_slots, zone_chances};
pub use walk::{MemberRole, eligible};
