//! The balancer behind tower: [`BalanceLayer`] and [`BalanceService`] for HTTP,
//! [`CallService`] for requests of any type.
//!
//! ```text
//! Request ─► route from URL or cookie ─► pick ─► Lease, in flight from here on
//!              │                                   │
//!              │      another member ◄─ failed? ◄─ inner service
//!              ▼                                   │ answer
//! Response ◄─ route cookie, ServedBy ◄─────────────┘
//!    └─ LeasedBody: counts bytes, ends the lease with the last one
//! ```
//!
//! A pick is made in `call`, where the request is known; `poll_ready` reserves nothing.
//! When a member fails, [`Failover`] decides whether the request goes on to another: by
//! what [`Classify`] says of the error, by the method, and by what the
//! [`RequestBody`] can still give.
//!
//! What does not live here: connections, TLS, hop-by-hop headers, health checks. The
//! inner service is yours.

mod affinity;
mod answer;
mod balance;
mod body;
mod call;
mod capacity;
mod course;
mod dispatch;
mod error;
mod failover;
mod layer;
mod served_by;

pub use affinity::{Affinity, CookieTextError, CrossSite, OpaqueKey, RouteCookie, SessionsNotKept};
pub use answer::{AnswerBody, AnswerErrors, AnswerErrorsFuture, BoxBody, BoxBodyFuture, Refusal};
#[cfg(feature = "proxy")]
pub(crate) use answer::{Pages, Wanted};
pub use balance::{BalanceFuture, BalanceService};
pub use body::{
    BufferUpTo, Counted, CountedBody, KeptBody, KeptIfEmpty, KeptInBuffer, KeptUntilRead,
    LeasedBody, PassThrough, ReplayBody, RequestBody, UpgradeLease,
};
pub use call::{CallFuture, CallService, Cloned, KeepRequest, Leased, Once};
#[cfg(feature = "proxy")]
pub(crate) use capacity::Capacity;
pub use course::FreshConnection;
#[cfg(feature = "proxy")]
pub(crate) use course::HostKept;
pub use dispatch::{
    Aimed, AimedFuture, Dispatch, PerMember, PreserveHost, RequestError, Rewrite, Target,
};
#[cfg(feature = "proxy")]
pub(crate) use dispatch::{host_of, join_cookies, under, without_user};
pub use error::{BalanceError, BoxError};
#[cfg(feature = "proxy")]
pub(crate) use failover::causes;
pub use failover::{Classify, Failover, Fault, Idempotent, RetryBudget, Timeouts, cause};
pub use layer::BalanceLayer;
pub use served_by::ServedBy;
