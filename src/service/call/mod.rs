//! Balancing for requests of any type: [`CallService`].
//!
//! Not here: the responses (`leased`), and what is kept of a request for another attempt
//! (`keep`).

mod keep;
mod leased;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

pub use keep::{CloneRequest, KeepRequest, NoRetry};
pub use leased::Leased;

use crate::balancer::{Balancer, Lease, PickRequest};
use crate::member::Outcome;
use crate::service::attempt::{
    Judgement, RequestAttempts, Served, ServiceExchange, ServiceSettings, Unsendable,
};
use crate::service::failover::{ByCause, TimeLimits};
use crate::service::{Affinity, BalanceError, BoxError, Classify, Failover, Timeouts};
use crate::timer::Timer;

impl<W> Balancer<W> {
    /// Creates a tower service for requests of any type `R`, for members that are services.
    /// A request waits without limit for a member that never becomes ready, unless
    /// [`timeouts`](CallService::timeouts) sets a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use std::convert::Infallible;
    /// use tower::{ServiceExt, service_fn};
    ///
    /// let double = service_fn(|number: u64| async move { Ok::<_, Infallible>(2 * number) });
    /// let balancer = Balancer::new([("a", double), ("b", double)])?;
    /// let service = balancer.clone().into_call_service();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let response = service.oneshot(21).await.unwrap();
    /// assert_eq!((*response, response.member().unwrap().name()), (42, "a"));
    /// assert_eq!(balancer.member("a").unwrap().in_flight(), 1, "as long as it lives");
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_call_service<R>(self) -> CallService<W, R>
    where
        W: Service<R> + Clone,
        W::Error: Into<BoxError>,
        R: 'static,
    {
        CallService {
            balancer: self,
            settings: CallSettings {
                common: ServiceSettings {
                    failover: Failover::new(),
                    classify: Arc::new(ByCause),
                    time_limits: None,
                    retries_same_member: false,
                    reconnects: false,
                    machine_first: cfg!(equipoise_machine_first),
                },
                affinity: None,
            }
            .into(),
            keep: NoRetry::default(),
        }
    }
}

/// A tower service that sends requests of type `R` to members that are services themselves.
/// `K` determines what is kept of a request for another attempt.
///
/// If a member is not ready, it has not received the request yet, so another member is
/// tried in any case.
pub struct CallService<W, R, K = NoRetry> {
    balancer: Balancer<W>,
    settings: Arc<CallSettings<R>>,
    keep: K,
}

struct CallSettings<R> {
    common: ServiceSettings,
    affinity: Option<Arc<dyn Affinity<R>>>,
}

impl<R> Clone for CallSettings<R> {
    fn clone(&self) -> Self {
        Self {
            common: self.common.clone(),
            affinity: self.affinity.clone(),
        }
    }
}

impl<W, R, K> CallService<W, R, K> {
    fn with(mut self, change: impl FnOnce(&mut CallSettings<R>)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Sets how a member is chosen by a request's session or key.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::Affinity;
    /// use equipoise::{Balancer, MemberSpec};
    /// use std::convert::Infallible;
    ///
    /// struct ByTenant;
    ///
    /// impl Affinity<(String, u64)> for ByTenant {
    ///     fn route<'r>(&self, request: &'r (String, u64)) -> Option<&'r str> {
    ///         Some(&request.0)
    ///     }
    /// }
    /// let member = tower::service_fn(|(tenant, id): (String, u64)| async move {
    ///     Ok::<_, Infallible>(format!("{tenant}/{id}"))
    /// });
    /// let balancer = Balancer::builder()
    ///     .member("a", member, MemberSpec::new().with_route("tenant-1"))
    ///     .build()?;
    /// let service = balancer.into_call_service().affinity(ByTenant);
    /// # let _ = service;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn affinity(self, affinity: impl Affinity<R>) -> Self {
        self.with(|settings| settings.affinity = Some(Arc::new(affinity)))
    }

    /// Sets what happens when a member fails; lists of statuses have no effect here.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::Failover;
    /// use std::convert::Infallible;
    ///
    /// let double = tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(2 * n) });
    /// let balancer = Balancer::new([("a", double)])?;
    /// let service = balancer
    ///     .into_call_service()
    ///     .failover(Failover::new().with_max_attempts(2));
    /// # let _ = service;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn failover(self, failover: Failover) -> Self {
        self.with(|settings| settings.common.failover = failover)
    }

    /// Sets how errors are classified.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::{Fault, cause};
    /// use std::convert::Infallible;
    /// use std::error::Error;
    ///
    /// let double = tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(2 * n) });
    /// let balancer = Balancer::new([("a", double)])?;
    /// let service = balancer
    ///     .into_call_service()
    ///     .classify(|error: &(dyn Error + 'static)| match cause::<std::fmt::Error>(error) {
    ///         Some(_) => Fault::NOTHING_SENT,
    ///         None => Fault::of(error),
    ///     });
    /// # let _ = service;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn classify(self, classify: impl Classify) -> Self {
        self.with(|settings| settings.common.classify = Arc::new(classify))
    }

    /// Sets the time limits, and the timer that enforces them.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use equipoise::Balancer;
    /// use equipoise::service::Timeouts;
    /// use equipoise::timer::TokioTimer;
    /// use std::convert::Infallible;
    ///
    /// let double = tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(2 * n) });
    /// let balancer = Balancer::new([("a", double)]).unwrap();
    /// let service = balancer
    ///     .into_call_service()
    ///     .timeouts(TokioTimer::new(), Timeouts::new());
    /// # let _ = service;
    /// # }
    /// ```
    #[must_use]
    pub fn timeouts(self, timer: impl Timer, timeouts: Timeouts) -> Self {
        let timer = Box::new(timer);
        let limits = Arc::new(TimeLimits { timer, timeouts });
        self.with(|settings| settings.common.time_limits = Some(limits))
    }

    /// Sets what is kept of a request for another attempt; by default nothing
    /// ([`NoRetry`]).
    #[must_use]
    pub fn keep<K2>(self, keep: K2) -> CallService<W, R, K2> {
        CallService {
            balancer: self.balancer,
            settings: self.settings,
            keep,
        }
    }

    /// Returns the balancer, to change its members while the service runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use std::convert::Infallible;
    ///
    /// let double = tower::service_fn(|n: u64| async move { Ok::<_, Infallible>(2 * n) });
    /// let balancer = Balancer::new([("a", double)])?;
    /// let service = balancer.into_call_service();
    /// assert_eq!(service.balancer().len(), 1);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn balancer(&self) -> &Balancer<W> {
        &self.balancer
    }
}

impl<W, R, K> Service<R> for CallService<W, R, K>
where
    W: Service<R> + Clone,
    W::Error: Into<BoxError>,
    R: 'static,
    K: KeepRequest<R>,
{
    type Response = Leased<W::Response>;
    type Error = BalanceError;
    type Future = CallFuture<W, R, K>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BalanceError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let exchange = CallExchange {
            balancer: self.balancer.clone(),
            settings: self.settings.clone(),
            idempotent: self.keep.is_idempotent(&request),
            request: Some(request),
            keep: self.keep.clone(),
        };
        CallFuture {
            attempts: RequestAttempts::start(exchange, ()),
        }
    }
}

impl<W, R, K: Clone> Clone for CallService<W, R, K> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            settings: self.settings.clone(),
            keep: self.keep.clone(),
        }
    }
}

impl<W, R, K: fmt::Debug> fmt::Debug for CallService<W, R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallService")
            .field("balancer", &self.balancer)
            .field("settings", &self.settings.common)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

struct CallExchange<W, R, K> {
    balancer: Balancer<W>,
    settings: Arc<CallSettings<R>>,
    request: Option<R>,
    idempotent: bool,
    keep: K,
}

impl<W, R, K> ServiceExchange<W> for CallExchange<W, R, K>
where
    W: Service<R> + Clone,
    W::Error: Into<BoxError>,
    R: 'static,
    K: KeepRequest<R>,
{
    type Request = R;
    type Service = W;
    type Response = W::Response;
    type Error = W::Error;
    type Held = ();
    type Output = Leased<W::Response>;

    const SHARED: bool = false;
    const RECONNECTS: bool = false;

    fn settings(&self) -> &ServiceSettings {
        &self.settings.common
    }

    fn balancer(&self) -> &Balancer<W> {
        &self.balancer
    }

    fn pick<T>(&mut self, then: impl FnOnce(&Balancer<W>, PickRequest<'_>) -> T) -> T {
        let mut pick = PickRequest::new();
        if let (Some(affinity), Some(request)) = (&self.settings.affinity, &self.request) {
            pick = pick.with_session(affinity.route(request));
            if let Some(hash) = affinity.hash(request) {
                pick = pick.with_hash(hash);
            }
            if let Some(facts) = affinity.facts(request) {
                pick = pick.with_any_facts(facts);
            }
        }
        then(&self.balancer, pick)
    }

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

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn is_available(&self) -> bool {
        self.request.is_some()
    }

    fn is_shareable(&self) -> bool {
        self.request.is_some()
    }

    fn request(&mut self, _: &mut Lease<W>, last: bool, _: bool) -> Result<R, Unsendable> {
        let copy = self.request.as_ref().filter(|_| !last);
        let copy = copy.and_then(|request| self.keep.copy(request));
        copy.or_else(|| self.request.take())
            .ok_or(Unsendable::BodyGone)
    }

    fn judge(&self, _: &W::Response) -> Judgement {
        Judgement {
            outcome: Outcome::Success,
            put_in_error: false,
            retry: false,
            status: None,
        }
    }

    fn respond(&mut self, served: Served<W::Response, W>) -> Leased<W::Response> {
        Leased::new(served.response, served.lease.into_guard())
    }
}

pin_project! {
    /// The future of one request through a [`CallService`].
    ///
    /// # Panics
    ///
    /// If it is polled again after it has completed.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CallFuture<W, R, K = NoRetry>
    where
        W: Service<R>,
    {
        #[pin]
        attempts: RequestAttempts<W, CallExchange<W, R, K>, W, W::Future, ()>,
    }
}

impl<W, R, K> Future for CallFuture<W, R, K>
where
    W: Service<R> + Clone,
    W::Error: Into<BoxError>,
    R: 'static,
    K: KeepRequest<R>,
{
    type Output = Result<Leased<W::Response>, BalanceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().attempts.poll_response(context)
    }
}

impl<W, R, K> fmt::Debug for CallFuture<W, R, K>
where
    W: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture")
            .field("attempts", &self.attempts)
            .finish()
    }
}
