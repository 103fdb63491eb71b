//! The forwarders of this crate as they come, but for what the works need.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::Balancer;
use equipoise::forward::{Address, TcpForwarder, UdpForwarder};
use equipoise::net::{Listener, shutdown_signal};
use equipoise::service::BoxError;
use tokio::net::UdpSocket;

/// Forwards connections until the process is asked to stop.
pub(crate) async fn serve_tcp(
    listen: SocketAddr,
    members: &[SocketAddr],
    max_pipes: Option<usize>,
) -> Result<(), BoxError> {
    let mut forwarder = TcpForwarder::new(balancer(members)?);
    if let Some(pipes) = max_pipes {
        forwarder = forwarder.max_pipes(pipes);
    }
    let listener = Listener::bind(listen)?;
    forwarder.serve(listener, shutdown_signal()?).await;
    Ok(())
}

/// All clients have one address here: as many flows as the work makes are let in.
const NEW_FLOWS: u32 = 1_000_000;

/// Forwards datagrams until the process is asked to stop.
pub(crate) async fn serve_udp(
    listen: SocketAddr,
    members: &[SocketAddr],
    one_answer: bool,
) -> Result<(), BoxError> {
    let forwarder = UdpForwarder::new(balancer(members)?)
        .responses(one_answer.into())
        .new_flows_per_client(NEW_FLOWS)
        .drain_timeout(Duration::ZERO);
    let socket = UdpSocket::bind(listen).await?;
    forwarder.serve(socket, shutdown_signal()?).await?;
    Ok(())
}

fn balancer(members: &[SocketAddr]) -> Result<Balancer<Address>, BoxError> {
    let members = members.iter();
    let members = members.map(|&member| (member.to_string(), Address::from(member)));
    Ok(Balancer::new(members)?)
}
