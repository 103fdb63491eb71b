//! The cases that a law is checked on: members, and the steps that follow.
//!
//! Not here: how a case is run (`course.rs`) and made smaller (`search.rs`).

use std::fmt;

use crate::member::{Flag, MemberSpec, Outcome, Weight};
use crate::random::Random;

/// Members and steps. Members are named `m0`, `m1` and so on.
#[derive(Clone, Debug)]
pub(super) struct LawCase {
    /// The seed of the random source that the scheduler draws from.
    pub(super) seed: u64,
    pub(super) members: Vec<LawMember>,
    /// Whether members join, leave and change before shares are measured.
    pub(super) changes: bool,
    pub(super) steps: Vec<LawStep>,
}

/// The settings of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LawMember {
    /// The weight in hundredths.
    pub(super) weight: u32,
    pub(super) cap: Option<u32>,
}

/// A step. Members are given by the number in their name.
#[derive(Clone, Debug)]
pub(super) enum LawStep {
    /// Time passes, in milliseconds.
    Advance(u64),
    Change(usize, LawMember),
    /// Asks for an explanation, and for the standings.
    Explain(Option<u64>),
    /// Ends one of the requests in flight; the number wraps around.
    End(usize, Outcome),
    Flag(usize, Flag, bool),
    Insert(usize, LawMember),
    Pick {
        key: Option<u64>,
        tried: Vec<usize>,
    },
    /// Whether plans are made. If not, picks use the last one, or none.
    Plans(bool),
    Remove(usize),
    /// Resets the scheduler.
    Reset,
    /// A session picks a member.
    Session(usize),
    /// The share of the weight that counts, in sixteenths.
    Thin(usize, u32),
}

/// What the cases of a law contain besides members, picks and ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LawMix {
    pub(super) caps: bool,
    pub(super) changes: bool,
    pub(super) keys: bool,
    pub(super) tried: bool,
    pub(super) weights: bool,
}

impl LawMix {
    pub(super) const ALL: Self = Self {
        caps: true,
        changes: true,
        keys: true,
        tried: true,
        weights: true,
    };
}

/// From here on a case has many members: about as many as a scheduler's way of keeping them
/// depends on.
const MANY: usize = 14;

const FLAGS: [Flag; 5] = [
    Flag::Disabled,
    Flag::Draining,
    Flag::HotSpare,
    Flag::HotStandby,
    Flag::InError,
];

impl LawMember {
    pub(super) const PLAIN: Self = Self {
        weight: 100,
        cap: None,
    };

    pub(super) fn spec(self) -> MemberSpec {
        // No weight of a case is out of range.
        let weight = Weight::from_hundredths(self.weight).unwrap_or_default();
        let spec = MemberSpec::new().with_weight(weight);
        match self.cap {
            Some(cap) => spec.with_max_in_flight(cap),
            None => spec.without_max_in_flight(),
        }
    }

    fn random(dice: &Dice, mix: LawMix) -> Self {
        // The last ones are the least and the greatest weight.
        let weights = [100, 100, 200, 300, 150, 700, 1, 6_553_500];
        Self {
            weight: if mix.weights {
                dice.one_of(&weights)
            } else {
                100
            },
            cap: (mix.caps && dice.below(2) == 0).then(|| dice.below32(3)),
        }
    }
}

impl LawCase {
    /// Makes up a case with up to `most` members, but at least 14 if those are more, and at
    /// most 1 + `steps` steps.
    pub(super) fn random(seed: u64, most: usize, steps: usize, mix: LawMix) -> Self {
        let dice = Dice(Random::seeded(seed));
        let fewest = if most < MANY { 1 } else { MANY };
        let members = fewest + dice.index(most + 1 - fewest);
        let steps = 1 + dice.index(1 + steps);
        let names = members + 2;
        Self {
            seed,
            changes: false,
            members: (0..members)
                .map(|_| LawMember::random(&dice, mix))
                .collect(),
            steps: (0..steps)
                .map(|_| LawStep::random(&dice, names, mix))
                .collect(),
        }
    }

    /// Makes up members with whole weights from 1 to `heaviest`, and no steps.
    pub(super) fn weighted(seed: u64, members: usize, heaviest: u32) -> Self {
        Self::with_weights(seed, members, |dice| 100 * (1 + dice.below32(heaviest)))
    }

    /// Makes up members with one of these weights each, in hundredths, and no steps.
    pub(super) fn weighted_from(seed: u64, members: usize, weights: &[u32]) -> Self {
        Self::with_weights(seed, members, |dice| dice.one_of(weights))
    }

    /// Members with these weights, in hundredths, and no steps.
    pub(super) fn weighing(seed: u64, weights: &[u32]) -> Self {
        let weights = weights.iter();
        let members = weights.map(|&weight| LawMember { weight, cap: None });
        Self {
            members: members.collect(),
            ..Self::plain(seed, 0)
        }
    }

    fn with_weights(seed: u64, members: usize, weight: impl Fn(&Dice) -> u32) -> Self {
        let dice = Dice(Random::seeded(seed));
        let member = |_| LawMember {
            weight: weight(&dice),
            cap: None,
        };
        Self {
            members: (0..members).map(member).collect(),
            ..Self::plain(seed, 0)
        }
    }

    /// Members without settings, and no steps.
    pub(super) fn plain(seed: u64, members: usize) -> Self {
        Self {
            seed,
            members: vec![LawMember::PLAIN; members],
            changes: false,
            steps: Vec::new(),
        }
    }

    /// The sum of the weights, in hundredths.
    pub(super) fn total(&self) -> u64 {
        self.members.iter().map(|one| u64::from(one.weight)).sum()
    }

    /// The number of picks after which exact shares by weight repeat.
    pub(super) fn period(&self) -> u64 {
        let mut divisor = 0;
        for member in &self.members {
            let mut weight = u64::from(member.weight);
            while weight > 0 {
                (divisor, weight) = (weight, divisor % weight);
            }
        }
        self.total() / divisor.max(1)
    }
}

impl LawStep {
    fn random(dice: &Dice, names: usize, mix: LawMix) -> Self {
        let member = dice.index(names);
        match dice.below(if mix.changes { 24 } else { 10 }) {
            0..=5 => {
                let tries = if mix.tried && dice.below(2) == 0 {
                    1 + dice.index(2)
                } else {
                    0
                };
                Self::Pick {
                    key: (mix.keys && dice.below(2) == 0).then(|| dice.0.next_u64()),
                    tried: (0..tries).map(|_| dice.index(names)).collect(),
                }
            }
            6..=8 => {
                let outcomes = [Outcome::Cancelled, Outcome::Failure, Outcome::Success];
                Self::End(dice.index(16), dice.one_of(&outcomes))
            }
            9 => Self::Advance(1 + dice.below(2_000)),
            10 | 11 => Self::Insert(member, LawMember::random(dice, mix)),
            12 => Self::Remove(member),
            13 => Self::Change(member, LawMember::random(dice, mix)),
            14 => Self::Thin(member, 1 + dice.below32(16)),
            15 => Self::Flag(member, dice.one_of(&FLAGS), true),
            16 | 17 => Self::Session(member),
            18 => Self::Explain((dice.below(2) == 0).then(|| dice.0.next_u64())),
            19 => Self::Plans(dice.below(2) == 0),
            20 if dice.below(4) == 0 => Self::Reset,
            _ => Self::Flag(member, dice.one_of(&FLAGS), false),
        }
    }
}

/// Random choices.
struct Dice(Random);

impl Dice {
    fn below(&self, end: u64) -> u64 {
        self.0.below(end)
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than `end`")]
    fn below32(&self, end: u32) -> u32 {
        self.0.below(end.into()) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than `end`")]
    fn index(&self, end: usize) -> usize {
        self.0.below(end as u64) as usize
    }

    fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

/// The name of a member.
pub(super) fn name(member: usize) -> String {
    format!("m{member}")
}

impl fmt::Display for LawMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.weight / 100, self.weight % 100);
        write!(f, "weight {whole}")?;
        if hundredths > 0 {
            write!(f, ".{hundredths:02}")?;
        }
        match self.cap {
            Some(cap) => write!(f, ", at most {cap} in flight"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LawStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advance(millis) => write!(f, "{millis} ms pass"),
            Self::Change(member, to) => write!(f, "change m{member}: {to}"),
            Self::Explain(None) => f.write_str("explain a pick"),
            Self::Explain(Some(key)) => write!(f, "explain a pick, key {key:#x}"),
            Self::Plans(true) => f.write_str("plans are made again"),
            Self::Plans(false) => f.write_str("no plan is made from here on"),
            Self::Reset => f.write_str("reset the scheduler"),
            Self::Session(member) => write!(f, "a session picks m{member}"),
            Self::End(_, outcome) => {
                let outcome = format!("{outcome:?}").to_lowercase();
                write!(f, "end a request: {outcome}")
            }
            Self::Flag(member, flag, true) => write!(f, "m{member} is {flag}"),
            Self::Flag(member, flag, false) => write!(f, "m{member} is not {flag}"),
            Self::Insert(member, it) => write!(f, "insert m{member}: {it}"),
            Self::Pick { key, tried } => {
                f.write_str("pick")?;
                if let Some(key) = key {
                    write!(f, ", key {key:#x}")?;
                }
                for (at, member) in tried.iter().enumerate() {
                    f.write_str(if at == 0 { ", tried " } else { " and " })?;
                    write!(f, "m{member}")?;
                }
                Ok(())
            }
            Self::Remove(member) => write!(f, "remove m{member}"),
            Self::Thin(member, sixteenths) => {
                write!(f, "{sixteenths}/16 of the weight of m{member} count")
            }
        }
    }
}
