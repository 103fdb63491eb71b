//! Properties of any use of a table: it agrees with a naive implementation.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{StickTable, StickUse};
use crate::clock::ManualClock;

const MOST: usize = 4;
const EXPIRY: u64 = 10;

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Begin(u8, u8),
    Clear,
    End(usize),
    Find(u8),
    Forget(u8),
    Move(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..8_u8;
    let member = 0..3_u8;
    prop_oneof![
        3 => (0..6_u64).prop_map(Step::Advance),
        6 => (client.clone(), member.clone()).prop_map(|(it, to)| Step::Begin(it, to)),
        1 => Just(Step::Clear),
        6 => (0..8_usize).prop_map(Step::End),
        4 => client.clone().prop_map(Step::Find),
        1 => client.prop_map(Step::Forget),
        2 => (0..8_usize, member).prop_map(|(at, to)| Step::Move(at, to)),
    ]
}

/// All entries ordered by their last use, the oldest first.
#[derive(Default)]
struct Naive {
    entries: Vec<Row>,
    now: u64,
    next: u64,
}

#[derive(Clone)]
struct Row {
    client: u8,
    member: u8,
    used: u64,
    open: u32,
    number: u64,
}

impl Naive {
    fn live(&self, row: &Row) -> bool {
        row.open > 0 || self.now - row.used < EXPIRY
    }

    /// Removes and returns the entry of a client, if it has one.
    fn take(&mut self, client: u8) -> Option<Row> {
        let at = self.entries.iter().position(|row| row.client == client)?;
        let row = self.entries.remove(at);
        self.live(&row).then_some(row)
    }

    fn find(&mut self, client: u8) -> Option<u8> {
        let mut row = self.take(client)?;
        row.used = self.now;
        self.entries.push(row.clone());
        Some(row.member)
    }

    fn begin(&mut self, client: u8, member: u8) -> Option<u64> {
        let row = self.take(client);
        let mut row = match row {
            Some(row) => row,
            None => {
                let expired: Vec<u8> = self
                    .entries
                    .iter()
                    .filter(|row| !self.live(row))
                    .map(|row| row.client)
                    .collect();
                self.entries.retain(|row| !expired.contains(&row.client));
                if self.entries.len() >= MOST {
                    let idle = self.entries.iter().position(|row| row.open == 0)?;
                    self.entries.remove(idle);
                }
                self.next += 1;
                Row {
                    client,
                    member,
                    used: 0,
                    open: 0,
                    number: self.next,
                }
            }
        };
        row.open += 1;
        row.used = self.now;
        let number = row.number;
        self.entries.push(row);
        Some(number)
    }

    fn end(&mut self, number: u64) {
        if let Some(at) = self.entries.iter().position(|row| row.number == number) {
            let mut row = self.entries.remove(at);
            row.open -= 1;
            row.used = self.now;
            self.entries.push(row);
        }
    }

    fn row(&mut self, number: u64) -> Option<&mut Row> {
        self.entries.iter_mut().find(|row| row.number == number)
    }
}

fn address(client: u8) -> IpAddr {
    // Both families, and one client in two forms of its address.
    match client {
        0..4 => IpAddr::from([10, 0, 0, client]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(client)]),
    }
}

proptest! {
    #[test]
    fn a_table_agrees_with_a_naive_one(steps in vec(step(), 1..200)) {
        let clock = ManualClock::new();
        let table = StickTable::new(MOST)
            .with_expiry(Duration::from_secs(EXPIRY))
            .with_clock(clock.clone());
        let mut naive = Naive::default();
        let mut uses: Vec<(StickUse, Option<u64>)> = Vec::new();
        for step in steps {
            match step {
                Step::Advance(seconds) => {
                    clock.advance(Duration::from_secs(seconds));
                    naive.now += seconds;
                }
                Step::Begin(client, member) => {
                    let begun = table.stick(address(client), member.to_string());
                    uses.push((begun, naive.begin(client, member)));
                }
                Step::Clear => {
                    table.clear();
                    naive.entries.clear();
                    prop_assert!(table.is_empty());
                }
                Step::End(at) if !uses.is_empty() => {
                    let (ended, number) = uses.swap_remove(at % uses.len());
                    drop(ended);
                    naive.end(number.unwrap_or(0));
                }
                Step::Find(client) => {
                    let found = table.find(address(client));
                    let expected = naive.find(client).map(|it| it.to_string());
                    prop_assert_eq!(found.as_deref(), expected.as_deref());
                }
                Step::Forget(client) => {
                    let removed = table.remove(address(client));
                    let expected = naive.take(client).map(|it| it.member.to_string());
                    prop_assert_eq!(removed.as_deref(), expected.as_deref());
                }
                Step::Move(at, member) if !uses.is_empty() => {
                    let (used, number) = &uses[at % uses.len()];
                    used.move_to(member.to_string());
                    if let Some(row) = naive.row(number.unwrap_or(0)) {
                        row.member = member;
                    }
                }
                Step::End(_) | Step::Move(..) => {}
            }
            prop_assert!(table.len() <= MOST);
            for (used, number) in &uses {
                let expected = naive.row(number.unwrap_or(0)).map(|it| it.member.to_string());
                let member = used.member();
                prop_assert_eq!(member.as_deref(), expected.as_deref());
            }
            let live: HashSet<_> = naive
                .entries
                .iter()
                .filter(|row| naive.live(row))
                .map(|row| {
                    let idle = if row.open > 0 { 0 } else { naive.now - row.used };
                    (address(row.client), row.member.to_string(), row.open, idle)
                })
                .collect();
            let listed: HashSet<_> = table
                .entries()
                .map(|it| (it.client, it.member.to_string(), it.open, it.idle.as_secs()))
                .collect();
            prop_assert_eq!(listed, live);
        }
        drop(uses);
        prop_assert!(table.entries().all(|entry| entry.open == 0));
    }
}
