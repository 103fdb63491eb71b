//! What stands between strangers and members: which request goes where, what its path
//! and headers become, and what the answer's do.
//!
//! What does not live here: the balancer behind it, which is
//! [`service`](crate::service)'s, and connections.

mod edge;
mod forwarding;
mod hop_by_hop;
mod mapping;
mod router;

pub use edge::{EdgeFuture, EdgeLayer, EdgeService};
pub use forwarding::{Forwarding, ProxyNameError};
pub use mapping::{
    CookieMap, MapError, MapRuleError, Mapped, Origin, PathMap, ReverseMap, SlashMismatch,
};
pub use router::{
    Answer, ClientAddr, Redirect, Router, RouterBuilder, RouterError, RouterFuture, Rule, RuleError,
};
