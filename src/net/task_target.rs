//! A closure that serves connections which were accepted elsewhere: [`StreamTarget::task`],
//! [`Acceptor::into_target`].
//!
//! Not here: other kinds of targets (`stream_target`).

use std::fmt;
use std::sync::Arc;

use super::accept::Arrived;
use super::accepted::Accepted;
use super::acceptor::Acceptor;
use super::stream_target::{ServeArrived, Serving, StreamTarget};

/// Opens each connection as an acceptor does, and runs a task for it.
struct TaskTarget<F> {
    acceptor: Acceptor,
    task: F,
}

impl StreamTarget {
    /// Creates a target that runs a task for each connection, as [`Acceptor::serve`] does. The
    /// connection counts until its task has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::StreamTarget;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let target = StreamTarget::task(async |accepted| {
    ///     let _ = accepted.into_stream().write_all(b"421 come back later\r\n").await;
    /// });
    /// # let _ = target;
    /// ```
    pub fn task<F, T>(task: F) -> Self
    where
        F: Fn(Accepted) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Acceptor::new().into_target(task)
    }
}

impl Acceptor {
    /// Creates a target for a [`StreamRouter`](crate::forward::StreamRouter) that runs a
    /// task for each connection. As far as each is configured, it first reads a PROXY
    /// header, unless the router has read one, and terminates TLS.
    ///
    /// The router decides how many connections there may be, and how long they may continue
    /// after the stop.
    ///
    /// # Examples
    ///
    /// Terminating TLS for one name in a task of your own:
    ///
    /// ```
    /// use equipoise::net::{Acceptor, ServerTls};
    /// # #[cfg(feature = "tls")]
    /// use equipoise::forward::{HostNameError, NameRoutes, StreamTarget};
    ///
    /// # #[cfg(feature = "tls")]
    /// fn routes(tls: &ServerTls) -> Result<NameRoutes<StreamTarget>, HostNameError> {
    ///     let mail = Acceptor::new().tls(tls).into_target(async |accepted| drop(accepted));
    ///     NameRoutes::new().name("mail.example.org", mail)
    /// }
    /// ```
    pub fn into_target<F, T>(self, task: F) -> StreamTarget
    where
        F: Fn(Accepted) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        StreamTarget::new(TaskTarget {
            acceptor: self,
            task,
        })
    }
}

impl<F, T> ServeArrived for TaskTarget<F>
where
    F: Fn(Accepted) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    fn serve(self: Arc<Self>, arrived: Arrived) -> Serving {
        Box::pin(async move {
            let Arrived {
                accepted,
                place,
                stopping,
                ..
            } = arrived;
            // Boxed, so that it uses no memory afterwards.
            let opened = Box::pin(self.acceptor.open(accepted, &stopping)).await;
            if let Some(accepted) = opened {
                (self.task)(accepted).await;
            }
            drop(place);
        })
    }
}

impl<F> fmt::Debug for TaskTarget<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTarget")
            .field("acceptor", &self.acceptor)
            .finish_non_exhaustive()
    }
}
