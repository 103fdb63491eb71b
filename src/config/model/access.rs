//! Access control, and handlers that respond in place of a member: [`AccessRule`],
//! [`Handler`].

use ipnet::IpNet;

/// Which clients have access (Apache: `Require`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum AccessRule {
    /// No client (Apache: `all denied`).
    Denied,
    /// Every client (Apache: `all granted`).
    Granted,
    /// Clients on this machine (Apache: `local`).
    Local,
    /// Clients with an address in one of these networks (Apache: `ip`).
    Networks(Vec<IpNet>),
}

/// Responds to a request in place of a member (Apache: `SetHandler`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Handler {
    /// Receives the heartbeats of members (Apache: `heartbeat`).
    Heartbeat,
    /// Serves the page that shows and changes balancers (Apache: `balancer-manager`).
    Manager,
}
