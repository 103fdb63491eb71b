//! The balancer behind tower: [`BalanceLayer`] and [`BalanceService`] for HTTP,
//! [`CallService`] for requests of any type.
//!
//! ```text
//! Request ─► route from URL or cookie ─► pick ─► Lease, in flight from here on
//!              │                                   │
//!              │      another member ◄─ failed? ◄─ inner service
//!              ▼                                   │ response
//! Response ◄─ route cookie, ServedBy ◄─────────────┘
//!    └─ LeasedBody: counts bytes, ends the lease with the last one
//! ```
//!
//! A member is picked in `call`, where the request is known; `poll_ready` reserves nothing.
//! When a member fails, [`Failover`] decides whether the request is sent to another one.
//! This depends on how [`Classify`] classifies the error, on the method, and on whether the
//! [`RequestBody`] still has the body.
//!
//! Not here: connections, TLS, hop-by-hop headers, health checks. The inner service is
//! yours.

mod affinity;
mod attempt;
mod balance;
mod body;
mod call;
mod capacity;
mod dispatch;
mod error;
mod failover;
mod layer;
mod response;
mod served_by;

pub use affinity::{
    Affinity, CookieTextError, HashKey, OpaqueKey, RouteCookie, SameSite, SessionsNotKept,
};
pub use attempt::FreshConnection;
#[cfg(feature = "proxy")]
pub(crate) use attempt::HostKept;
pub use balance::{BalanceFuture, BalanceService};
#[cfg(feature = "proxy")]
pub(crate) use body::BodyOrigin;
pub use body::{
    BufferUpTo, Counted, CountedBody, KeptBody, KeptIfEmpty, KeptInBuffer, KeptUntilRead,
    LeasedBody, PassThrough, ReplayBody, RequestBody, UpgradeLease,
};
pub use call::{CallFuture, CallService, CloneRequest, KeepRequest, Leased, NoRetry};
#[cfg(feature = "proxy")]
pub(crate) use capacity::Capacity;
pub use dispatch::{
    Dispatch, PerMember, PreserveHost, RequestError, Rewrite, Target, WithTarget, WithTargetFuture,
};
#[cfg(feature = "proxy")]
pub(crate) use dispatch::{host_of, join_cookies, under, without_user};
pub use error::{BalanceError, BoxError};
#[cfg(feature = "proxy")]
pub(crate) use failover::causes;
pub use failover::{Classify, Failover, Fault, Idempotent, RetryBudget, Timeouts, cause};
pub use layer::BalanceLayer;
pub use response::{
    BoxResponseBody, BoxResponseBodyFuture, ErrorPage, ErrorPageFuture, ErrorPageService,
    ResponseBody,
};
#[cfg(feature = "proxy")]
pub(crate) use response::{Pages, PreferredFormat};
pub use served_by::ServedBy;
