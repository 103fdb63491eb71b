//! An embeddable load balancer: a core, and the services and proxies that stand on it.
//!
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
//!
//! # Modules, in reading order
//!
//! * [`guide`] explains the ideas in ten minutes; [`glossary`] has the words.
//! * [`balancer`] has the [`Balancer`], its [`Lease`]s, changes of members, and events.
//! * [`member`] describes a member: [`MemberSpec`], [`Weight`], [`Flag`], [`Ramp`](member::Ramp).
//! * [`scheduler`] has the [`Scheduler`] trait and the schedulers.
//! * [`session`] reads sticky sessions: [`StickySession`].
//! * [`service`] has the tower services: [`BalanceLayer`], [`BalanceService`],
//!   [`Failover`](service::Failover).
#![cfg_attr(
    feature = "proxy",
    doc = "* [`proxy`] is the reverse proxy, with its server and its router."
)]
#![cfg_attr(feature = "forward", doc = "* [`forward`] balances TCP and UDP.")]
#![cfg_attr(
    feature = "health",
    doc = "* [`health`] has checks, outlier detection and adaptive limits."
)]
#![cfg_attr(
    feature = "heartbeat",
    doc = "* [`heartbeat`] receives and sends reports of idle capacity."
)]
#![cfg_attr(
    feature = "config",
    doc = "* [`config`] reads and runs Apache's configuration."
)]
#![cfg_attr(
    feature = "__net",
    doc = "* [`net`] has the sockets: listeners, PROXY headers, TLS."
)]
//! * [`timer`], [`clock`] and [`random`] are time and chance, which a test can replace.
//! * [`stable_hash`] hashes keys equally in all processes.
#![cfg_attr(docsrs, feature(doc_cfg))]

// Level 0: base
pub mod clock;
mod percent;
pub mod random;
pub mod stable_hash;
mod sync;

// Level 1: model
pub mod member;
pub mod session;

// Level 2: snapshot
mod snapshot;

// Level 3: schedulers
pub mod scheduler;

// Level 4: balancer
pub mod balancer;

// Level 5a: sockets
#[cfg(feature = "__net")]
pub mod net;
pub mod timer;

// Level 5: drivers
#[cfg(feature = "forward")]
pub mod forward;
#[cfg(feature = "health")]
pub mod health;
#[cfg(feature = "heartbeat")]
pub mod heartbeat;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod service;

// Level 6: configuration
#[cfg(feature = "config")]
pub mod config;

// Documentation only
pub mod glossary;
pub mod guide;

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
