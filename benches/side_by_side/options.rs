//! What a user may choose: [`Options`].

use std::fmt::Debug;

use clap::ValueEnum;

/// `C` are the contenders, `W` is what they have to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Options<C, W>
where
    C: Clone + Debug + Send + Sync + ValueEnum + 'static,
    W: Clone + Debug + Send + Sync + ValueEnum + 'static,
{
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// For how long, each time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// Which contenders; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<C>,
    /// At what; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    work: Vec<W>,
    /// What cargo says to a benchmark that is to measure.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

impl<C, W> Options<C, W>
where
    C: Copy + Debug + PartialEq + Send + Sync + ValueEnum + 'static,
    W: Copy + Debug + PartialEq + Send + Sync + ValueEnum + 'static,
{
    /// Whether to measure, and not only to try.
    pub(crate) const fn measures(&self) -> bool {
        self.bench
    }

    pub(crate) fn contenders(&self) -> Vec<C> {
        chosen(&self.only)
    }

    pub(crate) fn works(&self) -> Vec<W> {
        chosen(&self.work)
    }
}

fn chosen<T: Copy + PartialEq + ValueEnum>(only: &[T]) -> Vec<T> {
    let all = T::value_variants().iter().copied();
    all.filter(|it| only.is_empty() || only.contains(it))
        .collect()
}
