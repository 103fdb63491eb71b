//! The whole proxy on real sockets, byte by byte: what hostile clients send, what slow
//! ones do not, and what broken members answer.

#![cfg(feature = "proxy")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod at_once;
mod bodies;
mod broken;
mod causes;
mod chunks;
mod early;
mod ended;
mod floods;
mod frame;
mod framed;
mod front;
mod full;
mod h2;
mod heads;
mod hosts;
mod http2_limits;
mod late;
mod limits;
mod line;
mod member;
mod refused;
mod reuse;
mod reviewed;
mod sharing;
mod slow;
mod stop;
mod streams;
mod stuck;
#[cfg(feature = "tls")]
mod tls;
mod unreached;
mod uploads;
