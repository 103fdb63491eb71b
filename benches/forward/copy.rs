//! The floor of what copies: tokio's loop for both directions, with its buffers of 8 KiB. No
//! limit, no pick, no lease, nothing is counted, and a failed connection is given up.

use std::net::SocketAddr;
use std::rc::Rc;

use equipoise::service::BoxError;
use tokio::io::copy_bidirectional;
use tokio::task::{LocalSet, spawn_local};

use crate::fleet::Fleet;
use crate::side_by_side::program::listen_on;

/// Forwards until the process ends.
pub(crate) async fn serve(listen: SocketAddr, members: &[SocketAddr]) -> Result<(), BoxError> {
    let listener = listen_on(listen)?;
    let fleet = Rc::new(Fleet::of(members));
    let accepting = async {
        loop {
            let (mut client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            let fleet = fleet.clone();
            spawn_local(async move {
                if let Ok(mut member) = fleet.connect().await {
                    drop(copy_bidirectional(&mut client, &mut member).await);
                }
            });
        }
    };
    LocalSet::new().run_until(accepting).await
}
