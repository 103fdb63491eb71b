use equipoise::service::{BalanceLayer, RouteCookie};
use equipoise::{Balancer, MemberSpec, StickySession};
use http::Uri;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let balancer = Balancer::builder()
        .member(
            "a",
            Uri::from_static("http://10.0.0.1:8080"),
            MemberSpec::new().with_route("node1"),
        )
        .member(
            "b",
            Uri::from_static("http://10.0.0.2:8080"),
            MemberSpec::new().with_route("node2"),
        )
        .build()?;
    // The application's session: `JSESSIONID=8F3A.node2`, in a cookie or in the URL.
    let session = StickySession::new("JSESSIONID|jsessionid")?;
    let application = BalanceLayer::new(balancer.clone()).sticky(session);
    // A cookie that the balancer sets, for an application without a session.
    let own = BalanceLayer::new(balancer).sticky_with_cookie(
        StickySession::new("ROUTEID")?,
        RouteCookie::new().with_secure(),
    );
    println!("{application:?} {own:?}");
    Ok(())
}
