//! What the programs share that measure processes side by side: how processes are started, how
//! their processor time is read, in which order contenders have their turns, and what a table
//! is made of. A program includes this folder by `#[path]`, and uses all of it.
//!
//! Not here: contenders, works and tables, which are each program's own.

pub(crate) mod contestant;
pub(crate) mod options;
pub(crate) mod peers;
pub(crate) mod procfs;
pub(crate) mod program;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod results;
pub(crate) mod role;
pub(crate) mod scratch;
pub(crate) mod setting;
pub(crate) mod stage;
