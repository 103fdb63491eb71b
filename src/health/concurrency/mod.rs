//! A limit on each member's requests in flight that follows its latency: [`AdaptiveLimit`].
//!
//! ```text
//! head ─► gauge of the member: a window (no lock)
//!           │ a second is over, and ten requests were measured
//!           ▼
//!         rule (pure): Gradient2, Aimd ─► the member's limit ─► a pick finds it at its cap, or not
//! ```
//!
//! Not here: the limit itself (`member/caps.rs`), and its other owners.

mod adaptive;
mod aimd;
mod gauge;
mod gradient2;
mod rule;

pub use adaptive::{AdaptiveLimit, AdaptiveLimitBuilder};
pub use aimd::Aimd;
pub use gradient2::Gradient2;
pub use rule::{LimitRule, LimitSample};
