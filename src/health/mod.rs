//! Members that are ill are found, and kept out until they are well.
//!
//! | | looks at | what it does |
//! |---|---|---|
//! | [`HealthChecks`] | probes of its own, in intervals | takes a member out ([`Flag::FailedCheck`](crate::Flag::FailedCheck)) until one passes |
//! | [`OutlierDetector`] | how requests end, and their time to the head | ejects a member for a time, then tries it with one request |
//! | [`AdaptiveLimit`] | the time to the head, and what is in flight | moves a member's limit on requests in flight |
//!
//! All of them are off until one is made.
//!
//! What does not live here: what a failed request does to its member (`service`), the ejection
//! itself and its end (`balancer`), and slow start ([`Ramp`](crate::member::Ramp)).

mod by_slot;
mod checks;
mod concurrency;
mod outliers;

#[cfg(feature = "tls")]
pub use checks::TlsProbe;
pub use checks::{
    Check, CheckAnswer, CheckBuilder, CheckError, Checkable, FirstCheck, GrpcProbe, HealthChecks,
    HealthChecksBuilder, HttpProbe, HttpProbeBuilder, HttpProbeError, Probe, ProbeError,
    ProbeTarget, Probing, TcpProbe,
};
pub use concurrency::{
    AdaptiveLimit, AdaptiveLimitBuilder, Aimd, Gradient2, LimitRule, LimitSample,
};
pub use outliers::{
    FailurePercentage, OutlierDetector, OutlierDetectorBuilder, SlowMembers, SuccessRate,
};
