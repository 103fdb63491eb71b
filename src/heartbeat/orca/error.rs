//! Why a header is no report: [`OrcaError`].

/// Why the value of a header is no [`OrcaReport`](super::OrcaReport).
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::OrcaReport;
///
/// let error = OrcaReport::parse(b"TEXT cpu_utilization=NaN").unwrap_err();
/// assert_eq!(error.to_string(), "`cpu_utilization` is no number that it can be: \"NaN\"");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrcaError {
    /// A metric is there twice.
    #[error("{metric:?} is there twice")]
    #[non_exhaustive]
    Duplicate {
        /// The beginning of its name.
        metric: String,
    },
    /// It is in another form than text.
    #[error("it does not begin with `TEXT`")]
    Form,
    /// A value is no number, or not one that the metric can have.
    #[error("`{metric}` is no number that it can be: {text:?}")]
    #[non_exhaustive]
    Number {
        /// The beginning of the metric's name.
        metric: String,
        /// The beginning of its value.
        text: String,
    },
    /// A part has no `=`, or nothing before it.
    #[error("no name and value: {text:?}")]
    #[non_exhaustive]
    Pair {
        /// The beginning of the part.
        text: String,
    },
    /// It is longer than 4096 bytes.
    #[error("it has {bytes} bytes, more than 4096")]
    #[non_exhaustive]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
}
