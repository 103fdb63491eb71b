//! Models: the schedulers' definitions as plain code, to compare a fast scheduler with.
//!
//! A model looks at all members for each pick, and shares no code with the schedulers. Write
//! one for a scheduler of your own, let both see the same requests, and compare the picks:
//!
//! ```
//! use equipoise::testkit::Group;
//! use equipoise::testkit::models::{Contender, Election, ElectionMethod};
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
//! let facts = |at: usize| Contender::new(weights[at].into());
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
//! | [`Maglev`](crate::scheduler::Maglev) | [`MaglevModel`] |
//! | a draw in proportion to weights | [`by_sum`], of the weights |
//! | the fewest requests for the weight | [`least_requests`] |
//! | weighted rendezvous hashing | [`rendezvous`] |
//! | the smoothest rotation | [`SmoothRotation`] |
//! | the first member with room | [`first`] |
//!
//! [`eligible`] is the model of the members that may be picked.

mod election;
mod maglev;
mod rotation;
mod scans;
mod walk;

pub use election::{Contender, Election, ElectionMethod, MemberBooks};
pub use maglev::MaglevModel;
pub use rotation::SmoothRotation;
pub use scans::{by_sum, first, least_requests, rendezvous};
pub use walk::{MemberRole, eligible};
