//! The proxy of this crate, made from a configuration of Apache's: the same as `peers` gives
//! to httpd, so far as it is about requests.

use std::fmt::Write as _;

use equipoise::config::{build, parse};
use equipoise::net::shutdown_signal;
use equipoise::service::BoxError;

use crate::proxy::Proxy;

/// Serves until the process is asked to stop.
pub(crate) async fn serve(place: &Proxy) -> Result<(), BoxError> {
    let mut text = format!("Listen {}\n<Proxy balancer://all>\n", place.listen);
    for upstream in &place.upstreams {
        writeln!(text, "BalancerMember http://{upstream}")?;
    }
    text.push_str("</Proxy>\nProxyPass / balancer://all/\n");
    build(parse(&text).0)?.serve(shutdown_signal()?).await;
    Ok(())
}
