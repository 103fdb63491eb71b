//! Picks that are the same as those of a real nginx.

use std::fmt::Write;
use std::net::SocketAddr;

use equipoise::scheduler::{Modulo, Ring, Scheduler};
use equipoise::stable_hash::crc32_with_length;
use equipoise::{Balancer, Flag};

use super::servers::{Server, folder, member_at, members, paths, unix_member, unused, within};
use super::{balancer, picked};

const WEIGHTS: [u32; 6] = [1, 3, 2, 10, 1, 5];

fn upstream(
    hash: &str,
    members: &[SocketAddr],
    parameters: impl Fn(usize) -> &'static str,
) -> String {
    let mut text = format!("{hash};");
    for (at, (member, weight)) in members.iter().zip(WEIGHTS).enumerate() {
        write!(text, " server {member} weight={weight} {};", parameters(at)).unwrap();
    }
    text
}

fn ours(scheduler: impl Scheduler, members: &[SocketAddr]) -> Balancer<()> {
    let names = members.iter().map(ToString::to_string);
    balancer(scheduler, names.zip(WEIGHTS))
}

fn assert_alike(ours: impl Fn(u64) -> String, theirs: &[String], paths: &[String]) {
    for (path, theirs) in paths.iter().zip(theirs) {
        assert_eq!(&ours(crc32_with_length(path.as_bytes())), theirs, "{path}");
    }
}

/// All members serve, then one is down.
async fn is_alike(hash: &str, scheduler: impl Fn() -> Box<dyn Scheduler>) {
    let (members, paths) = (members(WEIGHTS.len()).await, paths());
    let nginx = Server::nginx(&upstream(hash, &members, |_| "")).await;
    let balancer = ours(scheduler(), &members);
    let theirs = nginx.answers(&paths).await;
    assert_alike(|key| picked(&balancer, key, &[]), &theirs, &paths);

    for down in [1, 3] {
        let parameters = |at| if at == down { "down" } else { "" };
        let nginx = Server::nginx(&upstream(hash, &members, parameters)).await;
        let balancer = ours(scheduler(), &members);
        let name = members[down].to_string();
        balancer.set_flag(&name, Flag::Disabled).unwrap();
        let theirs = nginx.answers(&paths).await;
        assert!(!theirs.contains(&name));
        assert_alike(|key| picked(&balancer, key, &[]), &theirs, &paths);
    }
}

/// A member refuses connections, and nginx sends its requests to others.
async fn fails_over_alike(hash: &str, scheduler: impl Scheduler) {
    let mut members = members(WEIGHTS.len()).await;
    members[2] = unused().await;
    let paths = paths();
    let nginx = Server::nginx(&upstream(hash, &members, |_| "max_fails=0")).await;
    let balancer = ours(scheduler, &members);
    let failed = balancer.member(&members[2].to_string()).unwrap().id();
    let theirs = nginx.answers(&paths).await;
    assert_alike(|key| picked(&balancer, key, &[failed]), &theirs, &paths);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn a_ring_picks_as_nginx_does() {
    within(is_alike("hash $uri consistent", || Box::new(Ring::nginx()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn a_ring_fails_over_as_nginx_does() {
    within(fails_over_alike("hash $uri consistent", Ring::nginx())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn a_remainder_picks_as_nginx_does() {
    within(is_alike("hash $uri", || Box::new(Modulo::nginx()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn a_remainder_fails_over_as_nginx_does() {
    within(fails_over_alike("hash $uri", Modulo::nginx())).await;
}

/// Members whose names have no port or are paths. The port 80 is for privileged users only: for
/// others, that member is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn a_ring_divides_names_into_host_and_port_as_nginx_does() {
    within(async {
        let paths = paths();
        let mut names = vec![members(1).await[0].to_string()];
        names.extend(member_at("127.0.77.1:80", "127.0.77.1").await);
        let folder = folder();
        for file in ["socket", "socket:81"] {
            let name = format!("unix:{}/{file}", folder.display());
            unix_member(&folder.join(file), &name);
            names.push(name);
        }
        let mut upstream = "hash $uri consistent;".to_owned();
        for name in &names {
            write!(upstream, " server '{name}';").unwrap();
        }
        let members = names.iter().map(|name| (name.clone(), 1));
        let balancer = balancer(Ring::nginx(), members);
        let theirs = Server::nginx(&upstream).await.answers(&paths).await;
        for name in &names {
            assert!(theirs.contains(name), "{name}");
        }
        assert_alike(|key| picked(&balancer, key, &[]), &theirs, &paths);
        std::fs::remove_dir_all(folder).unwrap();
    })
    .await;
}
