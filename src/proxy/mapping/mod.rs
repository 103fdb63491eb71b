//! Maps the path of a request to a member's, and the URLs and cookies of the response back.
//!
//! ```text
//! client  /app/cart?id=7      -- PathMap -->     /shop/cart?id=7        member
//! client  /app/login          <-- ReverseMap --  http://m1:80/shop/login
//! client  Set-Cookie: ; Path=/app  <-- CookieMap --  ; Path=/shop
//! ```
//!
//! All three are functions of their arguments. What does not live here: the choice of
//! members for a request, addressing it to one of them
//! ([`Target`](crate::service::Target)), and URLs in bodies.

mod cookies;
mod error;
mod join;
mod path_map;
mod raw_path;
mod reverse_map;
mod template;

#[cfg(feature = "config")]
pub(crate) use raw_path::Readings;
pub(super) use raw_path::{ResolvedReadings, has_dot_segment, is_sound, strip};

pub use cookies::CookieMap;
pub use error::{MapError, MapRuleError};
pub use path_map::{MappedPath, PathMap, SlashMismatch};
pub use reverse_map::{Origin, ReverseMap};
