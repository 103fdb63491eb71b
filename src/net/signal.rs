//! The wish of the operator to stop: [`shutdown_signal`].

use std::io;

/// Hears Ctrl-C and, where there is such a thing, `SIGTERM`, from this call on; the future
/// resolves with the first of them. The next one ends the process no more: bound the wait
/// with [`Acceptor::drain_timeout`](super::Acceptor::drain_timeout).
///
/// # Errors
///
/// If the system does not deliver them.
///
/// # Panics
///
/// Outside a tokio runtime with `enable_io`.
#[cfg(unix)]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Hears Ctrl-C; the future resolves with the first.
///
/// # Errors
///
/// Never here.
#[cfg(not(unix))]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + use<>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody will ever say it: go on until killed.
            std::future::pending::<()>().await;
        }
    })
}
