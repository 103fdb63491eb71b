//! The report of a broken law: [`Violation`].

use std::error::Error;
use std::fmt;

/// A law that a scheduler breaks, with the smallest example that was found.
///
/// `Debug` prints the same report as `Display`, so that `unwrap` in a test shows it.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::testkit::laws;
///
/// /// Ignores members other than the first one.
/// #[derive(Debug)]
/// struct Stubborn;
///
/// impl Scheduler for Stubborn {
///     fn name(&self) -> &'static str {
///         "stubborn"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
///         candidates.claim_first(candidates.at(0))
///     }
/// }
///
/// let violation = laws::honours_tried(|| Stubborn).unwrap_err();
/// assert_eq!(violation.law(), "a pick honours the members that a request has tried");
/// println!("{violation}");
/// ```
pub struct Violation(Box<LawReport>);

/// What a [`Violation`] reports.
pub(super) struct LawReport {
    pub(super) law: &'static str,
    pub(super) scheduler: &'static str,
    pub(super) seed: u64,
    /// The members at the beginning, one a line.
    pub(super) members: Vec<String>,
    pub(super) breach: Breach,
}

impl From<LawReport> for Violation {
    fn from(report: LawReport) -> Self {
        Self(Box::new(report))
    }
}

impl Violation {
    /// Returns the law, as a sentence.
    #[must_use]
    pub fn law(&self) -> &'static str {
        self.0.law
    }

    /// Returns the seed of the random source that the scheduler drew from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Returns what the law requires at the last step of the example.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.0.breach.expected
    }

    /// Returns what happened at the last step of the example.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.0.breach.found
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        writeln!(f, "`{}` breaks a law: {}", report.scheduler, report.law)?;
        writeln!(f, "members (seed {}):", report.seed)?;
        for member in &report.members {
            writeln!(f, "  {member}")?;
        }
        if !report.breach.trace.is_empty() {
            writeln!(f, "steps:")?;
        }
        for (number, step) in report.breach.trace.iter().enumerate() {
            writeln!(f, "  {}. {step}", number + 1)?;
        }
        writeln!(f, "expected: {}", report.breach.expected)?;
        write!(f, "found: {}", report.breach.found)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Error for Violation {}

/// How one case breaks a law.
#[derive(Clone, Debug)]
pub(super) struct Breach {
    /// The steps up to the one that breaks the law, with their results.
    pub(super) trace: Vec<String>,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Breach {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            trace: Vec::new(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(super) fn after(self, trace: Vec<String>) -> Self {
        Self { trace, ..self }
    }
}
