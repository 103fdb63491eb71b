//! What is kept of a request of any type for another attempt.

/// What is kept of a request of type `R` for another attempt: [`Once`], [`Cloned`], or
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
    ///
    /// # Examples
    ///
    /// See [`KeepRequest`].
    fn copy(&self, request: &R) -> Option<R>;

    /// Tells whether doing it twice does no harm; `false` unless this says otherwise.
    ///
    /// # Examples
    ///
    /// See [`KeepRequest`].
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
/// use equipoise::service::{KeepRequest, Once};
///
/// assert_eq!(Once::default().copy(&7), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Once {
    _private: (),
}

impl<R> KeepRequest<R> for Once {
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
/// use equipoise::service::Cloned;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let service = balancer
///     .into_call_service::<u64>()
///     .keep(Cloned::default().idempotent());
/// # let _ = service;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned {
    idempotent: bool,
}

impl Cloned {
    /// Says that doing any of the requests twice does no harm.
    ///
    /// # Examples
    ///
    /// See [`Cloned`].
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true }
    }
}

impl<R: Clone> KeepRequest<R> for Cloned {
    fn copy(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn is_idempotent(&self, _: &R) -> bool {
        self.idempotent
    }
}
