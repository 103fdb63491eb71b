//! What does a connection of a client cost in a stick table, and how many bytes does an entry
//! take?
//!
//! `cargo bench --bench stick_table`. It counts bytes with an allocator of its own; what is timed
//! allocates nothing.

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use allocation_counter::measure;
use equipoise::session::StickTable;

mod timing;

use timing::fastest;

/// So many operations are timed together: short enough to pass without an interruption.
const ROUND: u32 = 5_000;

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[u32] = if measuring {
        &[1_000, 1_000_000]
    } else {
        &[100]
    };
    println!(
        "| entries | find, hit | find, miss | stick and end, hit | new client for the oldest | bytes an entry |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    for &size in sizes {
        let member: Arc<str> = "node-1".into();
        let mut filled = None;
        let info = measure(|| {
            let table = StickTable::new(size as usize);
            for number in 0..size {
                drop(table.stick(address(number), member.clone()));
            }
            filled = Some(table);
        });
        let Some(table) = filled else {
            continue;
        };
        let hit = fastest(ROUND, |turn| {
            black_box(table.find(known(turn, size)));
        });
        let miss = fastest(ROUND, |turn| {
            black_box(table.find(address(size + turn)));
        });
        let stick = fastest(ROUND, |turn| {
            drop(table.stick(known(turn, size), member.clone()));
        });
        let mut next = size;
        let new = fastest(ROUND, |_| {
            next += 1;
            drop(table.stick(address(next), member.clone()));
        });
        assert_eq!(table.len(), size as usize);
        let bytes = info.bytes_current as f64 / f64::from(size);
        println!(
            "| {size} | {hit:.0} ns | {miss:.0} ns | {stick:.0} ns | {new:.0} ns | {bytes:.0} |"
        );
    }
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000_u32.wrapping_add(number)).into()
}

/// One of those that are there, in no order that a cache would like.
fn known(turn: u32, size: u32) -> IpAddr {
    address(turn.wrapping_mul(0x9e37_79b1) % size)
}
