//! The file in which httpd's `mod_heartmonitor` keeps what servers report: [`HeartbeatFile`].
//!
//! What does not live here: when it is read and written, which is for its user to decide.

mod error;
mod parse;
mod print;
mod storage;

pub use error::HeartbeatLineError;
pub use parse::HeartbeatFile;
