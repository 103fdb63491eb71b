//! An embeddable load balancer: a core, and the services and proxies that are built on it.
//!
//! [`BalanceLayer`]: crate::service::BalanceLayer
//! [`Balancer`]: crate::balancer::Balancer
//! [`BoundedLoad`]: crate::scheduler::BoundedLoad
//! [`ByBusyness`]: crate::scheduler::ByBusyness
//! [`ByRequests`]: crate::scheduler::ByRequests
//! [`ByTraffic`]: crate::scheduler::ByTraffic
//! [`CallService`]: crate::service::CallService
//! [`Classify`]: crate::service::Classify
//! [`Failover`]: crate::service::Failover
//! [`First`]: crate::scheduler::First
//! [`Heartbeat`]: crate::scheduler::Heartbeat
//! [`Idempotent`]: crate::service::Idempotent
//! [`LeastRequest`]: crate::scheduler::LeastRequest
//! [`Maglev`]: crate::scheduler::Maglev
//! [`MemberSpec`]: crate::member::MemberSpec
//! [`Modulo`]: crate::scheduler::Modulo
//! [`PeakEwma`]: crate::scheduler::PeakEwma
//! [`Prequal`]: crate::scheduler::Prequal
//! [`Ramp`]: crate::member::Ramp
//! [`Rendezvous`]: crate::scheduler::Rendezvous
//! [`Ring`]: crate::scheduler::Ring
//! [`Rotation`]: crate::scheduler::Rotation
//! [`Scheduler`]: crate::scheduler::Scheduler
//! [`Shadow`]: crate::scheduler::Shadow
//! [`WeightedRandom`]: crate::scheduler::WeightedRandom
//! [`ZoneAware`]: crate::scheduler::ZoneAware
#![cfg_attr(
    feature = "forward",
    doc = "[`StreamRouter`]: crate::forward::StreamRouter\n[`TcpForwarder`]: crate::forward::TcpForwarder\n[`UdpForwarder`]: crate::forward::UdpForwarder"
)]
#![cfg_attr(
    feature = "health",
    doc = "[`AdaptiveLimit`]: crate::health::AdaptiveLimit\n[`HealthChecks`]: crate::health::HealthChecks\n[`OutlierDetector`]: crate::health::OutlierDetector\n[`Probe`]: crate::health::Probe"
)]
#![cfg_attr(
    feature = "heartbeat",
    doc = "[`HeartbeatKey`]: crate::heartbeat::HeartbeatKey\n[`HeartbeatMonitor`]: crate::heartbeat::HeartbeatMonitor\n[`HeartbeatSender`]: crate::heartbeat::HeartbeatSender\n[`InFlight`]: crate::heartbeat::InFlight\n[`InFlightLayer`]: crate::heartbeat::InFlightLayer\n[`OrcaLayer`]: crate::heartbeat::OrcaLayer"
)]
#![cfg_attr(
    feature = "proxy",
    doc = "[`EdgeLayer`]: crate::proxy::EdgeLayer\n[`Endpoint`]: crate::proxy::Endpoint\n[`ReverseProxy`]: crate::proxy::ReverseProxy\n[`Router`]: crate::proxy::Router\n[`Server`]: crate::proxy::Server"
)]
#![cfg_attr(feature = "tokio", doc = "[`TokioTimer`]: crate::timer::TokioTimer")]
//!
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
//!
//! # Modules, in reading order
//!
//! * [`guide`] explains the ideas in ten minutes; [`glossary`] defines the terms.
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
//! * [`timer`], [`clock`] and [`random`] are time and random numbers, which a test can replace.
//! * [`stable_hash`] hashes keys in the same way in all processes.
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
#[cfg(feature = "serde")]
mod serialize;
pub mod service;

// Level 6: configuration
#[cfg(feature = "config")]
pub mod config;

// Tests
#[cfg(feature = "testkit")]
pub mod testkit;

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
