//! The result of serving: [`Stopped`].

/// The result of serving: how many connections did not end in time.
///
/// # Examples
///
/// ```
/// use equipoise::net::Stopped;
/// use std::process::ExitCode;
///
/// fn exit_code(stopped: Stopped) -> ExitCode {
///     if stopped.cut() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
/// }
/// # let _ = exit_code;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stopped {
    cut: usize,
}

impl Stopped {
    pub(crate) const fn after(cut: usize) -> Self {
        Self { cut }
    }

    /// Returns how many connections, including tunnels, were cut because they had not ended
    /// in time.
    #[must_use]
    pub const fn cut(&self) -> usize {
        self.cut
    }
}
