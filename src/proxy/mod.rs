//! The reverse proxy: routing, rewriting of paths and headers, and the connections to
//! clients and to members.
//!
//! ```text
//! Server ─► Router ─► ReverseProxy = EdgeLayer ─► BalanceService ─► Endpoint ─► member
//!   limits    rules      headers, paths, tunnels    sessions, failover   pool, TLS
//! ```
//!
//! Not here: sockets and TLS ([`net`](crate::net)), the balancer, and
//! failover ([`service`](crate::service)).

mod client;
mod client_hash_key;
mod client_layer;
mod connection_facts;
mod edge;
mod empty_frames;
mod endpoint;
mod fields;
mod forwarding;
mod frames;
mod hop_by_hop;
mod known_client;
mod mapping;
mod reverse_proxy;
mod router;
mod server;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod system_tls;
mod upgrade;

pub use client::{ClientAddr, ServerAddr};
pub use client_layer::{ClientAddrLayer, ClientAddrService};
pub(crate) use connection_facts::ConnectionFacts;
pub use edge::{EdgeBody, EdgeFuture, EdgeLayer, EdgeService};
#[cfg(feature = "config")]
pub(crate) use edge::{OwnFields, RejectedResponse};
pub use endpoint::{
    Endpoint, EndpointBody, EndpointBuilder, EndpointError, EndpointFuture, EndpointUriError,
    HttpVersions, TimeoutStage,
};
#[cfg(feature = "config")]
pub(crate) use fields::reads_as;
pub use forwarding::{Forwarding, ProxyNameError};
pub(crate) use known_client::KnownClient;
#[cfg(feature = "config")]
pub(crate) use mapping::Readings;
pub use mapping::{
    CookieMap, MapError, MapRuleError, MappedPath, Origin, PathMap, ReverseMap, SlashMismatch,
};
pub use reverse_proxy::{ProxyBody, ReverseProxy, ReverseProxyFuture};
pub use router::{
    Redirect, Router, RouterBuilder, RouterError, RouterFuture, Rule, RuleError, StaticResponse,
};
#[cfg(feature = "config")]
pub(crate) use router::{is_for_http, names_its_host};
pub use server::{ClientBody, Server};
