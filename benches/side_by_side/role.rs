//! Running what a process of a measurement is there for: [`run`], and [`until_stopped`] for the
//! one that drives the others.

use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use equipoise::net::shutdown_signal;
use equipoise::service::BoxError;

use super::progress::say;

/// Runs a role on one thread, to its end.
pub(crate) fn run(name: &str, role: impl Future<Output = Result<(), BoxError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.map_err(BoxError::from);
    match done.and_then(|runtime| runtime.block_on(role)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{name} bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// When the process is asked to stop, all that was started is dropped, which ends it.
pub(crate) async fn until_stopped(
    driving: impl Future<Output = Result<(), BoxError>>,
) -> Result<(), BoxError> {
    let stop = shutdown_signal()?;
    tokio::select! {
        done = driving => done,
        () = stop => Err("stopped".into()),
    }
}

/// Makes a command play a role of this program.
pub(crate) fn play(
    command: &mut Command,
    name: &str,
    listen: SocketAddr,
    upstreams: &[SocketAddr],
) {
    let addresses = std::iter::once(&listen).chain(upstreams);
    command.arg(name).args(addresses.map(SocketAddr::to_string));
}
