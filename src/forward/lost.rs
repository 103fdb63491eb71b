//! What becomes of connections whose member is lost: [`OnMemberLoss`], and `Lost`, which notices it.
//!
//! What does not live here: which members are picked (`balancer`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::unconstrained;

use super::address::Address;
use crate::balancer::Balancer;
use crate::balancer::events::{Event, Interest, Observer, ObserverGuard};
use crate::member::{Flag, MemberId};
use crate::timer::timeout;

/// What becomes of the connections to a member that is lost: disabled, stopped, failed by a
/// health check, or removed.
///
/// A member that is only in error, or that drains, keeps its connections in any case.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Address, OnMemberLoss, TcpForwarder};
/// use std::time::Duration;
///
/// let balancer: Balancer<Address> = Balancer::builder().build()?;
/// let forwarder = TcpForwarder::new(balancer).on_loss(OnMemberLoss::EndAfter(Duration::from_secs(30)));
/// # let _ = forwarder;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnMemberLoss {
    /// They end at once.
    End,
    /// They end after this time, unless the member is back by then.
    EndAfter(Duration),
    /// They go on, which is the default.
    #[default]
    Stay,
}

/// Tells connections that their member is lost.
#[derive(Debug)]
pub(super) struct Lost {
    changes: Arc<watch::Sender<()>>,
    grace: Duration,
    _observing: ObserverGuard,
}

/// Tells all connections that something has changed. Each looks after its own member.
struct Tell(Arc<watch::Sender<()>>);

impl Observer for Tell {
    fn observe(&self, _: &Event<'_>) {
        self.0.send_replace(());
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::LEFT | Interest::JOINED
    }
}

impl Lost {
    pub(super) fn new(balancer: &Balancer<Address>, on_loss: OnMemberLoss) -> Option<Self> {
        let grace = match on_loss {
            OnMemberLoss::End => Duration::ZERO,
            OnMemberLoss::EndAfter(grace) => grace,
            OnMemberLoss::Stay => return None,
        };
        let changes = Arc::new(watch::Sender::new(()));
        Some(Self {
            _observing: balancer.observe(Tell(changes.clone())),
            changes,
            grace,
        })
    }

    /// Resolves when the member has been lost for as long as its connections may go on.
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

/// Resolves when it is so, which is looked at after each change; also in a task whose budget is
/// used up by bytes that flow without a pause.
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
    use super::{Lost, OnMemberLoss};
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
        let lost = Lost::new(&balancer, OnMemberLoss::End).unwrap();
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
