//! The noun of the crate: a member of a balancer, in two halves.
//!
//! * [`MemberSpec`]: what its source says (weight, route, tier, flags …).
//! * [`MemberState`]: the facts about it, in atomics that outlive every change of
//!   the membership (in flight, picked, bytes, live status).
//!
//! What does not live here: the payload `W`, which only the balancer knows, and any
//! decision about who is picked.

mod backoff;
mod caps;
mod cause;
mod counters;
mod ended;
mod health;
mod id;
mod labels;
mod overrides;
mod ramp;
mod recovery;
mod spec;
mod state;
mod status;
mod weight;

pub use backoff::Backoff;
pub use caps::LimitOwner;
pub use cause::Cause;
pub use counters::MAX_IN_FLIGHT;
pub use ended::{Ended, Outcome};
pub use health::{Health, Outage};
pub use id::{MemberId, MemberKey};
pub use labels::Labels;
pub use overrides::Overrides;
pub use ramp::{Ramp, RampError};
pub use spec::{DEFAULT_RECOVERY_DELAY, MemberSpec};
pub use state::MemberState;
pub use status::{Flag, Flags, Status};
pub use weight::{EffectiveWeight, Weight, WeightError};

pub(crate) use counters::{GivenBack, Uncounted};
pub(crate) use recovery::{LiveStatus, Retry};
