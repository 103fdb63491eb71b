//! Picks that are the same as those of a real HAProxy.

use std::fmt::Write;

use equipoise::scheduler::{Modulo, Ring, Scheduler};
use equipoise::stable_hash::{avalanche, crc32, djb2, sdbm};
use equipoise::{Balancer, Flag, MemberSpec, Weight};

use super::picked;
use super::servers::{Server, members, paths, within};

/// What is compared: settings of a backend, and what should be the same as they are.
struct Case {
    settings: &'static str,
    scheduler: Box<dyn Scheduler>,
    key: fn(&[u8]) -> u32,
    weights: &'static [u32],
    /// `id` of each server, if that is set.
    ids: &'static [Option<u32>],
    down: Option<usize>,
    /// What is asked for, which is also the value of the header `x-key`.
    paths: Vec<String>,
}

impl Case {
    fn new(settings: &'static str, scheduler: impl Scheduler, key: fn(&[u8]) -> u32) -> Self {
        Self {
            settings,
            scheduler: Box::new(scheduler),
            key,
            weights: &[1, 3, 2, 10, 1, 5],
            ids: &[None; 6],
            down: None,
            paths: paths(),
        }
    }

    async fn compare(self) {
        let members = members(self.weights.len()).await;
        let mut backend = format!(" {}\n", self.settings);
        let mut builder = Balancer::builder().scheduler(self.scheduler);
        let places = members.iter().zip(self.weights).zip(self.ids);
        for (at, ((member, &weight), id)) in places.enumerate() {
            let mut spec = MemberSpec::new().with_weight(Weight::new(weight).unwrap());
            write!(backend, " server s{at} {member} weight {weight}").unwrap();
            if let Some(id) = id {
                spec = spec.with_label("haproxy-id", id.to_string());
                write!(backend, " id {id}").unwrap();
            }
            if self.down == Some(at) {
                spec = spec.with_flag(Flag::Disabled);
                write!(backend, " disabled").unwrap();
            }
            backend.push('\n');
            builder = builder.member(member.to_string(), (), spec);
        }
        let balancer = builder.build().unwrap();
        let haproxy = Server::haproxy(&backend).await;
        let theirs = haproxy.answers(&self.paths).await;
        for (path, theirs) in self.paths.iter().zip(&theirs) {
            let key = (self.key)(path.as_bytes()).into();
            assert_eq!(&picked(&balancer, key, &[]), theirs, "{path}, {backend}");
        }
    }
}

fn mixed_sdbm(text: &[u8]) -> u32 {
    avalanche(sdbm(text))
}

/// The part of a header's value that counts.
fn sdbm_of_first_part(text: &[u8]) -> u32 {
    let mut is_quoted = false;
    let end = text.iter().position(|&byte| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    });
    sdbm(&text[..end.unwrap_or(text.len())])
}

fn sdbm_of_path(text: &[u8]) -> u32 {
    let host = "http://example.org".len();
    sdbm(&text[host..])
}

/// Absolute URIs, as a client of a proxy sends them.
fn absolute() -> Vec<String> {
    let absolute = |path: &String| format!("http://example.org{path}");
    paths().iter().map(absolute).collect()
}

/// Values of several parts.
fn listed() -> Vec<String> {
    let listed = |(number, path): (usize, &String)| match number % 3 {
        0 => format!("{path},second,{number}"),
        1 => format!("{path};q=1,{number}"),
        _ => format!("/\"{number},{number}\",second"),
    };
    paths().iter().enumerate().map(listed).collect()
}

fn mixed_djb2(text: &[u8]) -> u32 {
    avalanche(djb2(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs HAProxy"]
async fn a_map_picks_as_haproxy_does() {
    let by_path = || Case::new("balance uri\n hash-type map-based", Modulo::new(), sdbm);
    let cases = [
        by_path(),
        Case {
            weights: &[4; 6],
            ..by_path()
        },
        Case {
            weights: &[256, 100, 7, 1, 33, 12],
            ..by_path()
        },
        Case {
            down: Some(3),
            ..by_path()
        },
        Case {
            down: Some(0),
            ..by_path()
        },
        Case {
            weights: &[6, 4, 2, 3, 8, 10],
            down: Some(3),
            ..by_path()
        },
        Case::new(
            "balance hdr(x-key)\n hash-type map-based djb2 avalanche",
            Modulo::new(),
            mixed_djb2,
        ),
        Case {
            paths: absolute(),
            ..by_path()
        },
        Case {
            paths: absolute(),
            ..Case::new(
                "balance uri path-only\n hash-type map-based",
                Modulo::new(),
                sdbm_of_path,
            )
        },
        Case {
            paths: listed(),
            ..Case::new(
                "balance hdr(x-key)\n hash-type map-based",
                Modulo::new(),
                sdbm_of_first_part,
            )
        },
    ];
    for case in cases {
        within(case.compare()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs HAProxy"]
async fn a_ring_picks_as_haproxy_does() {
    let by_path = || {
        let settings = "balance uri\n hash-type consistent";
        let scheduler = Ring::haproxy_with_ids("haproxy-id");
        Case::new(settings, scheduler, mixed_sdbm)
    };
    let cases = [
        Case::new(
            "balance uri\n hash-type consistent",
            Ring::haproxy(),
            mixed_sdbm,
        ),
        Case {
            weights: &[256, 100, 7, 1, 33, 12],
            ..by_path()
        },
        Case {
            down: Some(3),
            ..by_path()
        },
        Case {
            down: Some(0),
            ..by_path()
        },
        Case {
            ids: &[None, Some(700), None, Some(2), None, Some(1_000_000_000)],
            down: Some(1),
            ..by_path()
        },
        Case {
            weights: &[5; 3],
            ids: &[Some(1), Some(1_048_577), Some(2)],
            ..by_path()
        },
        Case {
            weights: &[5; 4],
            ids: &[Some(2), Some(1_048_577), Some(1), Some(2_097_153)],
            down: Some(1),
            ..by_path()
        },
        Case::new(
            "balance hdr(x-key)\n hash-type consistent djb2 avalanche",
            Ring::haproxy(),
            mixed_djb2,
        ),
        Case::new(
            "balance uri\n hash-type consistent crc32",
            Ring::haproxy(),
            crc32,
        ),
        Case::new(
            "balance uri\n hash-type consistent sdbm",
            Ring::haproxy(),
            sdbm,
        ),
    ];
    for case in cases {
        within(case.compare()).await;
    }
}
