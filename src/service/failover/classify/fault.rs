//! What an error means for the request and the member: [`Fault`].
//!
//! Not here: what decides it (`super`), and what follows from it (`failover`).

use std::error::Error;
use std::fmt;
use std::io;

use tower::load_shed::error::Overloaded;

use crate::member::Cause;
use crate::service::BalanceError;

/// What an error means for the request and the member.
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
    /// This machine has run out of a resource.
    exhausted: bool,
    overloaded: bool,
    stale: bool,
}

impl Fault {
    /// The member may have received the request. This applies to any error about which
    /// nothing else is known.
    pub const MAY_HAVE_BEEN_SENT: Self = Self {
        nothing_sent: false,
        timed_out: false,
        blameless: false,
        exhausted: false,
        overloaded: false,
        stale: false,
    };

    /// No byte of the request has reached the member, so any other member may serve it,
    /// whatever its method.
    pub const NOTHING_SENT: Self = Self {
        nothing_sent: true,
        ..Self::MAY_HAVE_BEEN_SENT
    };

    /// The member, or a limit of your own before it, has no room for the request now.
    /// Nothing was sent, and another member is tried. The member is not put in error, and
    /// this request does not try it again. If no other member can take the request either,
    /// the response is 503.
    ///
    /// Schedulers see [`Outcome::Failure`](crate::Outcome::Failure). A scheduler that uses
    /// outcomes then picks the member less often; otherwise a member without room would
    /// look idle.
    pub const OVERLOADED: Self = Self {
        nothing_sent: true,
        blameless: true,
        overloaded: true,
        ..Self::MAY_HAVE_BEEN_SENT
    };

    /// Marks this as not the member's fault, so that it is not put in error: for example,
    /// an idle connection was closed, or a limit of your own was reached. After the first
    /// such failure, a request that may be retried gets one more retry.
    #[must_use]
    pub const fn with_member_blameless(self) -> Self {
        Self {
            blameless: true,
            ..self
        }
    }

    /// Marks this as a stale connection: it had carried requests before, and was closed
    /// before a byte of the response arrived. The member is not at fault; most likely it
    /// had closed the idle connection. See
    /// [`stale_if`](crate::service::BalanceLayer::stale_if).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    ///
    /// let stale = Fault::MAY_HAVE_BEEN_SENT.with_stale_connection();
    /// assert!(stale.is_stale() && stale.is_member_blameless() && !stale.is_nothing_sent());
    /// ```
    #[must_use]
    pub const fn with_stale_connection(self) -> Self {
        Self {
            stale: true,
            blameless: true,
            ..self
        }
    }

    /// Marks this as an error for which nothing was sent.
    pub(in crate::service) const fn and_nothing_sent(self) -> Self {
        Self {
            nothing_sent: true,
            ..self
        }
    }

    /// Marks this as a time limit that the member exceeded.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    ///
    /// let connect_timeout = Fault::NOTHING_SENT.with_timed_out();
    /// assert!(connect_timeout.is_timed_out() && connect_timeout.is_nothing_sent());
    /// ```
    #[must_use]
    pub const fn with_timed_out(self) -> Self {
        Self {
            timed_out: true,
            ..self
        }
    }

    const EXHAUSTED: Self = Self {
        exhausted: true,
        ..Self::MAY_HAVE_BEEN_SENT.with_member_blameless()
    };

    /// Classifies an error by its causes. The first row that matches applies:
    ///
    /// | among the causes is | the fault |
    /// |---|---|
    /// | a [`BalanceError`] of a balancer behind this one | as it reports: whether anything was sent, a time limit was exceeded, or no member had room |
    /// | tower's [`Overloaded`], of a `LoadShed` before the member | [`OVERLOADED`](Self::OVERLOADED) |
    /// | `EMFILE`, `ENFILE`, `ENOMEM`, `ENOBUFS` or [`io::ErrorKind::AddrNotAvailable`] | this machine has [run out](Self::is_exhausted) of descriptors, memory or local ports: not the member's fault |
    /// | [`io::ErrorKind::ConnectionRefused`] | [`NOTHING_SENT`](Self::NOTHING_SENT) |
    /// | [`io::ErrorKind::TimedOut`] | [`MAY_HAVE_BEEN_SENT`](Self::MAY_HAVE_BEEN_SENT), and a time limit was exceeded |
    /// | none of these | [`MAY_HAVE_BEEN_SENT`](Self::MAY_HAVE_BEEN_SENT) |
    ///
    /// If a member returns an error from `poll_ready`, nothing was sent. So another member
    /// is tried after the errors of a `Buffer` whose worker has ended, or of
    /// `tower::balance` without discovery. `ConcurrencyLimit` and `RateLimit` return no
    /// error: they stay pending until the limit of [`Timeouts`](crate::service::Timeouts).
    ///
    /// tower's `Elapsed` is not recognized, as its type requires a runtime; set
    /// [`classify`](crate::service::BalanceLayer::classify) for it:
    ///
    /// ```
    /// use equipoise::service::{Fault, cause};
    /// use std::error::Error;
    /// use tower::timeout::error::Elapsed;
    ///
    /// fn fault(error: &(dyn Error + 'static)) -> Fault {
    ///     match cause::<Elapsed>(error) {
    ///         Some(_) => Fault::MAY_HAVE_BEEN_SENT.with_timed_out(),
    ///         None => Fault::of(error),
    ///     }
    /// }
    /// assert!(fault(&Elapsed::new()).is_timed_out());
    /// ```
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(error) = cause::<BalanceError>(error) {
            return Self::of_balancer(error);
        }
        if cause::<Overloaded>(error).is_some() {
            return Self::OVERLOADED;
        }
        causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .find_map(|error| match error.kind() {
                _ if is_exhaustion(error) => Some(Self::EXHAUSTED),
                io::ErrorKind::ConnectionRefused => Some(Self::NOTHING_SENT),
                io::ErrorKind::TimedOut => Some(Self::MAY_HAVE_BEEN_SENT.with_timed_out()),
                _ => None,
            })
            .unwrap_or(Self::MAY_HAVE_BEEN_SENT)
    }

    /// Returns the cause of an error with this classification: a time limit, a refused
    /// connection, or else whether anything was sent. An error of another balancer has the
    /// cause that that balancer found.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::service::Fault;
    /// use std::io::{Error, ErrorKind};
    ///
    /// let refused = Error::from(ErrorKind::ConnectionRefused);
    /// assert_eq!(Fault::of(&refused).cause_of(&refused), Cause::Refused);
    /// let reset = Error::from(ErrorKind::ConnectionReset);
    /// assert_eq!(Fault::of(&reset).cause_of(&reset), Cause::Broken);
    /// ```
    #[must_use]
    pub fn cause_of(self, error: &(dyn Error + 'static)) -> Cause {
        let said = cause::<BalanceError>(error).and_then(BalanceError::cause);
        if let Some(said) = said {
            return said.clone();
        }
        let refused = causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        match (self.timed_out, self.nothing_sent) {
            (true, _) => Cause::TimedOut,
            (false, true) if refused => Cause::Refused,
            (false, true) => Cause::Unsent,
            (false, false) => Cause::Broken,
        }
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
            BalanceError::Overloaded { .. } => Self::OVERLOADED,
            // That balancer knows best when it can serve again.
            BalanceError::NotReady { .. } | BalanceError::Pick(_) => {
                Self::NOTHING_SENT.with_member_blameless()
            }
            BalanceError::SessionLost { nothing_sent, .. } => Self {
                nothing_sent: *nothing_sent,
                ..Self::MAY_HAVE_BEEN_SENT.with_member_blameless()
            },
            BalanceError::Request { .. } => Self::MAY_HAVE_BEEN_SENT.with_member_blameless(),
        }
    }

    /// Returns whether it is certain that nothing was sent.
    #[must_use]
    pub const fn is_nothing_sent(self) -> bool {
        self.nothing_sent
    }

    /// Returns whether this is not the member's fault.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    ///
    /// assert!(Fault::NOTHING_SENT.with_member_blameless().is_member_blameless());
    /// ```
    #[must_use]
    pub const fn is_member_blameless(self) -> bool {
        self.blameless
    }

    /// Returns whether this machine has run out of descriptors, ports or memory, which is
    /// not the fault of any member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    /// use std::io;
    ///
    /// // No local port is left for connections to that address.
    /// let error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    /// assert!(Fault::of(&error).is_exhausted() && Fault::of(&error).is_member_blameless());
    /// ```
    #[must_use]
    pub const fn is_exhausted(self) -> bool {
        self.exhausted
    }

    /// Returns whether the member has no room for the request now.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Fault;
    /// use tower::load_shed::error::Overloaded;
    ///
    /// assert!(Fault::of(&Overloaded::new()).is_overloaded());
    /// ```
    #[must_use]
    pub const fn is_overloaded(self) -> bool {
        self.overloaded
    }

    /// Returns whether the connection had been used before, and was closed without a
    /// response.
    #[must_use]
    pub const fn is_stale(self) -> bool {
        self.stale
    }

    /// Returns whether a time limit was exceeded.
    #[must_use]
    pub const fn is_timed_out(self) -> bool {
        self.timed_out
    }
}

/// Returns whether an error means that this machine has run out of descriptors, local
/// ports, memory or buffers. The numbers without an [`io::ErrorKind`] are those of Unix and
/// of Winsock.
fn is_exhaustion(error: &io::Error) -> bool {
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

/// Returns the first error of type `T` among an error and its causes.
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

/// Iterates over an error and its causes, the outermost first.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error = *error;
        // The `source` of an I/O error is not the error that it wraps, but that one's
        // source.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.overloaded {
            return f.pad("overloaded");
        }
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
            assert!(
                fault.is_exhausted() && fault.is_member_blameless(),
                "{fault}"
            );
            assert!(!fault.is_nothing_sent(), "it may have been another socket");
        }
        let refused = Client(ErrorKind::ConnectionRefused.into());
        assert!(!Fault::of(&refused).is_exhausted());
    }

    #[test]
    fn a_fault_reads_as_words() {
        assert_eq!(Fault::NOTHING_SENT.to_string(), "nothing sent");
        assert_eq!(
            Fault::MAY_HAVE_BEEN_SENT.with_timed_out().to_string(),
            "timed out"
        );
    }
}
