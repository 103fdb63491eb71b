//! A gigabyte up and a gigabyte down, through a proxy whose memory stays small.

use equipoise::proxy::Endpoint;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::proxy::proxy;
use crate::site::{Site, Zeroes};

/// KiB that the proxy may have needed at most.
const MOST: u64 = 64 * 1024;

fn bytes() -> u64 {
    let told = std::env::var("EQUIPOISE_BODY_MIB");
    let mib: u64 = told.map_or(32, |told| told.parse().unwrap());
    mib * 1024 * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_any_size_pass_through_little_memory() {
    let site = Site::start();
    let (proxy, address) = proxy(&[site.address]);
    let client = Endpoint::new(format!("http://{address}").parse().unwrap()).unwrap();

    let request = Request::put("/").body(Zeroes::of(bytes())).unwrap();
    let response = client.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["x-read"], bytes().to_string().as_str());

    let request = Request::get(format!("/bytes/{}", bytes()));
    let request = request.body(Zeroes::of(0)).unwrap();
    let mut body = client.oneshot(request).await.unwrap().into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame
            .unwrap()
            .data_ref()
            .map_or(0, |data| data.len() as u64);
    }
    assert_eq!(read, bytes());

    let peak = proxy.memory("VmHWM");
    let used = proxy.seconds_used();
    let mib = bytes() >> 20;
    println!("{mib} MiB up and down: {used:.2} s of a processor, {peak} KiB at most");
    assert!(peak < MOST, "{peak} KiB");
}
