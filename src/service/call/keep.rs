//! What is kept of a request of any type for another attempt.

/// What is kept of a request of type `R` for another attempt: [`NoRetry`], [`CloneRequest`], or
/// what you say, also by a closure that copies.
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
/// /// Reads may be repeated; writes are too long to be kept.
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
    /// Copies a request that is about to be handed to a member, if another attempt is
    /// worth it.
    fn copy(&self, request: &R) -> Option<R>;

    /// Returns whether doing it twice does no harm; `false` unless this says otherwise.
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

/// Keeps nothing: a request that was handed to a member goes to no other.
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

/// Keeps a clone, for when nothing was sent, or for requests that may be repeated.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::CloneRequest;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let service = balancer
///     .into_call_service::<u64>()
///     .keep(CloneRequest::default().idempotent());
/// # let _ = service;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest {
    idempotent: bool,
}

impl CloneRequest {
    /// Says that doing any of the requests twice does no harm.
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
