//! The file in which httpd's `mod_heartmonitor` stores reports: [`HeartbeatFile`].
//!
//! Not here: when it is read and written, which is up to the caller.

mod error;
mod parse;
mod print;
mod storage;

pub use error::HeartbeatLineError;
pub use parse::HeartbeatFile;
