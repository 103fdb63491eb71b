//! The two ways from a member to an inner service: [`Rewrite`] uses one client for all
//! members; with [`PerMember`], each member is a service.

mod target;
mod with_target;

use std::task::{Context, Poll};

use http::request::Parts;
use tower_service::Service;

pub use target::{PreserveHost, RequestError, Target};
#[cfg(feature = "proxy")]
pub(crate) use target::{host_of, join_cookies, under, without_user};
pub use with_target::{WithTarget, WithTargetFuture};

mod sealed {
    #[expect(unnameable_types, reason = "the trait is sealed")]
    pub trait Sealed {}

    impl<S> Sealed for super::Rewrite<S> {}
    impl Sealed for super::PerMember {}
}

/// How requests get to members: [`Rewrite`] or [`PerMember`].
///
/// # Examples
///
/// A function that takes either form:
///
/// ```
/// use equipoise::service::{BalanceService, Counted, Dispatch};
///
/// fn in_front<W, D, P, R>(service: BalanceService<W, D, P>) -> BalanceService<W, D, P>
/// where
///     D: Dispatch<W, R>,
/// {
///     service
/// }
/// # let balancer = equipoise::Balancer::<ByName>::builder().build().unwrap();
/// # let _ = in_front::<_, _, Counted, ()>(BalanceService::over(balancer));
/// # #[derive(Clone)] struct ByName;
/// # impl tower_service::Service<()> for ByName {
/// #     type Response = (); type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<(), Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> { Ok(()).into() }
/// #     fn call(&mut self, (): ()) -> Self::Future { std::future::ready(Ok(())) }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "a request cannot be sent to members of type `{W}`",
    note = "for `BalanceService::over`, a member must be `Clone` and a `Service` for `{Request}`",
    note = "for `BalanceLayer::layer`, a member must be a `Target`, and the client must be `Clone` and a `Service` for `{Request}`"
)]
pub trait Dispatch<W, Request>: sealed::Sealed {
    /// The service that is called.
    type Service: Service<Request>;
    /// What a request keeps of the service that was polled ready.
    #[doc(hidden)]
    type Held;

    /// Whether all members share one inner service.
    #[doc(hidden)]
    const SHARED: bool;

    /// Polls what has to be ready before a member is picked.
    #[doc(hidden)]
    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), <Self::Service as Service<Request>>::Error>>;

    /// Takes the service that was polled ready, and leaves a clone in its place.
    #[doc(hidden)]
    fn hold(&mut self) -> Self::Held;

    /// Releases the service that was polled ready while the request waits; the rest has to
    /// be polled again.
    #[doc(hidden)]
    fn release(held: Self::Held) -> Self::Held;

    /// Returns the service for the first attempt.
    #[doc(hidden)]
    fn first(held: Self::Held, member: &W) -> Self::Service;

    /// Returns the service for an attempt after another one has ended.
    #[doc(hidden)]
    fn after(used: Self::Service, member: &W) -> Self::Service;

    /// Returns the service for an attempt beside one that is still running.
    #[doc(hidden)]
    fn beside(busy: &Self::Service, member: &W) -> Self::Service;

    /// Rewrites the head of a request for the member.
    #[doc(hidden)]
    fn rewrite(member: &W, head: &mut Parts) -> Result<(), RequestError>;
}

/// One inner service for all members: each request is rewritten for its member by
/// [`Target`]. This is what a reverse proxy needs;
/// [`BalanceLayer`](crate::service::BalanceLayer) creates it.
///
/// # Examples
///
/// ```
/// use equipoise::service::{BalanceLayer, BalanceService, Rewrite};
/// use equipoise::{Balancer, service::Counted};
/// use http::Uri;
/// use tower_layer::Layer;
///
/// # #[derive(Clone)]
/// # struct Client;
/// let balancer = Balancer::new([("a", Uri::from_static("http://10.0.0.1"))])?;
/// let proxy: BalanceService<Uri, Rewrite<Client>, Counted> =
///     BalanceLayer::new(balancer).layer(Client);
/// # let _ = proxy;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rewrite<S> {
    inner: S,
}

impl<S> Rewrite<S> {
    pub(in crate::service) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<W, S, Request> Dispatch<W, Request> for Rewrite<S>
where
    W: Target,
    S: Service<Request> + Clone,
{
    type Service = S;
    type Held = S;

    const SHARED: bool = true;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn hold(&mut self) -> S {
        // The clone may not be ready: it stays here and is polled again.
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }

    fn release(held: S) -> S {
        held.clone()
    }

    fn first(held: S, _: &W) -> S {
        held
    }

    fn after(used: S, _: &W) -> S {
        used
    }

    fn beside(busy: &S, _: &W) -> S {
        busy.clone()
    }

    fn rewrite(member: &W, head: &mut Parts) -> Result<(), RequestError> {
        member.rewrite(head)
    }
}

/// Each member is a service, which is cloned for each request. This is what client-side
/// balancing needs; [`BalanceService::over`](crate::service::BalanceService::over) creates
/// it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerMember {
    _private: (),
}

impl<W, Request> Dispatch<W, Request> for PerMember
where
    W: Service<Request> + Clone,
{
    type Service = W;
    type Held = ();

    const SHARED: bool = false;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), W::Error>> {
        Poll::Ready(Ok(()))
    }

    fn hold(&mut self) {}

    fn release((): ()) {}

    fn first((): (), member: &W) -> W {
        member.clone()
    }

    fn after(_: W, member: &W) -> W {
        member.clone()
    }

    fn beside(_: &W, member: &W) -> W {
        member.clone()
    }

    fn rewrite(_: &W, _: &mut Parts) -> Result<(), RequestError> {
        Ok(())
    }
}
