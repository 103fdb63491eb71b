//! How a peer ends its connections when it is told to: [`End`].

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    NotYet,
    /// It sends no more, and reads what comes.
    Finish,
    Reset,
}

impl End {
    /// Resolves when connections are to end.
    pub(crate) async fn comes(mut ending: watch::Receiver<Self>) -> Self {
        let ending = ending.wait_for(|end| *end != Self::NotYet).await;
        ending.map_or(Self::Finish, |end| *end)
    }

    /// Ends a connection in this way.
    pub(crate) async fn happens_to(self, mut stream: TcpStream) {
        if self == Self::Reset {
            stream.set_zero_linger().unwrap();
            return;
        }
        let _ = stream.shutdown().await;
        let mut rest = vec![0; 64 * 1024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    }
}
