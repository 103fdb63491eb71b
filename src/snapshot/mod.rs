//! What one request sees: the members ([`Roster`], changes rarely) and which of them may be
//! picked now ([`Picture`], changes often), both immutable.
//!
//! Not here: the payloads, the publishing, and any pick.

mod derived;
mod eligibility;
mod factors;
mod names;
mod picture;
mod roster;
mod routes;
mod slab;

pub use eligibility::Eligibility;

pub(crate) use derived::Derived;
pub(crate) use eligibility::{EligibilityWalk, walk, without};
pub(crate) use factors::{FULL_WEIGHT, Factors};
pub(crate) use picture::{FEW_MEMBERS, Picture, PictureDiff};
pub(crate) use roster::{Roster, Seat, SourceName, SpecLayers};
pub(crate) use slab::Slab;
