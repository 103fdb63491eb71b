//! Why a header is not a report: [`OrcaError`].

/// Why the value of a header is not an [`OrcaReport`](super::OrcaReport).
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::OrcaReport;
///
/// let error = OrcaReport::parse(b"TEXT cpu_utilization=NaN").unwrap_err();
/// assert_eq!(error.to_string(), "`cpu_utilization` is not a number in its range: \"NaN\"");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrcaError {
    /// A metric occurs twice.
    #[error("the metric {metric:?} occurs twice")]
    #[non_exhaustive]
    Duplicate {
        /// The first bytes of its name.
        metric: String,
    },
    /// The report is not in text form.
    #[error("the report does not begin with `TEXT`")]
    Form,
    /// A value is not a number, or out of the range of its metric.
    #[error("`{metric}` is not a number in its range: {text:?}")]
    #[non_exhaustive]
    Number {
        /// The first bytes of the metric's name.
        metric: String,
        /// The first bytes of its value.
        text: String,
    },
    /// A part has no `=`, or no name before it.
    #[error("not a name and a value: {text:?}")]
    #[non_exhaustive]
    Pair {
        /// The first bytes of the part.
        text: String,
    },
    /// The report is longer than 4096 bytes.
    #[error("the report has {bytes} bytes, more than 4096")]
    #[non_exhaustive]
    TooLong {
        /// The length of the report in bytes.
        bytes: usize,
    },
}
