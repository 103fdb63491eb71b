//! Reads the session that a client presents from the text of its request. For protocols
//! without sessions, [`StickTable`] remembers the member of each client address.
//!
//! Not here: whether a member has that route and can serve, which the balancer decides; and
//! the cookies that are set on responses (`service`).
//!
//! ```text
//! GET /app;jsessionid=4f3a.C   1st  ─┐
//! GET /app?jsessionid=4f3a.C   2nd  ─┼─► the first value ──► after the first
//! Cookie: JSESSIONID=9b10.B    3rd  ─┘   that counts         separator: "C"
//! ```
//!
//! A [`StickySession`] holds the names to look for and a few settings. Its result is a
//! [`PresentedSession`]. A value counts if it is not empty and is UTF-8. Other values are
//! skipped, as if the client had not sent them. The first value that counts ends the
//! search, even if it contains no route: [`PresentedSession::route`] is then `None`.
//!
//! Reading takes time linear in the length of the request and never panics. It allocates
//! only if a value in the path contains %-escapes.
//!
//! # Examples
//!
//! ```
//! use equipoise::session::{SessionSource, StickySession};
//!
//! let sticky = StickySession::new("JSESSIONID|jsessionid")?;
//! let request = http::Request::get("/shop/basket")
//!     .header("cookie", "theme=dark; JSESSIONID=9b10.B")
//!     .body(())?;
//!
//! let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
//! assert_eq!(presented.source(), SessionSource::Cookie);
//! assert_eq!(presented.route(), Some("B"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cookie;
mod cookie_route;

mod error;
mod outcome;
mod path_parameter;
mod presented;
mod route;
mod stick_table;
mod sticky;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub(crate) use cookie::{find as find_cookie, spans as cookie_spans};

pub use cookie_route::CookieRouteError;
pub use error::ParseStickySessionError;
pub use outcome::Session;
pub use presented::{PresentedSession, SessionSource};
pub use stick_table::{StickEntries, StickEntry, StickTable, StickUse};
pub use sticky::StickySession;
