//! How much is measured: [`Extent`].

/// How much is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    Measure,
    /// Everything once, to see that it runs.
    Trial,
}
