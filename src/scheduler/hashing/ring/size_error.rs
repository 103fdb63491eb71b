//! The reason why a size of a ring is refused: [`RingSizeError`].

/// The reason why a number of points is refused.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Ring, RingSizeError};
///
/// let error = Ring::with_points(5_000).unwrap_err();
/// assert_eq!(error, RingSizeError::OutOfRange);
/// assert_eq!(error.to_string(), "the number of points is out of range");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RingSizeError {
    /// The number is 0 or too large.
    #[error("the number of points is out of range")]
    OutOfRange,
    /// The least number is greater than the greatest one.
    #[error("the least size is greater than the greatest size")]
    Reversed,
}
