//! An embeddable load balancer. Here are its modules, floor by floor, and the paved path.
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// 0 ground
pub mod clock;
pub mod random;
pub mod stable_hash;
mod sync;

// 1 model
pub mod member;
pub mod session;

// 2 picture
mod snapshot;

// 3 policy
pub mod scheduler;

// 4 hall
pub mod balancer;

// 5a waiting, sockets
#[cfg(feature = "__net")]
pub mod net;
pub mod timer;

// 5 drivers
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(feature = "health")]
pub mod health;
#[cfg(feature = "heartbeat")]
pub mod heartbeat;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod service;

// 6 roof
#[cfg(feature = "config")]
pub mod config;

pub use balancer::events::{Event, Observer};
pub use balancer::{
    Balancer, BuildError, EditError, Explanation, Guard, Lease, PickError, PickRequest,
    RemovedMember, UnknownMember,
};
pub use member::{
    Ended, Flag, MemberId, MemberSpec, MemberState, Outcome, Status, Weight, WeightError,
};
pub use scheduler::{ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings, Scheduler};
pub use service::{BalanceLayer, BalanceService};
pub use session::{Session, StickySession};
pub use snapshot::Eligibility;
