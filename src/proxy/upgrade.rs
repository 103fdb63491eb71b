//! Protocol switches (RFC 9110, 7.8): which requests may switch, and the tunnel that copies
//! the bytes afterwards.
//!
//! Not here: the head of the response, apart from the two headers for the
//! switch (`edge`).

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::balancer::Guard;
use crate::member::Outcome;
use crate::net::TunnelCutoff;
use crate::proxy::{ConnectionFacts, KnownClient};
use crate::service::UpgradeLease;
use crate::sync::{AtomicU32, Relaxed};
use crate::timer::{Deadline, timeout};

/// The protocols that may be switched to, and the idle limit of a tunnel.
#[derive(Clone, Debug)]
pub(super) struct Upgrades {
    pub(super) protocols: Vec<String>,
    pub(super) idle: Duration,
}

impl Default for Upgrades {
    fn default() -> Self {
        Self {
            protocols: vec!["websocket".to_owned()],
            idle: Duration::from_secs(60 * 60),
        }
    }
}

/// The upgrade that a client has requested.
pub(super) struct RequestedUpgrade {
    client: OnUpgrade,
    protocol: HeaderValue,
    cut: Option<TunnelCutoff>,
    idle: Duration,
}

impl Upgrades {
    /// Takes the requested upgrade out of the head of a request; `None` if there is none,
    /// or if it is not allowed.
    pub(super) fn requested(
        &self,
        head: &mut Parts,
        beside: Option<&ConnectionFacts>,
    ) -> Option<RequestedUpgrade> {
        // The server adds this if the connection can be switched.
        head.extensions.get::<OnUpgrade>()?;
        let protocol = head.headers.get(UPGRADE)?;
        let allowed = self
            .protocols
            .iter()
            .any(|it| protocol.as_bytes().eq_ignore_ascii_case(it.as_bytes()));
        if !allowed || head.version != Version::HTTP_11 || !names_upgrade(&head.headers) {
            return None;
        }
        Some(RequestedUpgrade {
            protocol: protocol.clone(),
            client: head.extensions.remove::<OnUpgrade>()?,
            cut: KnownClient::new(&head.extensions, beside).tunnel_cutoff(),
            idle: self.idle,
        })
    }
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let options = headers.get_all(CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

impl RequestedUpgrade {
    /// Requests the upgrade from the member, once all other hop-by-hop headers are removed.
    pub(super) fn pass_on(&self, headers: &mut HeaderMap) {
        set_upgrade_headers(headers, self.protocol.clone());
    }

    /// Starts the tunnel. It is a failure of the member to switch to a protocol that was
    /// not requested.
    pub(super) fn switch(self, head: &mut http::response::Parts) -> Result<(), StatusCode> {
        let to = head.headers.get(UPGRADE);
        let same =
            to.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(self.protocol.as_bytes()));
        let member = head.extensions.remove::<OnUpgrade>();
        let (true, Some(member)) = (same, member) else {
            return Err(StatusCode::BAD_GATEWAY);
        };
        let lease = head.extensions.remove::<UpgradeLease>();
        let tunnel = TunnelPair {
            member,
            guard: lease.and_then(|lease| lease.take()),
            client: self.client,
            cut: self.cut,
            idle: self.idle,
        };
        tokio::spawn(tunnel.carry());
        Ok(())
    }

    /// Confirms the switch to the client.
    pub(super) fn confirm(headers: &mut HeaderMap, protocol: HeaderValue) {
        set_upgrade_headers(headers, protocol);
    }

    pub(super) fn protocol(&self) -> HeaderValue {
        self.protocol.clone()
    }
}

fn set_upgrade_headers(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

impl fmt::Debug for RequestedUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestedUpgrade")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Two connections that have switched.
struct TunnelPair {
    client: OnUpgrade,
    member: OnUpgrade,
    guard: Option<Guard>,
    cut: Option<TunnelCutoff>,
    idle: Duration,
}

/// The time limit for a client to complete the switch that it has requested.
const SWITCHING: Duration = Duration::from_secs(10);

impl TunnelPair {
    /// Copies bytes in both directions until both sides have ended, one fails, the tunnel
    /// was idle for too long, or the server stops.
    async fn carry(self) {
        let cut = self.cut;
        let guard = self.guard;
        let both = async { tokio::try_join!(self.client, self.member) };
        let Ok(Ok((client, member))) = timeout(SWITCHING, both).await else {
            return;
        };
        let moved = Arc::new(AtomicU32::new(0));
        let mut client = TokioIo::new(client);
        let mut member = MeteredTunnel {
            io: TokioIo::new(member),
            guard,
            moved: moved.clone(),
        };
        let ended = tokio::select! {
            // In this order: a continuous stream of bytes would use up the budget that the
            // cut-off needs.
            biased;
            () = TunnelCutoff::happens(cut) => None,
            () = idle_for(&moved, self.idle) => None,
            ended = copy_bidirectional(&mut client, &mut member) => Some(ended),
        };
        if let Some(guard) = member.guard.take() {
            guard.finish(match ended {
                // It is not known which side has failed; most often it is the client.
                Some(Ok(_)) => Outcome::Success,
                Some(Err(_)) | None => Outcome::Cancelled,
            });
        }
    }
}

/// Resolves once nothing has moved for `limit`, at the latest after twice that time.
async fn idle_for(moved: &AtomicU32, limit: Duration) {
    let mut before = moved.load(Relaxed);
    loop {
        Deadline::after(limit).await;
        let now = moved.load(Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

/// The member's side of a tunnel: its bytes are counted as they pass.
struct MeteredTunnel {
    io: TokioIo<Upgraded>,
    guard: Option<Guard>,
    // Relaxed: it only has to change.
    moved: Arc<AtomicU32>,
}

impl MeteredTunnel {
    fn sent(&mut self, bytes: usize) {
        self.moved.fetch_add(1, Relaxed);
        if let Some(guard) = &mut self.guard {
            guard.record_sent(bytes as u64);
        }
    }
}

impl AsyncRead for MeteredTunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        this.moved.fetch_add(1, Relaxed);
        if let Some(guard) = &mut this.guard {
            guard.record_received((buffer.filled().len() - before) as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredTunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        self.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, bytes))?;
        self.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
