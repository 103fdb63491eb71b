//! Remembers in memory which member serves each client, for protocols without sessions:
//! [`StickTable`].
//!
//! ```text
//! client's address ─► network ─► entry: member, last use, uses that are open
//!   10.0.0.7           /32        idle ones in a list by their last use: the oldest
//!                                 is the first to expire, and the first to make room
//! ```
//!
//! Not here: whether a member can serve (`balancer`), and connections (`forward`).

mod client;
mod entries;
mod listing;
mod shared;
mod stick_entry;
mod stick_use;
mod table;

#[cfg(test)]
mod laws;

pub use listing::StickEntries;
pub use stick_entry::StickEntry;
pub use stick_use::StickUse;
pub use table::StickTable;
