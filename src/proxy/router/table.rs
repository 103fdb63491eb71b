//! The service that applies rules in order: [`Router`].

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower_service::Service;

use super::condition::{RequestFacts, RouteConditions};
use super::index::Index;
use super::redirect::RedirectPlan;
use super::{Redirect, RouterError, RouterFuture, Rule, StaticResponse};
use crate::proxy::mapping::ResolvedReadings;
use crate::random::Random;
use crate::service::{PreferredFormat, ResponseBody};

/// A tower service that sends each request to the destination of the first rule that
/// matches it: one of your services, which all have one type `S`, a redirect, or a fixed
/// response. A request that matches no rule gets 404, unless you set a fallback.
///
/// It is always ready: a service is cloned for each request. If the clone is not ready at
/// once, the future waits for it. Errors of the services are passed on unchanged. Clones
/// share everything. To send a router to other threads, its services must be [`Sync`], as
/// tower's `BoxCloneSyncService` is.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{StaticResponse, Router, Rule};
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tower::ServiceExt;
/// use tower::util::BoxCloneSyncService;
///
/// type Group = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
///
/// // In a real application, a `BalanceService` each.
/// fn group(name: &'static str) -> Group {
///     Group::new(tower::service_fn(move |_| async move { Ok(Response::new(name.to_owned())) }))
/// }
///
/// let router = Router::builder()
///     .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
///     .service(Rule::new().host("api.example.com").path_prefix("/v1"), group("api"))
///     .service(Rule::new().cookie_is("canary", "yes"), group("canary"))
///     .fallback(group("pages"))
///     .build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
///
/// let request = Request::get("http://api.example.com/v1/users").body(String::new())?;
/// let response = router.oneshot(request).await?;
/// # use http_body_util::BodyExt;
/// assert_eq!(response.into_body().collect().await?.to_bytes(), "api");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Router<S> {
    table: Arc<RuleTable<S>>,
}

impl<S> Router<S> {
    /// Returns a builder, without rules.
    pub fn builder() -> RouterBuilder<S> {
        RouterBuilder {
            rules: Vec::new(),
            otherwise: RouteAction::Respond(StaticResponse::not_found()),
            random: Random::from_entropy(),
            ignores_case: false,
        }
    }
}

impl<S, B, RB> Service<Request<B>> for Router<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    B: 'static,
{
    type Response = Response<ResponseBody<RB>>;
    type Error = S::Error;
    type Future = RouterFuture<S, Request<B>>;

    /// Is always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let facts = RequestFacts::of(&request);
        let wanted = || PreferredFormat::by(request.method(), request.headers());
        let Ok(action) = self.table.action_of(&facts) else {
            let response = StaticResponse::ambiguous_path().to_response(wanted());
            return RouterFuture::responded(response);
        };
        let mut service = match action {
            RouteAction::Respond(response) => {
                return RouterFuture::responded(response.to_response(wanted()));
            }
            RouteAction::Redirect(plan) => {
                return RouterFuture::responded(plan.to_response(&facts, wanted()));
            }
            RouteAction::Service(service) => service.clone(),
        };
        // Most services are always ready. If this one is not, the future polls it again.
        let mut no_waker = Context::from_waker(Waker::noop());
        match service.poll_ready(&mut no_waker) {
            Poll::Ready(Ok(())) => RouterFuture::called(service.call(request)),
            Poll::Ready(Err(error)) => RouterFuture::failed(error),
            Poll::Pending => RouterFuture::chosen(service, request),
        }
    }
}

impl<S> Clone for Router<S> {
    fn clone(&self) -> Self {
        let table = self.table.clone();
        Self { table }
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("rules", &self.table.rules)
            .field("otherwise", &self.table.otherwise)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Router`] from rules, which are checked in the order in which they are added.
#[must_use]
pub struct RouterBuilder<S> {
    rules: Vec<(Rule, RouteAction<S, Redirect>)>,
    otherwise: RouteAction<S, Infallible>,
    random: Random,
    ignores_case: bool,
}

impl<S> RouterBuilder<S> {
    /// Sends requests that match this rule, and none before it, to a service.
    pub fn service(self, rule: Rule, service: S) -> Self {
        self.with(rule, RouteAction::Service(service))
    }

    /// Redirects requests that match this rule, and none before it.
    pub fn redirect(self, rule: Rule, redirect: Redirect) -> Self {
        self.with(rule, RouteAction::Redirect(redirect))
    }

    /// Responds to requests that match this rule, and none before it, with a fixed
    /// response.
    pub fn respond(self, rule: Rule, response: StaticResponse) -> Self {
        self.with(rule, RouteAction::Respond(response))
    }

    /// Sends requests that match no rule to a service.
    pub fn fallback(self, service: S) -> Self {
        Self {
            otherwise: RouteAction::Service(service),
            ..self
        }
    }

    /// Sets the response to requests that match no rule; by default 404 with a line of
    /// text.
    pub fn fallback_response(self, response: StaticResponse) -> Self {
        Self {
            otherwise: RouteAction::Respond(response),
            ..self
        }
    }

    /// Sets the random source of [`Rule::percent`], so that a test is reproducible.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{StaticResponse, Router, Rule};
    /// use equipoise::random::Random;
    ///
    /// let router = Router::<()>::builder()
    ///     .respond(Rule::new().percent(5.0), StaticResponse::text("new\n"))
    ///     .random(Random::seeded(7))
    ///     .build()?;
    /// # let _ = router;
    /// # Ok::<(), equipoise::proxy::RouterError>(())
    /// ```
    pub fn random(self, random: Random) -> Self {
        Self { random, ..self }
    }

    /// Compares the paths of all rules without regard to case, for members that treat
    /// `/Admin` and `/admin` alike, such as those on Windows.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{StaticResponse, Router, Rule};
    /// use http::{Request, StatusCode};
    /// # use http::Response;
    /// # use tower::{ServiceExt, util::BoxCloneSyncService};
    ///
    /// let router = Router::builder()
    ///     .ignore_path_case()
    ///     .respond(
    ///         Rule::new().path_prefix("/admin"),
    ///         StaticResponse::new(StatusCode::FORBIDDEN, "not from here\n"),
    ///     )
    ///     .build()?;
    /// # type Any = BoxCloneSyncService<Request<String>, Response<String>, std::convert::Infallible>;
    /// # let router: Router<Any> = router;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let response = router.oneshot(Request::get("/ADMIN/x").body(String::new())?).await?;
    /// assert_eq!(response.status(), 403);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ignore_path_case(self) -> Self {
        Self {
            ignores_case: true,
            ..self
        }
    }

    /// Creates the router.
    ///
    /// # Errors
    ///
    /// If a rule, a redirect or a response is not valid. The error names the rule, and how
    /// to correct it.
    pub fn build(self) -> Result<Router<S>, RouterError> {
        let mut index = Index::default();
        let mut rules = Vec::with_capacity(self.rules.len());
        let last = self.rules.len() + 1;
        for (position, (rule, action)) in self.rules.into_iter().enumerate() {
            let number = position + 1;
            let mut conditions = rule.checked(number)?;
            let faulty = |fault| RouterError {
                rule: number,
                fault,
            };
            if self.ignores_case {
                conditions = conditions.in_lower_case().map_err(faulty)?;
            }
            let action = match action {
                RouteAction::Respond(response) => {
                    RouteAction::Respond(response.checked().map_err(faulty)?)
                }
                RouteAction::Redirect(redirect) => {
                    RouteAction::Redirect(redirect.planned(conditions.prefix()).map_err(faulty)?)
                }
                RouteAction::Service(service) => RouteAction::Service(service),
            };
            index.insert(
                position,
                conditions.indexed_host(),
                conditions.indexed_path(),
            );
            rules.push((conditions, action));
        }
        let otherwise = match self.otherwise {
            RouteAction::Respond(response) => {
                let faulty = |fault| RouterError { rule: last, fault };
                RouteAction::Respond(response.checked().map_err(faulty)?)
            }
            RouteAction::Redirect(never) => match never {},
            RouteAction::Service(service) => RouteAction::Service(service),
        };
        let table = Arc::new(RuleTable {
            rules,
            index,
            otherwise,
            random: self.random,
            ignores_case: self.ignores_case,
        });
        Ok(Router { table })
    }

    fn with(mut self, rule: Rule, action: RouteAction<S, Redirect>) -> Self {
        self.rules.push((rule, action));
        self
    }
}

impl<S> fmt::Debug for RouterBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("rules", &self.rules)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}

/// The destination of a request.
enum RouteAction<S, R> {
    Respond(StaticResponse),
    Redirect(R),
    Service(S),
}

/// By hand, because most services are not `Debug`.
impl<S, R: fmt::Debug> fmt::Debug for RouteAction<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(response) => response.fmt(f),
            Self::Redirect(redirect) => redirect.fmt(f),
            Self::Service(_) => f.debug_struct("Service").finish_non_exhaustive(),
        }
    }
}

struct RuleTable<S> {
    rules: Vec<(RouteConditions, RouteAction<S, RedirectPlan>)>,
    index: Index,
    otherwise: RouteAction<S, RedirectPlan>,
    random: Random,
    ignores_case: bool,
}

/// The interpretations of a request's path match different rules, and it is not known which
/// rule is stricter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AmbiguousPath;

impl<S> RuleTable<S> {
    fn action_of(
        &self,
        facts: &RequestFacts<'_>,
    ) -> Result<&RouteAction<S, RedirectPlan>, AmbiguousPath> {
        let rule = self.find(facts, |facts| self.first(facts))?;
        let rule = rule.and_then(|rule| self.rules.get(rule));
        Ok(rule.map_or(&self.otherwise, |(_, action)| action))
    }

    /// Returns the index of the first rule that matches any interpretation of the path.
    /// `first` returns it for one interpretation.
    fn find(
        &self,
        facts: &RequestFacts<'_>,
        first: impl Fn(&RequestFacts<'_>) -> Option<usize>,
    ) -> Result<Option<usize>, AmbiguousPath> {
        let places = ResolvedReadings::of(facts.path());
        let found_at = |path: &str| self.read(facts, path, &first);
        if let Some(path) = places.only() {
            return Ok(found_at(path));
        }
        let mut found = places.all().map(found_at);
        let as_written = found.next().flatten();
        let (mut least, mut same) = (as_written, true);
        for other in found {
            same &= other == as_written;
            least = [least, other].into_iter().flatten().min();
        }
        let is_ambiguous =
            |(conditions, action): &(RouteConditions, RouteAction<S, RedirectPlan>)| {
                let excludes = |facts: &RequestFacts<'_>| conditions.exclude(facts, &self.random);
                let mut readings = places.all();
                matches!(action, RouteAction::Service(_))
                    && (places.climbs || readings.any(|path| self.read(facts, path, excludes)))
            };
        let found = least.and_then(|rule| self.rules.get(rule));
        if !same && found.is_some_and(is_ambiguous) {
            return Err(AmbiguousPath);
        }
        Ok(least)
    }

    /// Evaluates `ask` for one interpretation of the path.
    fn read<A>(
        &self,
        facts: &RequestFacts<'_>,
        path: &str,
        ask: impl Fn(&RequestFacts<'_>) -> A,
    ) -> A {
        if self.ignores_case && path.chars().any(char::is_uppercase) {
            return ask(&facts.read_as(&path.to_lowercase()));
        }
        ask(&facts.read_as(path))
    }

    /// Returns the first rule that matches one interpretation of the path.
    fn first(&self, facts: &RequestFacts<'_>) -> Option<usize> {
        let candidates = self.index.candidates(facts.host.as_deref(), facts.path());
        let mut candidates =
            candidates.filter_map(|number| Some((number, self.rules.get(number)?)));
        candidates
            .find(|(_, (conditions, _))| conditions.hold(facts, &self.random))
            .map(|(number, _)| number)
    }
}

#[cfg(test)]
impl<S> Router<S> {
    pub(super) fn found<B: 'static>(
        &self,
        request: &Request<B>,
    ) -> Result<Option<usize>, AmbiguousPath> {
        let facts = RequestFacts::of(request);
        self.table.find(&facts, |facts| self.table.first(facts))
    }

    /// The same by a linear search, as a reference for tests.
    pub(super) fn found_linearly<B: 'static>(
        &self,
        request: &Request<B>,
    ) -> Result<Option<usize>, AmbiguousPath> {
        let table = &self.table;
        table.find(&RequestFacts::of(request), |facts| {
            let holds =
                |(conditions, _): &(RouteConditions, _)| conditions.hold(facts, &table.random);
            table.rules.iter().position(holds)
        })
    }
}
