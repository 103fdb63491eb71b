//! The operator's request to shut down: [`shutdown_signal`].

use std::io;

/// Installs handlers for Ctrl-C and, on Unix, `SIGTERM`; the returned future resolves with
/// the first signal. Later signals do not end the process any more, so limit the wait with
/// [`Acceptor::drain_timeout`](super::Acceptor::drain_timeout).
///
/// # Errors
///
/// Fails if the system does not deliver the signals.
///
/// # Panics
///
/// Panics outside a tokio runtime with `enable_io`.
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

/// Returns a future that resolves with the first Ctrl-C.
///
/// # Errors
///
/// Never fails on this system.
#[cfg(not(unix))]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + use<>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // The signal cannot be received: run until the process is killed.
            std::future::pending::<()>().await;
        }
    })
}
