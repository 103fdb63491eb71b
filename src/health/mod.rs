//! Finds unhealthy members and keeps them out until they are healthy again.
//!
//! | | looks at | what it does |
//! |---|---|---|
//! | [`HealthChecks`] | its own periodic probes | takes a member out ([`Flag::FailedCheck`](crate::Flag::FailedCheck)) until a probe passes |
//! | [`OutlierDetector`] | the outcome of requests, and the time to the response head | ejects a member for a time, then tries it with one request |
//! | [`AdaptiveLimit`] | the time to the response head, and the requests in flight | adjusts a member's limit on requests in flight |
//!
//! None of them runs until it is created.
//!
//! Not here: what a failed request does to its member (`service`), ejections
//! and their end (`balancer`), and slow start ([`Ramp`](crate::member::Ramp)).

mod by_slot;
mod checks;
mod concurrency;
mod outliers;

#[cfg(feature = "tls")]
pub use checks::TlsProbe;
pub use checks::{
    Check, CheckBuilder, CheckError, CheckResponse, Checkable, FirstCheck, GrpcProbe, HealthChecks,
    HealthChecksBuilder, HttpProbe, HttpProbeBuilder, HttpProbeError, Probe, ProbeError,
    ProbeTarget, Probing, TcpProbe,
};
pub use concurrency::{
    AdaptiveLimit, AdaptiveLimitBuilder, Aimd, Gradient2, LimitRule, LimitSample,
};
pub use outliers::{
    FailurePercentage, OutlierDetector, OutlierDetectorBuilder, SlowMembers, SuccessRate,
};
