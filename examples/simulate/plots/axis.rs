//! Axes: a [`Scale`] from numbers to positions, and its round ticks.
//!
//! Not here: drawing.

/// From numbers to positions between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    Linear { from: f64, to: f64 },
    Log { from: f64, to: f64 },
}

impl Scale {
    /// A logarithmic scale from about the least to about the greatest of some numbers, with
    /// round ends. Numbers that are not above zero do not count.
    pub(crate) fn log(numbers: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = range(numbers.filter(|&it| it > 0.0));
        let (mut from, mut to) = (round_down(least), round_up(greatest));
        if from >= to {
            (from, to) = (from / 2.0, to * 2.0);
        }
        Self::Log { from, to }
    }

    /// A linear scale from 0 to a bit more than the greatest of some numbers.
    pub(crate) fn from_zero(numbers: impl Iterator<Item = f64>) -> Self {
        let (_, greatest) = range(numbers);
        let to = if greatest > 0.0 { greatest * 1.04 } else { 1.0 };
        Self::Linear { from: 0.0, to }
    }

    /// A linear scale from the least to the greatest of some numbers.
    pub(crate) fn exactly(numbers: impl Iterator<Item = f64>) -> Self {
        let (from, to) = range(numbers);
        Self::Linear {
            from,
            to: if to > from { to } else { from + 1.0 },
        }
    }

    /// A linear scale from about the least to about the greatest of some numbers.
    pub(crate) fn about(numbers: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = range(numbers);
        let step = round_up(((greatest - least) / 5.0).max(1e-3));
        Self::Linear {
            from: (least / step - 0.02).floor() * step,
            to: (greatest / step + 0.02).ceil() * step,
        }
    }

    /// Returns the position of a number: below 0 or above 1 if it is outside.
    pub(crate) fn place(self, number: f64) -> f64 {
        match self {
            Self::Linear { from, to } => (number - from) / (to - from),
            Self::Log { from, to } => {
                let number = number.max(from * 1e-3);
                (number / from).ln() / (to / from).ln()
            }
        }
    }

    /// Returns round numbers within the scale.
    pub(crate) fn ticks(self) -> Vec<f64> {
        let within = |&it: &f64| (-1e-9..=1.0 + 1e-9).contains(&self.place(it));
        match self {
            Self::Linear { from, to } => {
                let step = round_up((to - from) / 6.0);
                let first = (from / step).ceil();
                let all = (0..20).map(|at| (first + f64::from(at)) * step);
                all.filter(within).collect()
            }
            Self::Log { from, to } => {
                let decades = (to / from).log10();
                let steps: &[f64] = match decades {
                    few if few <= 2.2 => &[1.0, 2.0, 5.0],
                    some if some <= 3.3 => &[1.0, 3.0],
                    _ => &[1.0],
                };
                let first = from.log10().floor() as i32;
                let all = (0..=20).flat_map(|at| steps.iter().map(move |step| (at, step)));
                let all = all.map(|(at, step)| step * 10_f64.powi(first + at));
                all.filter(within).collect()
            }
        }
    }

    /// Returns numbers between the ticks, for fine lines.
    pub(crate) fn minor_ticks(self) -> Vec<f64> {
        let Self::Log { from, .. } = self else {
            return Vec::new();
        };
        let within = |&it: &f64| (0.0..=1.0).contains(&self.place(it));
        let first = from.log10().floor() as i32;
        let all = (0..=20).flat_map(|at| (1..10).map(move |step| (at, step)));
        let all = all.map(|(at, step)| f64::from(step) * 10_f64.powi(first + at));
        all.filter(within).collect()
    }
}

/// Returns the least and the greatest number; 1 and 1 if there is none.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (least, greatest) = numbers.fold(start, |(least, greatest), it| {
        (it.min(least), it.max(greatest))
    });
    if least.is_finite() && greatest.is_finite() {
        (least, greatest)
    } else {
        (1.0, 1.0)
    }
}

/// Returns the next of 1, 2, 5, 10, 20 and so on that is not below a number.
fn round_up(number: f64) -> f64 {
    let decade = 10_f64.powf(number.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    let up = steps.into_iter().find(|&it| it >= number * (1.0 - 1e-9));
    up.unwrap_or(10.0 * decade)
}

fn round_down(number: f64) -> f64 {
    let decade = 10_f64.powf(number.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * decade);
    let down = steps.into_iter().find(|&it| it <= number * (1.0 + 1e-9));
    down.unwrap_or(decade)
}
