//! Sessions that cannot stay with a member are told: by a check, to the observer, in a
//! configuration's complaints; and what is shared is explained.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use equipoise::balancer::events::EventKind;
use equipoise::service::{BalanceLayer, OpaqueKey, RouteCookie};
use equipoise::session::CookieRouteError;
use equipoise::{Balancer, Event, MemberSpec, Observer, PickRequest, StickySession};
use http::{Request, Response, Uri};
use http_body_util::Empty;
use tower::{Layer, ServiceExt, service_fn};

type Body = Empty<bytes::Bytes>;

#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<(String, CookieRouteError)>>>);

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        if let (EventKind::SessionNotKept { why }, Some(member)) = (event.kind, event.member) {
            let told = (member.name().to_owned(), why.clone());
            self.0.lock().unwrap().push(told);
        }
    }
}

impl Told {
    fn take(&self) -> Vec<(String, CookieRouteError)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn spec(route: &str) -> MemberSpec {
    MemberSpec::new().with_route(route)
}

fn balancer(told: &Told, members: &[(&'static str, &str)]) -> Balancer<Uri> {
    let uri = Uri::from_static("http://10.0.0.1");
    let members = members
        .iter()
        .map(|(name, route)| (*name, uri.clone(), spec(route)));
    let builder = Balancer::builder().observer(told.clone()).members(members);
    builder.build().unwrap()
}

fn sticky(balancer: &Balancer<Uri>, cookie: RouteCookie) -> BalanceLayer<Uri> {
    let session = StickySession::new("ROUTE").unwrap();
    BalanceLayer::new(balancer.clone()).sticky_with_cookie(session, cookie)
}

/// How many cookies so many requests got.
async fn cookies(layer: &BalanceLayer<Uri>, requests: usize) -> usize {
    let inner = service_fn(async |_: Request<_>| Ok::<_, Infallible>(Response::new(Body::new())));
    let service = layer.layer(inner);
    let mut cookies = 0;
    for _ in 0..requests {
        let answer = service
            .clone()
            .oneshot(Request::new(Body::new()))
            .await
            .unwrap();
        cookies += answer.headers().get_all("set-cookie").iter().count();
    }
    cookies
}

#[tokio::test]
async fn a_cookie_of_the_member_with_the_name_of_ours_is_passed_on_before_ours() {
    let told = Told::default();
    let layer = sticky(&balancer(&told, &[("a", "a")]), RouteCookie::new());
    let inner = service_fn(async |_: Request<_>| {
        let response = Response::builder().header("set-cookie", "ROUTE=its own");
        Ok::<_, Infallible>(response.body(Body::new()).unwrap())
    });
    let service = layer.layer(inner);
    for (presented, ours) in [("", true), ("ROUTE=.a", false)] {
        let request = Request::get("/").header("cookie", presented);
        let request = request.body(Body::new()).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let mut cookies = answer.headers().get_all("set-cookie").iter();
        assert_eq!(cookies.next().unwrap(), "ROUTE=its own");
        let added = cookies.next().map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(added.is_some_and(|it| it.starts_with("ROUTE=.a")), ours);
    }
}

#[tokio::test]
async fn a_member_without_a_route_under_our_cookie_is_told_when_it_is_built() {
    let told = Told::default();
    let balancer = balancer(&told, &[("a", "a"), ("b", "")]);
    let layer = sticky(&balancer, RouteCookie::new());
    let error = layer.check_sessions().unwrap_err();
    let named: Vec<_> = error.members().collect();
    assert_eq!(named, [("b", &CookieRouteError::NoRoute)]);
    assert_eq!(told.take(), [], "a check tells who asks, and no other");
    assert_eq!(cookies(&layer, 4).await, 2);
    assert_eq!(
        told.take(),
        [("b".to_owned(), CookieRouteError::NoRoute)],
        "and only once"
    );
}

#[tokio::test]
async fn a_route_that_cannot_be_in_a_cookie_is_told() {
    let told = Told::default();
    let long = "r".repeat(5_000);
    let members = [
        ("a", "a;b"),
        ("b", "a b"),
        ("c", "a,b"),
        ("d", &long),
        ("e", "a.b"),
    ];
    let layer = sticky(&balancer(&told, &members), RouteCookie::new());
    let error = layer.check_sessions().unwrap_err();
    let named: Vec<_> = error.members().map(|(name, _)| name).collect();
    assert_eq!(named, ["a", "b", "c", "d"]);
    assert!(
        error
            .to_string()
            .starts_with("sessions cannot be kept with member a: ';' cannot be in a cookie")
    );
    assert_eq!(
        cookies(&layer, 10).await,
        2,
        "those of `e`, whose dot does no harm"
    );
    assert_eq!(told.take().len(), 4);
}

#[tokio::test]
async fn a_member_that_joins_while_it_runs_is_told_as_well() {
    let told = Told::default();
    let balancer = balancer(&told, &[("a", "a")]);
    let layer = sticky(&balancer, RouteCookie::new());
    layer.check_sessions().unwrap();
    assert_eq!(cookies(&layer, 2).await, 2);
    assert_eq!(told.take(), []);
    balancer
        .insert("b", Uri::from_static("http://10.0.0.2"), MemberSpec::new())
        .unwrap();
    assert!(layer.check_sessions().is_err());
    cookies(&layer, 4).await;
    assert_eq!(told.take(), [("b".to_owned(), CookieRouteError::NoRoute)]);
}

#[tokio::test]
async fn any_route_can_be_in_an_opaque_cookie_and_none_is_asked_for_without_a_cookie_of_ours() {
    let told = Told::default();
    let all = balancer(&told, &[("a", "a;b"), ("b", "\u{e9}")]);
    let opaque = sticky(
        &all,
        RouteCookie::new().with_opaque_routes(OpaqueKey::new("now", &[7; 32])),
    );
    opaque.check_sessions().unwrap();
    assert_eq!(cookies(&opaque, 4).await, 4);
    let none = balancer(&told, &[("a", ""), ("b", "")]);
    let session = StickySession::new("ROUTE").unwrap();
    let layer = BalanceLayer::new(none).sticky(session);
    layer.check_sessions().unwrap();
    assert_eq!(cookies(&layer, 2).await, 0);
    assert_eq!(told.take(), []);
}

#[test]
fn two_members_with_one_route_are_explained() {
    let balancer = balancer(&Told::default(), &[("a", "r"), ("b", "r"), ("c", "s")]);
    let explanation = balancer.explain(&PickRequest::new().with_session(Some("r")));
    assert_eq!(explanation.shared_routes(), [("r", vec!["a", "b"])]);
    assert_eq!(&*explanation.picked().unwrap().name, "a");
    let said = explanation.to_string();
    let line =
        "  route \"r\" belongs to a, b: the first of them that can serve gets its sessions\n";
    assert!(said.ends_with(line), "{said}");
}

#[cfg(feature = "config")]
#[test]
fn a_configuration_says_with_which_members_no_session_stays() {
    let text = "<Proxy balancer://c>\n\
        BalancerMember http://a route=a\n\
        BalancerMember http://b\n\
        ProxySet stickysession=ROUTEID\n\
        </Proxy>\n\
        Header add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e\" env=BALANCER_ROUTE_CHANGED\n\
        ProxyPass / balancer://c/\n\
        ProxyPass /x balancer://c/x\n";
    let (_, complaints) = equipoise::config::parse(text);
    let said = |complaints: &[equipoise::config::Diagnostic]| {
        let kept = complaints
            .iter()
            .filter(|it| it.message.contains("cannot stay with"));
        kept.map(|it| it.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        said(&complaints),
        [
            "warning: sessions of balancer `c` cannot stay with `http://b`\n \
          --> configuration:7:13\n  |\n7 | ProxyPass / balancer://c/\n  |             ^^^^^^^^^^^^^\n  \
          = help: give each member a `route=..`, and let the value of its cookie end with it\n"
        ]
    );
    let odd = text.replace("http://b\n", "http://b route=a;b\n");
    let odd = said(&equipoise::config::parse(&odd).1);
    assert!(odd[0].contains("';' cannot be in a cookie"), "{odd:?}");
    let fine = text.replace("http://b\n", "http://b route=b\n");
    assert_eq!(said(&equipoise::config::parse(&fine).1), [""; 0]);
}
