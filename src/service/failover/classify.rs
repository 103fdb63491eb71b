//! What an error or an answer says about the member that gave it: [`Classify`].
//!
//! What does not live here: what follows from it, which is for `failover` to decide.

use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::member::Outcome;
use crate::service::BalanceError;

/// What an error says about the request that it ended.
///
/// # Examples
///
/// ```
/// use equipoise::service::Fault;
/// use std::io;
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// assert!(Fault::of(&refused).is_nothing_sent());
///
/// let reset = io::Error::from(io::ErrorKind::ConnectionReset);
/// assert_eq!(Fault::of(&reset), Fault::MAY_HAVE_BEEN_SENT);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    nothing_sent: bool,
    timed_out: bool,
    blameless: bool,
    /// This machine has run out of something.
    exhausted: bool,
}

impl Fault {
    /// The member may have seen the request: what is true of any error of which
    /// nothing else is known.
    ///
    /// # Examples
    ///
    /// See [`Fault`].
    pub const MAY_HAVE_BEEN_SENT: Self = Self {
        nothing_sent: false,
        timed_out: false,
        blameless: false,
        exhausted: false,
    };

    /// Not a byte of the request has reached the member, so that any other may serve
    /// it, whatever its method.
    ///
    /// # Examples
    ///
    /// See [`Classify`].
    pub const NOTHING_SENT: Self = Self {
        nothing_sent: true,
        timed_out: false,
        blameless: false,
        exhausted: false,
    };

    /// Says also that it is not the member's fault, which is not put in error then: a
    /// connection that had been idle was closed, a limit of your own was reached. A request
    /// that may be repeated is repeated once more for the first such failure.
    ///
    /// # Examples
    ///
    /// See [`Classify`].
    #[must_use]
    pub const fn and_blameless(self) -> Self {
        Self {
            blameless: true,
            ..self
        }
    }

    /// The same, with nothing sent.
    pub(in crate::service) const fn and_nothing_sent(self) -> Self {
        Self {
            nothing_sent: true,
            ..self
        }
    }

    /// Says also that the member let a time limit pass.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    ///
    /// let connect_timeout = Fault::NOTHING_SENT.and_timed_out();
    /// assert!(connect_timeout.is_timed_out() && connect_timeout.is_nothing_sent());
    /// ```
    #[must_use]
    pub const fn and_timed_out(self) -> Self {
        Self {
            timed_out: true,
            ..self
        }
    }

    const EXHAUSTED: Self = Self {
        exhausted: true,
        ..Self::MAY_HAVE_BEEN_SENT.and_blameless()
    };

    /// Reads an error and its causes: a refused connection means that nothing was sent;
    /// [`io::ErrorKind::TimedOut`] that a time limit passed; and that this machine has no
    /// descriptors, ports or memory left is [not the member's fault](Self::is_exhausted). A
    /// [`BalanceError`] of a
    /// balancer behind this one says for itself whether anything was sent. About all
    /// others nothing is known.
    ///
    /// # Examples
    ///
    /// See [`Fault`].
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(error) = cause::<BalanceError>(error) {
            return Self::of_balancer(error);
        }
        causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .find_map(|error| match error.kind() {
                _ if is_exhaustion(error) => Some(Self::EXHAUSTED),
                io::ErrorKind::ConnectionRefused => Some(Self::NOTHING_SENT),
                io::ErrorKind::TimedOut => Some(Self::MAY_HAVE_BEEN_SENT.and_timed_out()),
                _ => None,
            })
            .unwrap_or(Self::MAY_HAVE_BEEN_SENT)
    }

    fn of_balancer(error: &BalanceError) -> Self {
        match error {
            BalanceError::Member {
                timed_out,
                nothing_sent,
                ..
            } => Self {
                nothing_sent: *nothing_sent,
                timed_out: *timed_out,
                ..Self::MAY_HAVE_BEEN_SENT
            },
            BalanceError::Exhausted { .. } => Self::EXHAUSTED.and_nothing_sent(),
            // It knows best when it can serve again.
            BalanceError::NotReady { .. } | BalanceError::Pick(_) => {
                Self::NOTHING_SENT.and_blameless()
            }
            BalanceError::SessionLost { nothing_sent, .. } => Self {
                nothing_sent: *nothing_sent,
                ..Self::MAY_HAVE_BEEN_SENT.and_blameless()
            },
            BalanceError::Request { .. } => Self::MAY_HAVE_BEEN_SENT.and_blameless(),
        }
    }

    /// Tells whether it is certain that nothing was sent.
    ///
    /// # Examples
    ///
    /// See [`Fault`].
    #[must_use]
    pub const fn is_nothing_sent(self) -> bool {
        self.nothing_sent
    }

    /// Tells whether it is not the member's fault.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    ///
    /// assert!(Fault::NOTHING_SENT.and_blameless().is_blameless());
    /// ```
    #[must_use]
    pub const fn is_blameless(self) -> bool {
        self.blameless
    }

    /// Tells whether this machine has run out of descriptors, ports or memory, which no member
    /// is to blame for.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    /// use std::io;
    ///
    /// // No local port is left for connections to that address.
    /// let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    /// assert!(Fault::of(&error).is_exhausted() && Fault::of(&error).is_blameless());
    /// ```
    #[must_use]
    pub const fn is_exhausted(self) -> bool {
        self.exhausted
    }

    /// Tells whether a time limit passed.
    ///
    /// # Examples
    ///
    /// See [`Fault::and_timed_out`].
    #[must_use]
    pub const fn is_timed_out(self) -> bool {
        self.timed_out
    }
}

/// Whether an error says that this machine has run out of descriptors, local ports, memory or
/// buffers. The numbers that have no [`io::ErrorKind`] are those of Unix and of Winsock.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    const NUMBERS: &[i32] = if cfg!(windows) {
        &[10_024, 10_055]
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        &[23, 24, 105]
    } else {
        &[23, 24, 55]
    };
    let number = |error: &io::Error| error.raw_os_error().is_some_and(|it| NUMBERS.contains(&it));
    let kind = error.kind();
    matches!(
        kind,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || number(error)
}

/// Finds the first error of type `T` among an error and its causes.
///
/// # Examples
///
/// ```
/// use equipoise::service::cause;
/// use std::io;
///
/// let inner = io::Error::from(io::ErrorKind::TimedOut);
/// let outer = io::Error::new(io::ErrorKind::Other, inner);
/// assert!(cause::<io::Error>(&outer).is_some());
/// ```
#[must_use]
pub fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error and its causes, the outermost first.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error = *error;
        // An I/O error does not name what it wraps as its source, but skips it.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// Says what errors and answers mean; closures over errors do, too.
///
/// # Contract
///
/// It must not say [`Fault::NOTHING_SENT`] unless that is certain: a request of which it
/// is said may be sent again, whatever its method.
///
/// # Examples
///
/// See [`nothing_sent_if`](crate::service::BalanceLayer::nothing_sent_if) for the
/// commonest need. Here the errors of tonic's channels are read in full:
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
///         None if canceled => Fault::NOTHING_SENT.and_blameless(),
///         None => Fault::of(error),
///     }
/// }
/// # let balancer = equipoise::Balancer::<http::Uri>::builder().build()?;
/// let layer = BalanceLayer::new(balancer).classify(fault);
/// # let _ = layer;
/// # Ok::<(), Box<dyn Error>>(())
/// ```
pub trait Classify: Send + Sync + 'static {
    /// Says what an error means; [`Fault::of`] unless this says otherwise.
    ///
    /// # Examples
    ///
    /// See [`Classify`].
    fn error(&self, error: &(dyn Error + 'static)) -> Fault {
        Fault::of(error)
    }

    /// Says how the member did with this answer, for schedulers that heed it: a
    /// failure from status 500 on, unless this says otherwise.
    ///
    /// It has no say about who is put in error: that is
    /// [`Failover::with_fail_on_status`](crate::service::Failover::with_fail_on_status).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Outcome;
    /// use equipoise::service::Classify;
    /// use http::{HeaderMap, StatusCode};
    ///
    /// /// For members that say 429 when they have too much to do.
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

/// What [`BalanceLayer::nothing_sent_if`](crate::service::BalanceLayer::nothing_sent_if)
/// and its like say.
pub(in crate::service) struct FaultIf<F, E> {
    is: F,
    /// What more is known of such errors.
    then: fn(Fault) -> Fault,
    /// What was said before.
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

    fn response(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        self.rest.response(status, headers)
    }
}

/// The default: [`Fault::of`], and failures from status 500 on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::service) struct ByCause;

impl Classify for ByCause {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.nothing_sent, self.timed_out) {
            (true, true) => "nothing sent, timed out",
            (true, false) => "nothing sent",
            (false, true) => "timed out",
            (false, false) => "may have been sent",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, cause};
    use std::error::Error;
    use std::fmt;
    use std::io::{self, ErrorKind};

    #[derive(Debug)]
    struct Client(io::Error);

    impl fmt::Display for Client {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("client error")
        }
    }

    impl Error for Client {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_refusal_is_found_behind_other_errors() {
        let refused = Client(ErrorKind::ConnectionRefused.into());
        assert!(Fault::of(&refused).is_nothing_sent());
        let boxed: Box<dyn Error + Send + Sync> = Box::new(refused);
        assert!(Fault::of(&*boxed).is_nothing_sent());
        let wrapped = io::Error::other(Client(ErrorKind::ConnectionRefused.into()));
        assert!(cause::<Client>(&wrapped).is_some());
        assert!(Fault::of(&wrapped).is_nothing_sent());
    }

    #[test]
    fn what_is_not_known_may_have_been_sent() {
        for kind in [
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
            ErrorKind::ConnectionReset,
            ErrorKind::HostUnreachable,
            ErrorKind::NotConnected,
            ErrorKind::UnexpectedEof,
        ] {
            let error = Client(kind.into());
            assert_eq!(Fault::of(&error), Fault::MAY_HAVE_BEEN_SENT, "{kind:?}");
        }
        assert_eq!(
            Fault::of(&fmt::Error),
            Fault::MAY_HAVE_BEEN_SENT,
            "no I/O at all"
        );
        let late = Fault::of(&Client(ErrorKind::TimedOut.into()));
        assert!(late.is_timed_out() && !late.is_nothing_sent());
    }

    #[test]
    #[cfg(unix)]
    fn what_this_machine_has_run_out_of_is_no_members_fault() {
        // ENOMEM, ENFILE, EMFILE, as every Unix has them.
        let numbered = [12, 23, 24].map(io::Error::from_raw_os_error);
        let unnumbered = [ErrorKind::AddrNotAvailable, ErrorKind::OutOfMemory].map(Into::into);
        for error in numbered.into_iter().chain(unnumbered) {
            let fault = Fault::of(&Client(error));
            assert!(fault.is_exhausted() && fault.is_blameless(), "{fault}");
            assert!(!fault.is_nothing_sent(), "it may have been another socket");
        }
        let refused = Client(ErrorKind::ConnectionRefused.into());
        assert!(!Fault::of(&refused).is_exhausted());
    }

    #[test]
    fn a_fault_reads_as_words() {
        assert_eq!(Fault::NOTHING_SENT.to_string(), "nothing sent");
        assert_eq!(
            Fault::MAY_HAVE_BEEN_SENT.and_timed_out().to_string(),
            "timed out"
        );
    }
}
