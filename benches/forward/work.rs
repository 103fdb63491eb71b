//! What is forwarded: [`Work`], and how much of it: [`Extent`].

use std::time::Duration;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Work {
    /// One stream of 1 GiB
    Stream,
    /// Eight streams of 256 MiB at once
    Streams,
    /// 64 bytes there and back, again and again on 64 connections
    Exchanges,
    /// A new connection each: 64 bytes there and back
    Connections,
    /// Connections that are idle, 5 000 of them
    Idle,
    /// UDP: 64 bytes there and back, again and again from 64 ports
    Datagrams,
    /// UDP: 64 bytes there and back from a new port each
    Flows,
}

/// How much of a work is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) clients: usize,
    /// Of each stream.
    pub(crate) bytes: u64,
    /// Of what has no end by itself.
    pub(crate) time: Duration,
}

const MIB: u64 = 1024 * 1024;

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
            Self::Connections => "connections",
            Self::Idle => "idle",
            Self::Datagrams => "datagrams",
            Self::Flows => "flows",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Stream => "TCP: one stream of 1 GiB",
            Self::Streams => "TCP: eight streams of 256 MiB at once",
            Self::Exchanges => "TCP: 64 bytes there and back on 64 connections",
            Self::Connections => "TCP: a new connection for each 64 bytes there and back",
            Self::Idle => "TCP: idle connections",
            Self::Datagrams => "UDP: 64 bytes there and back from 64 ports",
            Self::Flows => "UDP: 64 bytes there and back from a new port each",
        }
    }

    pub(crate) const fn is_udp(self) -> bool {
        matches!(self, Self::Datagrams | Self::Flows)
    }

    /// What the load counts.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Stream | Self::Streams => "GiB",
            Self::Connections | Self::Idle => "connections",
            Self::Exchanges | Self::Datagrams | Self::Flows => "exchanges",
        }
    }

    /// What is compared, and so many units it is for.
    pub(crate) const fn cost(self) -> (&'static str, f64) {
        match self {
            Self::Stream | Self::Streams => ("CPU s per GiB", 1.0),
            Self::Exchanges => ("CPU µs per exchange", 1e6),
            Self::Connections => ("CPU s per 100 000 connections", 1e5),
            Self::Idle => ("bytes per connection", 1.0),
            Self::Datagrams | Self::Flows => ("CPU s per 100 000 exchanges", 1e5),
        }
    }

    /// What is measured. Of idle connections as many as descriptors allow.
    pub(crate) fn whole(self, time: Duration, descriptors: u64) -> Extent {
        let (clients, bytes) = match self {
            Self::Stream => (1, 1024 * MIB),
            Self::Streams => (8, 256 * MIB),
            Self::Exchanges | Self::Datagrams => (64, 0),
            Self::Connections | Self::Flows => (32, 0),
            Self::Idle => {
                // One for each client and one for its member, and HAProxy has pipes beside.
                let allowed = usize::try_from(descriptors / 3).unwrap_or(usize::MAX);
                (allowed.saturating_sub(500).clamp(8, 5_000), 0)
            }
        };
        Extent {
            clients,
            bytes,
            time,
        }
    }

    /// As little of it as shows that it goes, and warms up.
    pub(crate) fn part(self, time: Duration, descriptors: u64) -> Extent {
        let whole = self.whole(time, descriptors);
        Extent {
            clients: match self {
                Self::Idle => 8,
                _ => whole.clients,
            },
            bytes: whole.bytes.min(16 * MIB),
            time,
        }
    }
}
