//! Where a client's session belongs: read from the text of its request, or, for protocols that
//! bring no session, remembered by the client's address ([`StickTable`]).
//!
//! Not here: whether a member has that route and may serve it, which is for the
//! balancer to say, nor the cookies that a driver sets on responses.
//!
//! ```text
//! GET /app;jsessionid=4f3a.C   1st  ─┐
//! GET /app?jsessionid=4f3a.C   2nd  ─┼─► the first value ──► behind the first
//! Cookie: JSESSIONID=9b10.B    3rd  ─┘   that says sth.      separator: "C"
//! ```
//!
//! The names that are looked for, and the few settings, are a [`StickySession`];
//! what it finds is a [`PresentedSession`]. A value counts when it is not empty and is
//! UTF-8; others are passed over, as if the client had not sent them. The first
//! value that counts ends the search, also when no route can be read from it:
//! [`PresentedSession::route`] is `None` then.
//!
//! Whatever the client sends, reading it takes time linear in its length, never
//! panics, and allocates only when a value in the path has %-escapes.
//!
//! # Examples
//!
//! ```
//! use equipoise::session::{SessionSource, StickySession};
//!
//! let sticky: StickySession = "JSESSIONID|jsessionid".parse()?;
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
mod election;
mod error;
mod path_parameter;
mod presented;
mod route;
mod stick_table;
mod sticky;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub(crate) use cookie::places as cookie_places;

pub use cookie_route::CookieRouteError;
pub use election::Session;
pub use error::ParseStickySessionError;
pub use presented::{PresentedSession, SessionSource};
pub use stick_table::{StickEntries, StickEntry, StickTable, StickUse};
pub use sticky::StickySession;
