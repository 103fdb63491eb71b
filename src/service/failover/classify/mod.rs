//! Classifies errors and responses: [`Classify`].
//!
//! Not here: the possible results (`fault`), and what follows from them (`failover`).

mod fault;

use std::error::Error;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

#[cfg_attr(
    not(feature = "proxy"),
    allow(unused_imports, reason = "for connections")
)]
pub(crate) use fault::causes;
pub use fault::{Fault, cause};

use crate::member::{Cause, Outcome};

/// Classifies errors and responses. Closures over errors implement it.
///
/// # Contract
///
/// It must return [`Fault::NOTHING_SENT`] only if that is certain: such a request may be
/// sent again, whatever its method.
///
/// # Examples
///
/// For a single type of error,
/// [`nothing_sent_if`](crate::service::BalanceLayer::nothing_sent_if) is simpler. This
/// example classifies all errors of tonic's channels:
///
/// ```
/// use equipoise::service::{BalanceLayer, Fault, cause};
/// use std::error::Error;
///
/// /// What hyper cancels, it never began to send: the connection was being closed.
/// fn fault(error: &(dyn Error + 'static)) -> Fault {
///     let canceled = cause::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled);
///     match cause::<tonic::ConnectError>(error) {
///         Some(_) => Fault::NOTHING_SENT,
///         None if canceled => Fault::NOTHING_SENT.with_member_blameless(),
///         None => Fault::of(error),
///     }
/// }
/// # let balancer = equipoise::Balancer::<http::Uri>::builder().build()?;
/// let layer = BalanceLayer::new(balancer).classify(fault);
/// # let _ = layer;
/// # Ok::<(), Box<dyn Error>>(())
/// ```
pub trait Classify: Send + Sync + 'static {
    /// Classifies an error; the default is [`Fault::of`].
    fn error(&self, error: &(dyn Error + 'static)) -> Fault {
        Fault::of(error)
    }

    /// Returns the cause of a failure for observers; `fault` is what [`error`](Self::error)
    /// has returned for the same error.
    ///
    /// The default is [`Fault::cause_of`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::service::{Classify, Fault, cause};
    /// use std::error::Error;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("the disk is full")]
    /// struct DiskFull;
    ///
    /// struct WithDisk;
    ///
    /// impl Classify for WithDisk {
    ///     fn cause(&self, error: &(dyn Error + 'static), fault: Fault) -> Cause {
    ///         match cause::<DiskFull>(error) {
    ///             Some(full) => Cause::from(full.to_string()),
    ///             None => fault.cause_of(error),
    ///         }
    ///     }
    /// }
    /// let cause = WithDisk.cause(&DiskFull, WithDisk.error(&DiskFull));
    /// assert_eq!(cause.to_string(), "the disk is full");
    /// ```
    fn cause(&self, error: &(dyn Error + 'static), fault: Fault) -> Cause {
        fault.cause_of(error)
    }

    /// Returns the outcome of a response, for schedulers that use outcomes; by default a
    /// failure from status 500 on.
    ///
    /// It does not decide which members are put in error;
    /// [`Failover::with_fail_on_status`](crate::service::Failover::with_fail_on_status)
    /// does.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Outcome;
    /// use equipoise::service::Classify;
    /// use http::{HeaderMap, StatusCode};
    ///
    /// /// For members that respond with 429 when they are overloaded.
    /// struct Overload;
    ///
    /// impl Classify for Overload {
    ///     fn response(&self, status: StatusCode, _: &HeaderMap) -> Outcome {
    ///         match status.as_u16() {
    ///             429 | 500.. => Outcome::Failure,
    ///             _ => Outcome::Success,
    ///         }
    ///     }
    /// }
    /// let outcome = Overload.response(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
    /// assert_eq!(outcome, Outcome::Failure);
    /// ```
    fn response(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        let _ = headers;
        if status.is_server_error() {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }
}

const _: Option<&dyn Classify> = None;

impl<F> Classify for F
where
    F: Fn(&(dyn Error + 'static)) -> Fault + Send + Sync + 'static,
{
    fn error(&self, error: &(dyn Error + 'static)) -> Fault {
        self(error)
    }
}

/// Adds to the classification of some errors, for
/// [`BalanceLayer::nothing_sent_if`](crate::service::BalanceLayer::nothing_sent_if) and the
/// methods like it.
pub(in crate::service) struct FaultIf<F, E> {
    is: F,
    /// Changes the classification of such errors.
    then: fn(Fault) -> Fault,
    /// Classifies all other errors.
    rest: Arc<dyn Classify>,
    error: PhantomData<fn(&E)>,
}

impl<F, E> FaultIf<F, E> {
    pub(in crate::service) fn new(
        is: F,
        then: fn(Fault) -> Fault,
        rest: Arc<dyn Classify>,
    ) -> Self {
        Self {
            is,
            then,
            rest,
            error: PhantomData,
        }
    }
}

impl<F, E> Classify for FaultIf<F, E>
where
    F: Fn(&E) -> bool + Send + Sync + 'static,
    E: Error + 'static,
{
    fn error(&self, error: &(dyn Error + 'static)) -> Fault {
        let said = self.rest.error(error);
        match cause::<E>(error) {
            Some(found) if (self.is)(found) => (self.then)(said),
            _ => said,
        }
    }

    fn cause(&self, error: &(dyn Error + 'static), fault: Fault) -> Cause {
        self.rest.cause(error, fault)
    }

    fn response(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        self.rest.response(status, headers)
    }
}

/// Sets the cause of some errors, for
/// [`BalanceLayer::cause_by`](crate::service::BalanceLayer::cause_by).
pub(in crate::service) struct CauseBy<F, E> {
    by: F,
    /// Classifies all other errors.
    rest: Arc<dyn Classify>,
    error: PhantomData<fn(&E)>,
}

impl<F, E> CauseBy<F, E> {
    pub(in crate::service) fn new(by: F, rest: Arc<dyn Classify>) -> Self {
        let error = PhantomData;
        Self { by, rest, error }
    }
}

impl<F, E> Classify for CauseBy<F, E>
where
    F: Fn(&E) -> Option<Cause> + Send + Sync + 'static,
    E: Error + 'static,
{
    fn error(&self, error: &(dyn Error + 'static)) -> Fault {
        self.rest.error(error)
    }

    fn cause(&self, error: &(dyn Error + 'static), fault: Fault) -> Cause {
        let said = cause::<E>(error).and_then(|error| (self.by)(error));
        said.unwrap_or_else(|| self.rest.cause(error, fault))
    }

    fn response(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        self.rest.response(status, headers)
    }
}

/// The default: [`Fault::of`], and a failure from status 500 on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::service) struct ByCause;

impl Classify for ByCause {}
