//! The conditions of a route: [`Rule`].
//!
//! What does not live here: the destination of matching requests (see the router's
//! builder).

use http::Method;
use http::header::HeaderName;
use ipnet::IpNet;

use super::condition::{HeaderMatch, RouteCondition, RouteConditions, Share};
use super::host::HostPattern;
use super::path::PathPattern;
use super::{RouterError, RuleError};
use crate::net::canonical;

/// Selects requests by conditions, which must all hold. A rule with two hosts therefore
/// matches no request (see [`any_of`](Self::any_of)). A rule without conditions matches
/// every request.
///
/// Errors in conditions are reported when the router is built.
///
/// # Paths
///
/// The path is passed on as it arrived. A member may interpret `/%61dmin`, `//admin`,
/// `/./admin`, `/admin;v=1`, `/admin%2fx` or `/admin\x` as `/admin` or as a path below it.
/// A rule therefore matches if it matches *one* of the ways in which servers interpret the
/// path: with %-escapes resolved (some servers treat an escaped slash as a slash), with a
/// backslash as a slash, with runs of slashes merged, with and without parameters of
/// segments (`;v=1`), and with and without segments `.` and `..`. A regular expression is
/// applied to these interpretations, and a rule's own path is normalized in the same way.
///
/// A rule that denies access, or that leads to a service with a login, therefore cannot be
/// bypassed by another spelling if it comes before the rules that grant more: put the
/// stricter rule first. A path for which this does not hold is rejected with 400: its
/// interpretations match different rules, the first of those leads to a service, and either
/// the path contains `..`, or one of its interpretations is [excluded](Self::unless) by
/// this rule.
///
/// Paths are case-sensitive, unless
/// [`RouterBuilder::ignore_path_case`](super::RouterBuilder::ignore_path_case) is set.
/// Queries and the values of cookies and headers are compared as they are in the request.
/// Leave access control to the services where possible: they know the meaning of a path.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Rule;
/// use http::Method;
///
/// // A tenth of the requests for the shop's new pages, and all with the cookie.
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
    /// The first fault.
    fault: Option<RuleError>,
}

impl Rule {
    /// Creates a rule that matches every request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches requests for this host, in any case, and on any port. `*.example.com`
    /// matches every host below `example.com`, but not `example.com` itself.
    ///
    /// The host is the one in the request line, or the authority of HTTP/2, or else the one
    /// in the `Host` header. A request with more than one such header has no host.
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

    /// Matches exactly this path.
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

    /// Matches this path and all paths below it: `/app` matches `/app`, `/app/` and
    /// `/app/x`, but not `/application`. With a slash at its end, `/app/` does not match
    /// `/app`.
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

    /// Matches paths of this shape: `{id}` is one segment or the end of one, `{*rest}` is
    /// the rest of the path, and neither is empty. Write literal braces twice.
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

    /// Matches paths in which this regular expression is found. `^` and `$` are the ends of
    /// the path. Matching takes time linear in the length of the path.
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

    /// Matches requests with this method.
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

    /// Matches requests with any of these methods.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(listed(methods, "methods").map(RouteCondition::Methods))
    }

    /// Matches requests that have this header.
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

    /// Matches requests that have a header with this name and exactly this value.
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

    /// Matches requests that have a header with this name in whose value this regular
    /// expression is found.
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

    /// Matches requests that have this cookie, with any value.
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

    /// Matches requests that have this cookie with this value.
    pub fn cookie_is(self, name: &str, value: &str) -> Self {
        self.with_cookie(name, Some(value.into()))
    }

    /// Matches requests that have this parameter in their query, with any value.
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

    /// Matches requests that have this parameter with this value in their query.
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

    /// Matches requests from these networks, by the request's
    /// [`ClientAddr`](crate::proxy::ClientAddr). A request without one does not match.
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

    /// Matches this percentage of the requests for which all other conditions hold, drawn
    /// at random for each.
    ///
    /// A client does not stay on one side of the draw: to keep it there, combine this with
    /// a cookie by [`any_of`](Self::any_of).
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

    /// Matches requests that one of these rules matches, too. The rules are checked one by
    /// one: their hosts and paths are not indexed, unlike those of the rule itself.
    pub fn any_of(self, rules: impl IntoIterator<Item = Self>) -> Self {
        let rules = rules.into_iter().map(Self::conditions);
        let rules = rules.collect::<Result<Vec<_>, _>>();
        let rules = rules.and_then(|rules| listed(rules, "rules"));
        self.with(rules.map(RouteCondition::AnyOf))
    }

    /// Matches requests that the other rule does not match.
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
        let is_delimiter = |byte: u8| !byte.is_ascii_graphic() || b"=;,".contains(&byte);
        let name = named(name, "cookie", is_delimiter);
        self.with(name.map(|name| RouteCondition::Cookie { name, value }))
    }

    fn with_query(self, name: &str, value: Option<Box<str>>) -> Self {
        let is_delimiter = |byte: u8| !byte.is_ascii_graphic() || b"=&#".contains(&byte);
        let name = named(name, "parameter", is_delimiter);
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

    /// Returns the conditions. The random one comes last, so that nothing is drawn for a
    /// request that does not match otherwise, and the index does not change what is drawn.
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
    is_delimiter: impl Fn(u8) -> bool,
) -> Result<Box<str>, RuleError> {
    if text.is_empty() || text.bytes().any(is_delimiter) {
        let text = text.to_owned();
        return Err(RuleError::Name { of, text });
    }
    Ok(text.into())
}
