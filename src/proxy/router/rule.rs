//! Which requests: [`Rule`].
//!
//! Not here: where they go, which the router's builder is told.

use http::Method;
use http::header::HeaderName;
use ipnet::IpNet;

use super::condition::{HeaderMatch, RouteCondition, RouteConditions, Share};
use super::host::HostPattern;
use super::path::PathPattern;
use super::{RouterError, RuleError};
use crate::net::canonical;

/// Which requests go somewhere: conditions that must all hold, so that no request is for
/// a rule with two hosts (see [`any_of`](Self::any_of)). A rule without conditions is for
/// every request.
///
/// What is wrong with a condition is said when the router is built.
///
/// # Paths
///
/// What is sent on is the path as it came. A member may read `/%61dmin`, `//admin`,
/// `/./admin`, `/admin;v=1`, `/admin%2fx` or `/admin\x` as `/admin` or as below it, or may
/// not. A rule therefore holds if it does for *one* of the ways in which servers read the
/// path: with %-escapes resolved (an escaped slash is a slash to some), a backslash as
/// a slash, runs of slashes as one, with and without parameters of segments (`;v=1`), with
/// and without segments `.` and `..`. A regular expression sees these readings, and a rule's own
/// path is read the same way.
///
/// So a rule that denies or leads to where a login is needed is not got round by another
/// spelling, if it stands before those that grant more: put the stricter rule first. A path of
/// which this would not be true is refused with 400. Its readings lead to different rules, the
/// first of those leads to a service, and either the path climbs (`..`), or one of its readings
/// is a path that this rule [is not for](Self::unless).
///
/// Case counts, unless [`RouterBuilder::ignore_path_case`](super::RouterBuilder::ignore_path_case)
/// says otherwise. Queries and the values of cookies and headers are compared as they
/// stand in the request. What clients may do is still better decided by the services that know
/// what a path means.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Rule;
/// use http::Method;
///
/// // A tenth of those who read the shop's new pages, and all who have the cookie.
/// let canary = Rule::new()
///     .host("*.shop.example.com")
///     .path_prefix("/new")
///     .methods([Method::GET, Method::HEAD])
///     .any_of([
///         Rule::new().cookie_is("canary", "yes"),
///         Rule::new().percent(10.0),
///     ])
///     .unless(Rule::new().header_matches("user-agent", "(?i)bot"));
/// # let built = equipoise::proxy::Router::builder().service(canary, ()).build();
/// # assert!(built.is_ok());
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Rule {
    conditions: RouteConditions,
    /// The first one.
    fault: Option<RuleError>,
}

impl Rule {
    /// Creates a rule for every request.
    pub fn new() -> Self {
        Self::default()
    }

    /// For this host, in whatever case, and on any port; `*.example.com` is for every
    /// host below `example.com`, but not for itself.
    ///
    /// The host is the one in the request line, where HTTP/2 has it, or else in the
    /// `Host` header. A request with more than one such header is for no host.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let api = Rule::new().host("api.example.com");
    /// let tenants = Rule::new().host("*.tenants.example.com");
    /// let local = Rule::new().host("::1");
    /// # let _ = (api, tenants, local);
    /// ```
    pub fn host(self, host: &str) -> Self {
        self.with(HostPattern::parse(host).map(RouteCondition::Host))
    }

    /// For this path, and no other.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let rule = Rule::new().path("/robots.txt");
    /// # let _ = rule;
    /// ```
    pub fn path(self, path: &str) -> Self {
        self.with(PathPattern::exactly(path).map(RouteCondition::Path))
    }

    /// For this path and all below it: `/app` is for `/app`, `/app/` and `/app/x`, but
    /// not for `/application`. With a slash at its end, `/app/` is not for `/app`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let rule = Rule::new().path_prefix("/app");
    /// # let _ = rule;
    /// ```
    pub fn path_prefix(self, prefix: &str) -> Self {
        self.with(PathPattern::under(prefix).map(RouteCondition::Path))
    }

    /// For paths of this shape: `{id}` is one segment or the end of one, `{*rest}` all
    /// that follows, and neither is empty. A brace itself is written twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let orders = Rule::new().path_pattern("/users/{id}/orders");
    /// let files = Rule::new().path_pattern("/files/{*rest}");
    /// # let _ = (orders, files);
    /// ```
    pub fn path_pattern(self, pattern: &str) -> Self {
        self.with(PathPattern::shaped(pattern).map(RouteCondition::Path))
    }

    /// For paths in which this regular expression is found; `^` and `$` are for the
    /// whole of it. Matching takes time linear in the path.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let images = Rule::new().path_regex(r"\.(jpe?g|png|webp)$");
    /// # let _ = images;
    /// ```
    pub fn path_regex(self, regex: &str) -> Self {
        self.with(PathPattern::matching(regex).map(RouteCondition::Path))
    }

    /// For this method.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    /// use http::Method;
    ///
    /// let uploads = Rule::new().method(Method::PUT);
    /// # let _ = uploads;
    /// ```
    pub fn method(self, method: Method) -> Self {
        self.methods([method])
    }

    /// For any of these methods.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(listed(methods, "methods").map(RouteCondition::Methods))
    }

    /// For requests that have this header.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let signed = Rule::new().header("authorization");
    /// # let _ = signed;
    /// ```
    pub fn header(self, name: &str) -> Self {
        self.with_header(name, Ok(HeaderMatch::Anything))
    }

    /// For requests with a header of this name that is exactly this.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let ajax = Rule::new().header_is("x-requested-with", "XMLHttpRequest");
    /// # let _ = ajax;
    /// ```
    pub fn header_is(self, name: &str, value: &str) -> Self {
        self.with_header(name, HeaderMatch::equal(value))
    }

    /// For requests with a header of this name in which this regular expression is
    /// found.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let german = Rule::new().header_matches("accept-language", "^de\\b");
    /// # let _ = german;
    /// ```
    pub fn header_matches(self, name: &str, regex: &str) -> Self {
        self.with_header(name, HeaderMatch::matching(regex))
    }

    /// For requests that have this cookie, whatever it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let logged_in = Rule::new().cookie("session");
    /// # let _ = logged_in;
    /// ```
    pub fn cookie(self, name: &str) -> Self {
        self.with_cookie(name, None)
    }

    /// For requests that have this cookie with this value.
    pub fn cookie_is(self, name: &str, value: &str) -> Self {
        self.with_cookie(name, Some(value.into()))
    }

    /// For requests that have this parameter in their query, whatever it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let debugged = Rule::new().query("debug");
    /// # let _ = debugged;
    /// ```
    pub fn query(self, name: &str) -> Self {
        self.with_query(name, None)
    }

    /// For requests that have this parameter with this value in their query.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let second = Rule::new().query_is("api-version", "2");
    /// # let _ = second;
    /// ```
    pub fn query_is(self, name: &str, value: &str) -> Self {
        self.with_query(name, Some(value.into()))
    }

    /// For clients from these networks, by the [`ClientAddr`](crate::proxy::ClientAddr) of the
    /// request; one without is from nowhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let staff = Rule::new().client_in(["10.0.0.0/8".parse()?, "fd00::/8".parse()?]);
    /// # let _ = staff;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_in(self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        let networks = networks.into_iter().map(canonical);
        self.with(listed(networks, "networks").map(RouteCondition::ClientIn))
    }

    /// For this share of the requests for which all else holds, drawn for each of them.
    ///
    /// A client is not kept on one side by this: see [`any_of`](Self::any_of) for a
    /// cookie besides.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Rule;
    ///
    /// let canary = Rule::new().path_prefix("/app").percent(2.5);
    /// # let _ = canary;
    /// ```
    pub fn percent(self, percent: f64) -> Self {
        self.with(Share::percent(percent).map(RouteCondition::Share))
    }

    /// For requests for which one of these rules holds, too. They are asked in turn:
    /// hosts and paths in them are not found by an index, as those of the rule itself
    /// are.
    pub fn any_of(self, rules: impl IntoIterator<Item = Self>) -> Self {
        let rules = rules.into_iter().map(Self::conditions);
        let rules = rules.collect::<Result<Vec<_>, _>>();
        let rules = rules.and_then(|rules| listed(rules, "rules"));
        self.with(rules.map(RouteCondition::AnyOf))
    }

    /// For requests for which that other rule does not hold.
    pub fn unless(self, rule: Self) -> Self {
        self.with(rule.conditions().map(RouteCondition::Unless))
    }

    fn conditions(self) -> Result<RouteConditions, RuleError> {
        self.fault.map_or(Ok(self.conditions), Err)
    }

    fn with_header(self, name: &str, value: Result<HeaderMatch, RuleError>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| RuleError::Name {
            of: "header",
            text: name.to_owned(),
        });
        self.with(name.and_then(|name| {
            let value = value?;
            Ok(RouteCondition::Header { name, value })
        }))
    }

    fn with_cookie(self, name: &str, value: Option<Box<str>>) -> Self {
        let ends_it = |byte: u8| !byte.is_ascii_graphic() || b"=;,".contains(&byte);
        let name = named(name, "cookie", ends_it);
        self.with(name.map(|name| RouteCondition::Cookie { name, value }))
    }

    fn with_query(self, name: &str, value: Option<Box<str>>) -> Self {
        let ends_it = |byte: u8| !byte.is_ascii_graphic() || b"=&#".contains(&byte);
        let name = named(name, "parameter", ends_it);
        self.with(name.map(|name| RouteCondition::Query { name, value }))
    }

    fn with(mut self, condition: Result<RouteCondition, RuleError>) -> Self {
        match condition {
            Ok(condition) => self.conditions.push(condition),
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// What it asks for. Chance comes last, so that nothing is drawn for a request that is
    /// not meant, and the index does not change what is drawn.
    pub(super) fn checked(self, rule: usize) -> Result<RouteConditions, RouterError> {
        match self.fault {
            Some(fault) => Err(RouterError { rule, fault }),
            None => Ok(self.conditions.with_chance_last()),
        }
    }
}

fn listed<T>(items: impl IntoIterator<Item = T>, of: &'static str) -> Result<Box<[T]>, RuleError> {
    let items: Box<[T]> = items.into_iter().collect();
    if items.is_empty() {
        return Err(RuleError::Nothing { of });
    }
    Ok(items)
}

fn named(
    text: &str,
    of: &'static str,
    ends_it: impl Fn(u8) -> bool,
) -> Result<Box<str>, RuleError> {
    if text.is_empty() || text.bytes().any(ends_it) {
        let text = text.to_owned();
        return Err(RuleError::Name { of, text });
    }
    Ok(text.into())
}
