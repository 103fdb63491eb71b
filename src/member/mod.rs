//! Members of a balancer: their settings and their state.
//!
//! * [`MemberSpec`]: the settings that a member's source gives it (weight, route, tier,
//!   flags …).
//! * [`MemberState`]: the live state of a member, in atomics that persist through every
//!   change of the membership (in flight, picked, bytes, live status).
//!
//! Not here: the payload `W`, which only the balancer has, and the choice of
//! a member.

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

pub(crate) use counters::{CountedOut, CountersSeen, Uncounted};
pub(crate) use recovery::{LiveStatus, Retry};
