//! A kit to test schedulers: your own, and those of this crate (feature `testkit`).
//!
//! * [`laws`] check a scheduler on made-up cases, in one line each: that it honours tried
//!   members and caps, shares by weight, starves none, survives any change of its members.
//!   A broken law is reported with the smallest example that was found.
//! * [`Group`] has members without a balancer, for unit tests.
//! * [`models`] are the definitions of the schedulers as plain code, to compare with.
//! * [`Recorder`] writes down the picks of a balancer, and [`Replay`] makes them again: the
//!   log of a program that picks through a recorder becomes a test ([more](replay)).
#![cfg_attr(
    feature = "proptest",
    doc = "* [`strategies`] generate members, traffic and changes for property tests."
)]
//!
//! # Examples
//!
//! A scheduler with its tests. The kit is a dev-dependency:
//! `equipoise = { version = "0.1", features = ["testkit"] }`.
//!
//! ```
//! use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
//! use equipoise::MemberId;
//!
//! /// Draws any member; all are equally likely, whatever their weights.
//! #[derive(Debug, Default)]
//! struct Lottery;
//!
//! impl Lottery {
//!     fn draw<'c>(candidates: &Candidates<'c>, context: &PickContext<'_>) -> Option<Candidate<'c>> {
//!         let open = || candidates.iter().filter(Candidate::has_room);
//!         let at = context.random().below(open().count() as u64);
//!         open().nth(at as usize)
//!     }
//! }
//!
//! impl Scheduler for Lottery {
//!     fn name(&self) -> &'static str {
//!         "lottery"
//!     }
//!
//!     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
//!         let drawn = Self::draw(candidates, context);
//!         // A member that was drawn may just have become full: then any other.
//!         candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
//!     }
//!
//!     fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
//!         Self::draw(candidates, context).map(|one| one.id())
//!     }
//! }
//!
//! # fn main() {
//! use equipoise::testkit::{Group, laws};
//! use equipoise::{MemberSpec, PickRequest};
//!
//! // It keeps all laws of the contract, and shares what fails over.
//! laws::check_all(Lottery::default).unwrap();
//! laws::shares_failovers(Lottery::default, 1.5).unwrap();
//!
//! // It ignores weights, and the law tells on which members.
//! let violation = laws::shares_by_weight(Lottery::default, 1, 0.05).unwrap_err();
//! assert!(violation.to_string().contains("m0: weight 1\n  m1: weight 2\n"), "{violation}");
//!
//! // One pick in a unit test.
//! let mut group = Group::new(Lottery);
//! let [a, b] = ["a", "b"].map(|name| group.insert(name, MemberSpec::new()));
//! assert_eq!(group.pick(&PickRequest::new().with_tried(&[a])), Ok(b));
//! # }
//! ```

mod group;
pub mod laws;
pub mod models;
pub mod replay;
pub mod simulation;
#[cfg(feature = "proptest")]
pub mod strategies;

pub use group::{Group, GroupPickError};
pub use replay::{RecordedLease, Recorder, RecorderBuilder, Replay, ReplayError};
