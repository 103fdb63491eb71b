//! A probe that opens a TCP connection: [`TcpProbe`].
//!
//! Not here: TLS (`tls`).

use super::{Probe, ProbeTarget, Probing};

/// Connects and closes the connection (Apache: `hcmethod=TCP`). It also connects to unix
/// sockets.
///
/// It does not use TLS, even if requests to the member do.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, HealthChecks, TcpProbe};
/// use equipoise::net::Connector;
/// use equipoise::Balancer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let balancer = Balancer::new([
///     ("a", Connector::host("db-1.internal", 5432)),
///     ("b", Connector::host("db-2.internal", 5432)),
/// ])?;
/// let checks = HealthChecks::new(&balancer, Check::builder(TcpProbe::new()).build()?);
/// // Members are checked until it is dropped.
/// # drop(checks);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpProbe {
    _private: (),
}

impl TcpProbe {
    /// Creates the probe.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Probe for TcpProbe {
    fn probe(&self, target: ProbeTarget) -> Probing {
        Box::pin(async move {
            let plain = target.connector().clone().unsecured();
            plain.open(Vec::new()).await?;
            Ok(())
        })
    }

    fn name(&self) -> &str {
        "TCP"
    }
}
