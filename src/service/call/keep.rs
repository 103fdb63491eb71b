//! What is kept of a request of any type for another attempt.

/// How a request of type `R` is kept for another attempt: [`NoRetry`], [`CloneRequest`], a
/// closure that copies, or a type of your own.
///
/// # Examples
///
/// ```
/// use equipoise::service::KeepRequest;
///
/// #[derive(Clone)]
/// enum Command {
///     Read(u64),
///     Write(u64, Vec<u8>),
/// }
///
/// /// Reads are idempotent; writes are too long to be kept.
/// #[derive(Clone, Copy)]
/// struct Reads;
///
/// impl KeepRequest<Command> for Reads {
///     fn copy(&self, request: &Command) -> Option<Command> {
///         matches!(request, Command::Read(_)).then(|| request.clone())
///     }
///
///     fn is_idempotent(&self, request: &Command) -> bool {
///         matches!(request, Command::Read(_))
///     }
/// }
/// # assert!(Reads.copy(&Command::Write(1, Vec::new())).is_none());
/// ```
pub trait KeepRequest<R>: Clone {
    /// Copies a request before it is sent to a member, if another attempt may need it.
    fn copy(&self, request: &R) -> Option<R>;

    /// Returns whether the request may be processed twice without harm; the default is
    /// `false`.
    fn is_idempotent(&self, request: &R) -> bool {
        let _ = request;
        false
    }
}

impl<R, F> KeepRequest<R> for F
where
    F: Fn(&R) -> Option<R> + Clone,
{
    fn copy(&self, request: &R) -> Option<R> {
        self(request)
    }
}

/// Keeps nothing: a request that was sent to a member is not sent to another one.
///
/// # Examples
///
/// ```
/// use equipoise::service::{KeepRequest, NoRetry};
///
/// assert_eq!(NoRetry::default().copy(&7), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRetry {
    _private: (),
}

impl<R> KeepRequest<R> for NoRetry {
    fn copy(&self, _: &R) -> Option<R> {
        None
    }
}

/// Keeps a clone, for another attempt if nothing was sent or if the request is idempotent.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::CloneRequest;
/// use std::convert::Infallible;
///
/// let double = tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(2 * n) });
/// let balancer = Balancer::new([("a", double)])?;
/// let service = balancer
///     .into_call_service()
///     .keep(CloneRequest::default().idempotent());
/// # let _ = service;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest {
    idempotent: bool,
}

impl CloneRequest {
    /// Declares all requests idempotent: they may be processed twice without harm.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true }
    }
}

impl<R: Clone> KeepRequest<R> for CloneRequest {
    fn copy(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn is_idempotent(&self, _: &R) -> bool {
        self.idempotent
    }
}
