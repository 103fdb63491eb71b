//! The handle of a listener in a task of its own: [`HeartbeatListenerGuard`].

use tokio::task::JoinHandle;

/// Runs a listener until it is dropped, which closes the socket.
#[derive(Debug)]
#[must_use = "the listener serves until this is dropped"]
pub struct HeartbeatListenerGuard {
    task: JoinHandle<()>,
}

impl HeartbeatListenerGuard {
    pub(super) fn of(task: JoinHandle<()>) -> Self {
        Self { task }
    }
}

impl Drop for HeartbeatListenerGuard {
    fn drop(&mut self) {
        self.task.abort();
    }
}
