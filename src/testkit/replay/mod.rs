//! Recorded picks: a [`Recorder`] writes down what the picks of its balancer depend on, and a
//! [`Replay`] makes the same picks again. What is not recorded is listed at [`Recorder`].
//!
//! With a seed, the picks of this crate's schedulers repeat bit for bit on every machine. So
//! the log of a program that picks through a recorder becomes a test, in three lines:
//!
//! ```
//! use equipoise::ByRequests;
//! use equipoise::testkit::Replay;
//!
//! let log = "\
//! equipoise-picks 1
//! seed 7
//! scheduler byrequests
//! @0 insert a weight=200
//! @0 insert b
//! @1000 pick 1 picks a
//! @2000 pick 2 picks b
//! @2500 end 1 success
//! @3000 pick 3 tried=b picks a
//! ";
//! Replay::parse(log)?.run(ByRequests::new())?;
//! # Ok::<(), equipoise::testkit::ReplayError>(())
//! ```
//!
//! # Format
//!
//! A log is text, one record a line. Words are separated by single spaces. Names, routes and
//! other texts have all characters but letters, digits and `-_.:/[]` percent-encoded; the
//! empty text is `%`. Empty lines and lines that begin with `#` are ignored. A log whose last
//! line does not end with a line feed was cut, and is refused.
//!
//! The first line is `equipoise-picks` and the version, 1. Then come the settings of the
//! balancer, each at most once; the first two are required:
//!
//! | setting | meaning |
//! |---|---|
//! | `seed N` | the seed of the random source |
//! | `scheduler NAME` | the name of the scheduler |
//! | `forced_recovery off` | forced recovery is off |
//! | `ramp NANOS AGGRESSION PERCENT` | the ramp of the balancer |
//!
//! All further lines begin with `@` and the time, in nanoseconds since the clock's origin,
//! which does not go back:
//!
//! | record | meaning |
//! |---|---|
//! | `insert NAME SETTING…` | a member is inserted |
//! | `update NAME SETTING…` | the member's source gives it these settings |
//! | `remove NAME` | a member is removed |
//! | `replace NAME SETTING… & NAME SETTING…` | these members replace all others, as one change |
//! | `flag NAME FLAG on`, `… off` | an operator sets or clears a flag |
//! | `override NAME SETTING…` | an operator's settings, which replace those before |
//! | `eject NAME NANOS` | a member is ejected for a time |
//! | `recover NAME` | the errors and ejections of a member end |
//! | `reset` | the standings are reset |
//! | `timed` | timed changes that are due are applied |
//! | `mark TEXT` | something outside the balancer, such as a report: see [`Recorder::mark`] |
//! | `pick N SETTING… picks NAME` | request *N* is picked; a session's state may follow |
//! | `pick N SETTING… fails WHY` | no member is picked |
//! | `sent N BYTES`, `received N BYTES` | bytes of a request |
//! | `head N STATUS` | the head of a response, with its status or `-` |
//! | `error N` | the request puts its member in error |
//! | `end N OUTCOME` | the request ends |
//!
//! Settings of members are `weight=` (in hundredths), `tier=`, `cap=`, `recovery=` (in
//! nanoseconds), `route=`, `redirect=`, `ramp=NANOS/AGGRESSION/PERCENT`, `flags=` (joined
//! by `+`) and `label=NAME=TEXT` (may be repeated). Those that are missing have their
//! defaults. An operator's are `weight=`, `tier=`, `cap=`, `route=`, `redirect=`, `flags=` and
//! `flags_off=`. Settings of picks are `key=` (hexadecimal), `tried=` (names joined by commas),
//! `route=`, `member=` (of a session), `sessions` and `no_failover`. All times are whole
//! numbers of nanoseconds.
//!
//! The remaining words are fixed:
//!
//! | word | one of |
//! |---|---|
//! | `FLAG` | `disabled`, `draining`, `failed_check`, `hot_spare`, `hot_standby`, `ignore_errors`, `in_error`, `stopped` |
//! | `OUTCOME` | `cancelled`, `failure`, `success` |
//! | `WHY` | `at_capacity`, `empty`, `none_usable`, `session_lost` |
//! | a session's state | `hit`, `lost`, `new`, `redirected`; nothing without sessions |

mod line;
mod player;
mod recorded_lease;
mod recorded_log;
mod recorder;
mod spec_text;

pub use player::{Replay, ReplayError};
pub use recorded_lease::RecordedLease;
pub use recorder::{Recorder, RecorderBuilder};
