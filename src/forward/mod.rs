//! Forwarding at layer 4: connections ([`TcpForwarder`]) and datagrams ([`UdpForwarder`])
//! go to members of a balancer, without inspecting their content.
//!
//! ```text
//! Listener ─► Acceptor ─► pick a member ─► connect ─► bytes both ways ─► end
//!   TCP, unix   limit,      by any            within      in flight,
//!   socket      PROXY       scheduler         limits,     counted in
//!               header,                       or to       the lease
//!               TLS                           another
//! ```
//!
//! The host name that a TLS client requests is read without terminating TLS ([`Greeting`]),
//! and selects the target of the connection ([`NameRoutes`]). With that, a [`StreamRouter`]
//! serves many services on one port, including HTTP services of this process.
//!
//! A client stays on its member with a hashing scheduler or with a
//! [`StickTable`](crate::session::StickTable), whose documentation compares the two.
//!
//! Not here: sockets and TLS (`net`), and HTTP (`proxy`).
//!
//! # Examples
//!
//! A database on two machines; a client stays on its machine as long as that machine is
//! usable.
//!
//! ```no_run
//! use equipoise::forward::{Address, TcpForwarder};
//! use equipoise::net::{Listener, shutdown_signal};
//! use equipoise::scheduler::Maglev;
//! use equipoise::{Balancer, MemberSpec};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let balancer = Balancer::builder()
//!     .scheduler(Maglev::default())
//!     .member("db-1", Address::host("db-1.internal", Some(5432)), MemberSpec::new())
//!     .member("db-2", Address::host("db-2.internal", Some(5432)), MemberSpec::new())
//!     .build()?;
//! let listener = Listener::bind(([0, 0, 0, 0], 5432).into())?;
//! let stopped = TcpForwarder::new(balancer).serve(listener, shutdown_signal()?).await;
//! println!("{} connections were cut", stopped.cut());
//! # Ok(())
//! # }
//! ```

mod address;
mod client_hash;
mod greeting;
mod member_loss;
mod name_routes;
mod per_client;
mod router;
mod scratch;
mod self_loop;
mod sticky_client;
mod tcp;
mod udp;

pub use crate::net::stream_target::StreamTarget;
pub use address::{Address, ParseAddressError};
pub use greeting::{ClientHello, Greeting, GreetingError, GreetingLimits};
pub use member_loss::OnMemberLoss;
pub use name_routes::{HostNameError, NameRoutes};
pub use router::{RouterStatistics, StreamRouter, StreamRule};
pub use tcp::{Aborted, TcpForwarder, TcpStatistics};
pub use udp::{Dropped, UdpForwarder, UdpStatistics};
