//! This machine out of descriptors: no member is to blame for it.

use std::fs::File;
use std::process::Command;

use bytes::Bytes;
use equipoise::proxy::{Endpoint, ReverseProxy};
use equipoise::{Balancer, Flag};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;

use super::member::Member;
use super::within;

/// In the environment of a process that is to run out of descriptors.
const ROLE: &str = "EQUIPOISE_TEST_EXHAUSTED";

#[test]
fn a_connection_for_which_there_is_no_descriptor_puts_nobody_in_error() {
    let status = Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 64; exec \"$0\" --exact exhausted::role_exhausted --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, "1")
        .status();
    assert!(status.unwrap().success());
}

/// The process without descriptors; nothing unless it is that.
#[tokio::test]
async fn role_exhausted() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    within(async {
        let member = Member::telling().await;
        let port = member.address.port();
        let named = format!("http://localhost:{port}").parse().unwrap();
        let unknown = "http://nowhere.invalid".parse().unwrap();
        let socket = Endpoint::builder("http://app".parse().unwrap()).unix_socket("/none.sock");
        for endpoint in [
            member.endpoint().build().unwrap(),
            Endpoint::new(named).unwrap(),
            Endpoint::new(unknown).unwrap(),
            socket.build().unwrap(),
        ] {
            let balancer = Balancer::new([("a", endpoint)]).unwrap();
            let proxy = ReverseProxy::new(balancer.clone());
            let ask = || {
                let request = Request::get("/").header("host", "example.org");
                let request = request.body(Full::<Bytes>::default()).unwrap();
                proxy.clone().oneshot(request)
            };
            let all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            assert!(all.len() < 64);
            let answer = ask().await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            let state = balancer.member("a").unwrap();
            assert!(!state.status().contains(Flag::InError));
            assert_eq!(state.in_flight(), 0);
        }
    })
    .await;
}
