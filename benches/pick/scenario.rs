//! What is measured: every combination, and the part of them that is measured unless
//! `EQUIPOISE_BENCH=full`.

use crate::fleet::{Method, Weights};
use crate::lanes::{self, Contender};
use crate::ours::{Ours, Use};
use crate::references::{
    Counter, DrawnFloor, EdfHeap, Floor, LeastScan, SharedIndex, SharedLine, SmoothScan,
};
use crate::tower_p2c::{Alone, Buffered};

/// Who is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Counter,
    DrawnFloor,
    EdfHeap,
    Floor,
    LeastScan,
    Ours(Method),
    SharedIndex,
    SharedLine,
    SmoothScan,
    TowerAlone,
    TowerBuffered,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) who: Who,
    pub(crate) weights: Weights,
    pub(crate) usage: Use,
    pub(crate) threads: usize,
    pub(crate) members: usize,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// What the targets speak of, and some more.
    Default,
    /// Every combination.
    Full,
    /// Each contender once, to see that it runs.
    Trial,
}

/// Threads that pick at once.
pub(crate) const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Leases that are held where leases are held.
const HELD: usize = 100;

impl Scenario {
    /// Equal weights, leases dropped at once, one thread.
    pub(crate) const fn plain(who: Who, members: usize) -> Self {
        Self {
            who,
            weights: Weights::Equal,
            usage: Use::AtOnce,
            threads: 1,
            members,
        }
    }

    pub(crate) const fn of_weights(self, weights: Weights) -> Self {
        Self { weights, ..self }
    }

    pub(crate) const fn on_two_threads(self) -> Self {
        Self { threads: 2, ..self }
    }

    pub(crate) const fn used(self, usage: Use) -> Self {
        Self { usage, ..self }
    }

    /// Whether it makes sense at all.
    fn is_possible(self) -> bool {
        let plain = self.weights == Weights::Equal && self.usage == Use::AtOnce;
        match self.who {
            Who::Ours(_) => self.threads == 1 || !matches!(self.usage, Use::Holding(_)),
            Who::EdfHeap | Who::SmoothScan => self.usage == Use::AtOnce,
            Who::Counter | Who::DrawnFloor | Who::Floor | Who::LeastScan | Who::SharedIndex => {
                plain
            }
            Who::SharedLine => {
                let is_crowded = lanes::is_crowded(self.threads);
                plain && self.threads > 1 && self.members == 10 && !is_crowded
            }
            Who::TowerAlone | Who::TowerBuffered => plain && self.threads == 1,
        }
    }

    fn belongs_to(self, extent: Extent) -> bool {
        let Self {
            who,
            weights,
            usage,
            threads,
            members,
        } = self;
        let at_ends = matches!(members, 10 | 10_000);
        let first = matches!(who, Who::Ours(method) if method.is_apache());
        let weighed = match who {
            Who::Ours(Method::LeastRequest | Method::Rotation | Method::WeightedRandom) => true,
            Who::Ours(Method::Maglev) | Who::EdfHeap => true,
            _ => first,
        };
        let sticky = first || matches!(who, Who::Ours(Method::Heartbeat | Method::Maglev));
        let compared = match who {
            Who::EdfHeap | Who::Floor | Who::SharedIndex | Who::SharedLine => true,
            _ => first,
        };
        // Its pick examines all members: once is enough.
        let is_scan = who == Who::Ours(Method::Rendezvous) && members == 10_000;
        let chosen = match (weights, usage, threads) {
            _ if is_scan => weights == Weights::Equal && usage == Use::AtOnce && threads == 1,
            (Weights::Equal, Use::AtOnce, 4..) => compared && at_ends,
            (_, _, 4..) => false,
            (Weights::Equal, Use::AtOnce, 1) => match members {
                2 => first || !who.is_ours(),
                100 => first || !who.is_ours() || who == Who::Ours(Method::Rendezvous),
                _ => true,
            },
            (Weights::Equal, Use::AtOnce, _) | (Weights::Equal, Use::HalfUnusable, 1) => at_ends,
            (Weights::Equal, Use::HalfUnusable, _) => members == 10_000,
            (Weights::Equal, Use::Sticky, _) => sticky && at_ends,
            (Weights::Ten, Use::AtOnce, 1) => weighed && at_ends,
            (Weights::All, Use::AtOnce, 1) => (first || who == Who::EdfHeap) && at_ends,
            (Weights::All, Use::AtOnce, _) => first && at_ends,
            (Weights::Equal | Weights::All, Use::Holding(_), 1) => {
                let busy = matches!(who, Who::Ours(Method::ByRequests | Method::ByBusyness));
                busy && at_ends
            }
            _ => false,
        };
        self.is_possible()
            && match extent {
                Extent::Default => chosen,
                Extent::Full => true,
                Extent::Trial => members == 10 && threads <= 4,
            }
    }

    /// Every scenario of an extent, those with the same floor together.
    pub(crate) fn all(extent: Extent) -> Vec<Self> {
        let mut all = Vec::new();
        for threads in THREADS {
            for members in [2, 10, 100, 1_000, 10_000] {
                for who in Who::all() {
                    for usage in Use::all(HELD) {
                        all.extend(Weights::ALL.map(|weights| Self {
                            who,
                            weights,
                            usage,
                            threads,
                            members,
                        }));
                    }
                }
            }
        }
        all.retain(|scenario| scenario.belongs_to(extent));
        all
    }

    /// The question that a group of benchmarks answers.
    pub(crate) fn group(self) -> String {
        let threads = match self.threads {
            1 => "1_thread".to_owned(),
            threads => format!("{threads}_threads"),
        };
        format!("pick_from_{}_members_on_{threads}", self.members)
    }

    /// What tells it apart from others of its group.
    pub(crate) fn label(self) -> String {
        let weights = match self.weights {
            Weights::All => ", all weights distinct",
            Weights::Equal => "",
            Weights::Ten => ", ten weights",
        };
        let usage = match self.usage {
            Use::AtOnce => String::new(),
            Use::HalfUnusable => ", half unusable".to_owned(),
            Use::Holding(held) => format!(", {held} held"),
            Use::Sticky => ", 90 % sticky".to_owned(),
        };
        format!("{}{weights}{usage}", self.who.name())
    }

    /// All that tells it apart, in words.
    pub(crate) fn question(self) -> String {
        let plural = if self.threads == 1 { "" } else { "s" };
        let (label, threads, members) = (self.label(), self.threads, self.members);
        format!("{label}, {threads} thread{plural}, n = {members}")
    }

    /// As [`label`](Self::label), fit for a command line.
    pub(crate) fn id(self) -> String {
        let label = self.label().to_lowercase();
        label.replace(", ", "-").replace(" %", "").replace(' ', "_")
    }

    pub(crate) fn build(self) -> Box<dyn Contender> {
        let count = self.members;
        match self.who {
            Who::Counter => Box::new(Counter::new(count)),
            Who::DrawnFloor => Box::new(DrawnFloor::new(count)),
            Who::EdfHeap => Box::new(EdfHeap::new(self.weights, count)),
            Who::Floor => Box::new(Floor::new(count)),
            Who::LeastScan => Box::new(LeastScan::new(count)),
            Who::Ours(method) => Box::new(Ours::new(method, self.weights, self.usage, count)),
            Who::SharedIndex => Box::new(SharedIndex::new(count)),
            Who::SharedLine => Box::new(SharedLine::default()),
            Who::SmoothScan => Box::new(SmoothScan::new(self.weights, count)),
            Who::TowerAlone => Box::new(Alone::new(count)),
            Who::TowerBuffered => Box::new(Buffered::new(count)),
        }
    }
}

impl Who {
    fn all() -> impl Iterator<Item = Self> {
        let ours = Method::ALL.map(Self::Ours);
        let references = [
            Self::DrawnFloor,
            Self::SharedLine,
            Self::SharedIndex,
            Self::EdfHeap,
            Self::Counter,
            Self::SmoothScan,
            Self::LeastScan,
            Self::TowerAlone,
            Self::TowerBuffered,
        ];
        [Self::Floor].into_iter().chain(ours).chain(references)
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Ours(_))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter modulo n",
            Self::DrawnFloor => "floor, members drawn",
            Self::EdfHeap => "EDF heap in a mutex",
            Self::Floor => "floor",
            Self::LeastScan => "least in flight by scan",
            Self::Ours(method) => method.name(),
            Self::SharedIndex => "shared index",
            Self::SharedLine => "one line handed over",
            Self::SmoothScan => "smooth WRR by scan",
            Self::TowerAlone => "tower p2c",
            Self::TowerBuffered => "tower p2c behind Buffer",
        }
    }
}
