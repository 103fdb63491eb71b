//! What happens to connections of a lost member: [`OnMemberLoss`], and `LossWatcher`, which
//! detects the loss.
//!
//! Not here: which members are picked (`balancer`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::unconstrained;

use super::address::Address;
use crate::balancer::Balancer;
use crate::balancer::events::{Event, Interest, Observer, ObserverGuard};
use crate::member::{Flag, MemberId};
use crate::timer::timeout;

/// What happens to the connections of a lost member: one that is disabled, stopped, failed
/// by a health check, or removed.
///
/// A member that is only in error, or that drains, always keeps its connections.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Address, OnMemberLoss, TcpForwarder};
/// use std::time::Duration;
///
/// let balancer: Balancer<Address> = Balancer::builder().build()?;
/// let forwarder = TcpForwarder::new(balancer)
///     .on_member_loss(OnMemberLoss::EndAfter(Duration::from_secs(30)));
/// # let _ = forwarder;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnMemberLoss {
    /// Connections end at once.
    End,
    /// Connections end after this time, unless the member is available again by then.
    EndAfter(Duration),
    /// Connections continue. This is the default.
    #[default]
    Stay,
}

/// Notifies connections that their member is lost.
#[derive(Debug)]
pub(super) struct LossWatcher {
    changes: Arc<watch::Sender<()>>,
    grace: Duration,
    _observing: ObserverGuard,
}

/// Notifies all connections of a change. Each checks its own member.
struct LossObserver(Arc<watch::Sender<()>>);

impl Observer for LossObserver {
    fn observe(&self, _: &Event<'_>) {
        self.0.send_replace(());
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::LEFT | Interest::JOINED
    }
}

impl LossWatcher {
    pub(super) fn new(balancer: &Balancer<Address>, on_member_loss: OnMemberLoss) -> Option<Self> {
        let grace = match on_member_loss {
            OnMemberLoss::End => Duration::ZERO,
            OnMemberLoss::EndAfter(grace) => grace,
            OnMemberLoss::Stay => return None,
        };
        let changes = Arc::new(watch::Sender::new(()));
        Some(Self {
            _observing: balancer.observe(LossObserver(changes.clone())),
            changes,
            grace,
        })
    }

    /// Resolves when the member has been lost for the time that its connections may
    /// continue.
    pub(super) async fn is_lost(&self, balancer: &Balancer<Address>, id: MemberId, name: &str) {
        let mut changes = self.changes.subscribe();
        loop {
            until(&mut changes, || is_gone(balancer, id, name)).await;
            let back = until(&mut changes, || !is_gone(balancer, id, name));
            if timeout(self.grace, back).await.is_err() {
                return;
            }
        }
    }
}

/// Resolves when `is_so` is true; it is checked after each change. This also works in a
/// task whose tokio budget is used up by a continuous flow of bytes.
async fn until(changes: &mut watch::Receiver<()>, is_so: impl Fn() -> bool) {
    loop {
        changes.borrow_and_update();
        if is_so() || unconstrained(changes.changed()).await.is_err() {
            return;
        }
    }
}

fn is_gone(balancer: &Balancer<Address>, id: MemberId, name: &str) -> bool {
    const LOSSES: [Flag; 3] = [Flag::Disabled, Flag::FailedCheck, Flag::Stopped];
    match balancer.member(name) {
        Some(member) if member.id() == id => {
            let status = member.status();
            LOSSES.into_iter().any(|flag| status.contains(flag))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{LossWatcher, OnMemberLoss};
    use crate::balancer::Balancer;
    use crate::forward::Address;
    use crate::member::Flag;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::task::coop::poll_proceed;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_loss_is_noticed_in_a_task_whose_budget_is_used_up() {
        let member = ("a", Address::host("db.internal", None));
        let balancer = Balancer::new([member]).unwrap();
        let id = balancer.member("a").unwrap().id();
        let lost = LossWatcher::new(&balancer, OnMemberLoss::End).unwrap();
        let mut is_lost = pin!(lost.is_lost(&balancer, id, "a"));
        let first = std::future::poll_fn(|context| Poll::Ready(is_lost.as_mut().poll(context)));
        assert!(first.await.is_pending());
        balancer.set_flag("a", Flag::Disabled).unwrap();
        let flooded = std::future::poll_fn(|context| {
            while let Poll::Ready(unit) = poll_proceed(context) {
                unit.made_progress();
            }
            context.waker().wake_by_ref();
            is_lost.as_mut().poll(context)
        });
        timeout(Duration::from_secs(5), flooded).await.unwrap();
    }
}
