//! Who may ask, and who answers if no member does: [`AccessRule`], [`Handler`].

use ipnet::IpNet;

/// Who may ask (Apache: `Require`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum AccessRule {
    /// Nobody (Apache: `all denied`).
    Denied,
    /// Everybody (Apache: `all granted`).
    Granted,
    /// Who asks from this machine (Apache: `local`).
    Local,
    /// Who asks from one of these networks (Apache: `ip`).
    Networks(Vec<IpNet>),
}

/// Who answers, if no member does (Apache: `SetHandler`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Handler {
    /// What takes members' reports (Apache: `heartbeat`).
    Heartbeat,
    /// The page that shows and changes balancers (Apache: `balancer-manager`).
    Manager,
}
