//! Members that are ill are found, and kept out until they are well.
//!
//! | | looks at | takes a member out by |
//! |---|---|---|
//! | [`HealthChecks`] | probes of its own, in intervals | [`Flag::FailedCheck`](crate::Flag::FailedCheck), until one passes |
//!
//! What does not live here: what a failed request does to its member (`service`), the ejection
//! itself and its end (`balancer`), and slow start ([`Ramp`](crate::member::Ramp)).

mod checks;

#[cfg(feature = "tls")]
pub use checks::TlsProbe;
pub use checks::{
    Check, CheckAnswer, CheckBuilder, CheckError, Checkable, FirstCheck, GrpcProbe, HealthChecks,
    HealthChecksBuilder, HttpProbe, HttpProbeBuilder, HttpProbeError, Probe, ProbeError,
    ProbeTarget, Probing, TcpProbe,
};
