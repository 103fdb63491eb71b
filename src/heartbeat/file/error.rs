//! Why a line of a file is skipped: [`HeartbeatLineError`].

/// Why a line of a [`HeartbeatFile`](super::HeartbeatFile) is skipped.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatFile;
///
/// let (_, errors) = HeartbeatFile::parse(b"# servers\n10.0.0.1 &ready=x&busy=0&lastseen=1\n");
/// assert_eq!(errors[0].line(), 2);
/// assert_eq!(errors[0].to_string(), "line 2: `ready` is not a number: \"x\"");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct HeartbeatLineError {
    line: usize,
    wrong: LineFault,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum LineFault {
    #[error("not an IP address: {0:?}")]
    Address(String),
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is not a number: {1:?}")]
    Number(&'static str, String),
    #[error("no values after the address")]
    Values,
}

impl HeartbeatLineError {
    pub(super) const fn new(line: usize, wrong: LineFault) -> Self {
        Self { line, wrong }
    }

    /// Returns the number of the line; the first is 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }
}
