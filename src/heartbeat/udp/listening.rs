//! A listener that serves in a task of its own: [`HeartbeatListening`].

use tokio::task::JoinHandle;

/// Keeps a listener serving; dropping it ends that and closes the socket.
#[derive(Debug)]
#[must_use = "the listener serves until this is dropped"]
pub struct HeartbeatListening {
    task: JoinHandle<()>,
}

impl HeartbeatListening {
    pub(super) fn of(task: JoinHandle<()>) -> Self {
        Self { task }
    }
}

impl Drop for HeartbeatListening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
