//! The settings of a balanced service: [`BalanceLayer`]; and [`BalanceService::over`] for
//! the defaults. How errors are classified is in `errors.rs`.

mod errors;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

use crate::balancer::Balancer;
use crate::service::affinity::{BoxFacts, HttpAffinity, SessionsNotKept};
use crate::service::attempt::{HttpSettings, ServiceSettings};
use crate::service::failover::{ByCause, TimeLimits};
use crate::service::{
    BalanceService, Counted, Failover, HashKey, PerMember, Rewrite, RouteCookie, Target, Timeouts,
};
use crate::session::StickySession;
use crate::timer::Timer;

/// Puts a [`Balancer`] in front of a service: a tower [`Layer`], and the builder of
/// [`BalanceService`] in both of its forms.
///
/// * [`layer`](Layer::layer) takes one client for all members, which are addresses (see
///   [`Target`]): a reverse proxy.
/// * [`over_members`](Self::over_members) takes members that are services themselves:
///   client-side balancing.
///
/// `P` is the policy for request bodies (see [`RequestBody`](crate::service::RequestBody)).
///
/// # Examples
///
/// ```
/// use equipoise::service::{BalanceLayer, Failover};
/// use equipoise::{Balancer, StickySession};
/// use http::{StatusCode, Uri};
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower::ServiceBuilder;
///
/// let balancer = Balancer::new([
///     ("a", Uri::from_static("http://10.0.0.1:8080")),
///     ("b", Uri::from_static("http://10.0.0.2:8080")),
/// ])?;
/// let layer = BalanceLayer::new(balancer)
///     .sticky(StickySession::new("JSESSIONID|jsessionid")?)
///     .failover(Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]));
/// let proxy = ServiceBuilder::new()
///     .layer(layer)
///     .service(Client::builder(TokioExecutor::new()).build_http());
/// # fn hold<S: tower_service::Service<http::Request<axum::body::Body>>>(_: S) {}
/// # hold(proxy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct BalanceLayer<W, P = Counted> {
    balancer: Balancer<W>,
    settings: HttpSettings,
    bodies: P,
}

impl<W> BalanceLayer<W> {
    /// Creates a layer without sessions, with the default [`Failover`] and without time
    /// limits. A request waits without limit for a member that never becomes ready, unless
    /// [`timeouts`](Self::timeouts) sets a timer.
    pub fn new(balancer: Balancer<W>) -> Self {
        let common = ServiceSettings {
            failover: Failover::new(),
            classify: Arc::new(ByCause),
            time_limits: None,
            retries_same_member: false,
            reconnects: false,
            machine_first: cfg!(equipoise_machine_first),
        };
        Self {
            balancer,
            settings: HttpSettings {
                common,
                affinity: HttpAffinity::default(),
                extensions: true,
            },
            bodies: Counted::default(),
        }
    }
}

impl<W, P> BalanceLayer<W, P> {
    /// Turns sessions on: a request that presents the route of a member is sent to that
    /// member.
    pub fn sticky(mut self, session: StickySession) -> Self {
        self.settings.affinity = self.settings.affinity.with_sticky(session, None);
        self
    }

    /// Turns sessions on, like [`sticky`](Self::sticky), for members that set no cookie of
    /// their own: the balancer sets a cookie with the route.
    pub fn sticky_with_cookie(mut self, session: StickySession, cookie: RouteCookie) -> Self {
        self.settings.affinity = self.settings.affinity.with_sticky(session, Some(cookie));
        self
    }

    /// Checks that each current member has a route, and that the route can be in the cookie
    /// that the balancer sets.
    ///
    /// The services of this layer work in any case. They tell the
    /// [observers](crate::balancer::events::EventKind::SessionNotKept) about members that
    /// fail this check, including those that are added later. Without a [cookie of the
    /// balancer](Self::sticky_with_cookie) the check always succeeds, because the routes
    /// may be in cookies that members set.
    ///
    /// # Errors
    ///
    /// Lists the members that cannot keep sessions.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::{BalanceLayer, RouteCookie};
    /// use equipoise::{Balancer, MemberSpec, StickySession};
    /// use http::Uri;
    ///
    /// let balancer = Balancer::builder()
    ///     .member("a", Uri::from_static("http://10.0.0.1"), MemberSpec::new().with_route("a"))
    ///     .member("b", Uri::from_static("http://10.0.0.2"), MemberSpec::new())
    ///     .build()?;
    /// let layer = BalanceLayer::new(balancer)
    ///     .sticky_with_cookie(StickySession::new("ROUTE")?, RouteCookie::new());
    /// assert_eq!(
    ///     layer.check_sessions().unwrap_err().to_string(),
    ///     "sessions cannot be kept with member b: the member has no route: give it one"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_sessions(&self) -> Result<(), SessionsNotKept> {
        let found = self.settings.affinity.not_kept(&self.balancer);
        SessionsNotKept::of(found.iter().map(|(member, why)| (member.name(), why)))
    }

    /// Computes a hash key from the head of each request, for schedulers that send equal
    /// keys to the same member. [`hash_on`](Self::hash_on) is shorter for the usual keys. Of
    /// the two, the last call counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    /// use equipoise::stable_hash::hash_bytes;
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let layer = BalanceLayer::new(balancer)
    ///     .hash_by(|head| Some(hash_bytes(head.uri.path().as_bytes())));
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn hash_by(mut self, key: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.settings.affinity = self.settings.affinity.with_hash(Arc::new(key));
        self
    }

    /// Sets which part of a request is its hash key, for schedulers that send equal keys to
    /// the same member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::scheduler::Rendezvous;
    /// use equipoise::service::{BalanceLayer, HashKey};
    ///
    /// let balancer = Balancer::<http::Uri>::builder().scheduler(Rendezvous::new()).build()?;
    /// let layer = BalanceLayer::new(balancer)
    ///     .hash_on(HashKey::cookie("cart").or(HashKey::path().and(HashKey::query())));
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn hash_on(mut self, key: HashKey) -> Self {
        self.settings.affinity = self.settings.affinity.with_hash_key(key);
        self
    }

    /// Reads facts from the head of each request, for schedulers of your own that know
    /// their type; see [`PickContext::facts`](crate::scheduler::PickContext::facts).
    ///
    /// They are read once for each request. All its picks get the same facts, including
    /// those after a failure and those during a wait. If `read` returns `None`, the request
    /// has no facts.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::BalanceLayer;
    /// use http::request::Parts;
    ///
    /// /// What a scheduler gets by `context.facts::<Tenant>()`.
    /// #[derive(Clone)]
    /// struct Tenant(String);
    ///
    /// let balancer = Balancer::<http::Uri>::builder().build()?;
    /// let layer = BalanceLayer::new(balancer)
    ///     .facts_by(|head: &Parts| head.extensions.get::<Tenant>().cloned());
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn facts_by<T>(mut self, read: impl Fn(&Parts) -> Option<T> + Send + Sync + 'static) -> Self
    where
        T: Any + Send + Sync,
    {
        let read = move |head: &Parts| read(head).map(|facts| Box::new(facts) as BoxFacts);
        self.settings.affinity = self.settings.affinity.with_facts(Arc::new(read));
        self
    }

    /// Sets what happens when a member fails.
    pub fn failover(mut self, failover: Failover) -> Self {
        self.settings.common.failover = failover;
        self
    }

    /// Sets the time limits, and the timer that enforces them.
    pub fn timeouts(mut self, timer: impl Timer, timeouts: Timeouts) -> Self {
        let timer = Box::new(timer);
        self.settings.common.time_limits = Some(Arc::new(TimeLimits { timer, timeouts }));
        self
    }

    /// Sets the policy for request bodies; the default is [`Counted`].
    pub fn request_body<P2>(self, bodies: P2) -> BalanceLayer<W, P2> {
        BalanceLayer {
            balancer: self.balancer,
            settings: self.settings,
            bodies,
        }
    }

    /// Does not pass the extensions of requests to members, if copying them would be a
    /// waste.
    #[cfg(feature = "proxy")]
    pub(crate) fn without_extensions(mut self) -> Self {
        self.settings.extensions = false;
        self
    }

    /// Lets the state machine attend to requests from their beginning, which only those
    /// need that wait, fail or are hedged. Tests compare both ways.
    #[doc(hidden)]
    pub fn machine_first(mut self) -> Self {
        self.settings.common.machine_first = true;
        self
    }

    /// Creates the service for members that are services themselves.
    pub fn over_members(self) -> BalanceService<W, PerMember, P>
    where
        W: Clone,
    {
        let settings = self.settings;
        settings.affinity.report_not_kept(&self.balancer);
        BalanceService::new(self.balancer, settings, PerMember::default(), self.bodies)
    }
}

impl<W> BalanceService<W> {
    /// Balances over members that are services: client-side balancing with the defaults of
    /// [`BalanceLayer::new`]. Use [`BalanceLayer`] to change the settings.
    ///
    /// A member is cloned for each request, and the clone is polled ready. With a
    /// [`Timer`], this is limited to 5 s unless [`timeouts`](BalanceLayer::timeouts) sets
    /// another limit; without a timer, there is no limit.
    ///
    /// For requests with a body `B`, a member must be `Clone` and a
    /// `Service<Request<CountedBody<B>>>`. Its response must be a `Response` whose body
    /// implements `http_body::Body`, and its error must be `Into<BoxError>`. If one of these
    /// is missing, the compiler may only report that the trait bounds of `oneshot` were not
    /// satisfied. Write `ServiceExt::oneshot(service, request)` instead of
    /// `service.oneshot(request)`: the message then names the missing bound. Members that
    /// require another type of body can be wrapped in a conversion (see
    /// [`CountedBody`](crate::service::CountedBody)), or use
    /// [`PassThrough`](crate::service::PassThrough).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::{BalanceService, ServedBy};
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower::{ServiceExt, service_fn};
    ///
    /// let member = service_fn(|_| async { Ok::<_, Infallible>(Response::new(String::from("hi"))) });
    /// let balancer = Balancer::new([("a", member), ("b", member)])?;
    /// let service = BalanceService::over(balancer);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// for name in ["a", "b", "a"] {
    ///     let response = service.clone().oneshot(Request::new(String::new())).await.unwrap();
    ///     let served = response.extensions().get::<ServedBy>().unwrap();
    ///     assert_eq!(&*served.member, name);
    /// }
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// If the error of the members is a [`BoxError`](crate::service::BoxError), as with
    /// tower's `LoadShed`, `Timeout` and `Buffer`, use `ready` and `call` inside a spawned
    /// task. There, awaiting `oneshot` may not compile ("implementation of `From` is not
    /// general enough"), because the compiler loses the fact that the error is `'static`.
    /// tower's own `Timeout` over such a service has the same problem. Wrapping the whole
    /// service in a `BoxCloneService` also helps.
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::service::{BalanceService, BoxError, CountedBody};
    /// use http::{Request, Response};
    /// use tower::util::BoxCloneSyncService;
    /// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    ///
    /// type Member = BoxCloneSyncService<Request<CountedBody<String>>, Response<String>, BoxError>;
    ///
    /// let hello = |_| async { Ok::<_, std::io::Error>(Response::new(String::from("hi"))) };
    /// let member = ServiceBuilder::new()
    ///     .load_shed()
    ///     .concurrency_limit(100)
    ///     .service(service_fn(hello));
    /// let balancer = Balancer::new([("a", Member::new(member))])?;
    /// let mut service = BalanceService::over(balancer);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let task = tokio::spawn(async move {
    ///     let request = Request::new(String::from("hello"));
    ///     Ok::<_, BoxError>(service.ready().await?.call(request).await?.into_body())
    /// });
    /// # assert!(task.await.unwrap().is_ok());
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn over(balancer: Balancer<W>) -> Self
    where
        W: Clone,
    {
        BalanceLayer::new(balancer).over_members()
    }
}

impl<W, P, S> Layer<S> for BalanceLayer<W, P>
where
    W: Target,
    P: Clone,
    S: Clone,
{
    type Service = BalanceService<W, Rewrite<S>, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = self.settings.clone();
        settings.affinity.report_not_kept(&self.balancer);
        let dispatch = Rewrite::new(inner);
        BalanceService::new(
            self.balancer.clone(),
            settings,
            dispatch,
            self.bodies.clone(),
        )
    }
}

impl<W, P: Clone> Clone for BalanceLayer<W, P> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            settings: self.settings.clone(),
            bodies: self.bodies.clone(),
        }
    }
}

impl<W, P: fmt::Debug> fmt::Debug for BalanceLayer<W, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("balancer", &self.balancer)
            .field("settings", &self.settings)
            .field("bodies", &self.bodies)
            .finish()
    }
}
