//! What is asked for, by how many clients at once.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Work {
    /// 100 bytes, 64 connections
    Small,
    /// 10 kB, 64 connections
    Medium,
    /// 1 MB, 8 connections
    Large,
    /// 100 bytes, one connection
    Single,
}

impl Work {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Small => "100-byte responses, 64 connections",
            Self::Medium => "10 kB responses, 64 connections",
            Self::Large => "1 MB responses, 8 connections",
            Self::Single => "100-byte responses, one connection (latency)",
        }
    }

    pub(crate) const fn connections(self) -> usize {
        match self {
            Self::Small | Self::Medium => 64,
            Self::Large => 8,
            Self::Single => 1,
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Small | Self::Single => "/100",
            Self::Medium => "/10k",
            Self::Large => "/1m",
        }
    }

    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Small | Self::Single => 100,
            Self::Medium => 10_000,
            Self::Large => 1_000_000,
        }
    }
}
