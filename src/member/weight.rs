//! A member's share of the work: [`Weight`] and [`EffectiveWeight`].

use std::fmt;
use std::str::FromStr;

/// A member's share relative to the others, in exact hundredths from 0.01 to 65 535
/// (Apache: `loadfactor`, there 1 to 100).
///
/// Weights are relative: 25 : 25 is the same as 1 : 1. There is no weight 0: drain or
/// disable a member that must get no requests.
///
/// # Examples
///
/// ```
/// use equipoise::{Weight, WeightError};
///
/// assert_eq!(Weight::new(3)?.to_string(), "3");
/// assert_eq!("2.25".parse::<Weight>()?.hundredths(), 225);
/// assert_eq!(Weight::new(0), Err(WeightError::OutOfRange));
/// assert_eq!(Weight::try_from(f64::NAN), Err(WeightError::NotANumber));
/// # Ok::<(), WeightError>(())
/// ```
#[doc(alias = "lbfactor")]
#[doc(alias = "loadfactor")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(u32);

impl Weight {
    /// The default weight: 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{MemberSpec, Weight};
    ///
    /// assert_eq!(MemberSpec::new().weight(), Weight::ONE);
    /// ```
    pub const ONE: Self = Self(100);
    /// The smallest weight: 0.01.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Weight;
    ///
    /// assert_eq!("0.01".parse(), Ok(Weight::MIN));
    /// ```
    pub const MIN: Self = Self(1);
    /// The greatest weight: 65 535.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Weight;
    ///
    /// assert_eq!(Weight::new(65_535), Ok(Weight::MAX));
    /// ```
    pub const MAX: Self = Self(6_553_500);

    /// Creates a weight from a whole number.
    ///
    /// # Errors
    ///
    /// [`WeightError::OutOfRange`] for 0 and for more than 65 535.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Weight, WeightError};
    ///
    /// assert!(Weight::new(3)? > Weight::new(2)?);
    /// assert_eq!(Weight::new(65_536), Err(WeightError::OutOfRange));
    /// # Ok::<(), equipoise::WeightError>(())
    /// ```
    pub const fn new(whole: u32) -> Result<Self, WeightError> {
        match whole.checked_mul(100) {
            Some(hundredths) => Self::from_hundredths(hundredths),
            None => Err(WeightError::OutOfRange),
        }
    }

    /// Creates a weight from hundredths: 150 is 1.5.
    ///
    /// # Errors
    ///
    /// [`WeightError::OutOfRange`] for 0 and for more than 6 553 500.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Weight;
    ///
    /// assert_eq!(Weight::from_hundredths(150)?, "1.5".parse()?);
    /// # Ok::<(), equipoise::WeightError>(())
    /// ```
    pub const fn from_hundredths(hundredths: u32) -> Result<Self, WeightError> {
        if hundredths >= Self::MIN.0 && hundredths <= Self::MAX.0 {
            Ok(Self(hundredths))
        } else {
            Err(WeightError::OutOfRange)
        }
    }

    /// Returns the weight in hundredths.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Weight;
    ///
    /// assert_eq!(Weight::new(3)?.hundredths(), 300);
    /// # Ok::<(), equipoise::WeightError>(())
    /// ```
    #[must_use]
    pub const fn hundredths(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match rest {
            0 => format!("{whole}"),
            _ if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
            _ => format!("{whole}.{rest:02}"),
        };
        f.pad(&text)
    }
}

impl TryFrom<f64> for Weight {
    type Error = WeightError;

    /// Converts a number that is a whole number of hundredths, apart from the rounding of
    /// binary fractions: 1.15 becomes 115 hundredths, 1.155 is an error.
    ///
    /// # Errors
    ///
    /// [`WeightError`] gives the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Weight, WeightError};
    ///
    /// assert_eq!(Weight::try_from(1.15)?.hundredths(), 115);
    /// assert_eq!(Weight::try_from(1.155), Err(WeightError::TooFine));
    /// # Ok::<(), WeightError>(())
    /// ```
    fn try_from(value: f64) -> Result<Self, WeightError> {
        if value.is_nan() {
            return Err(WeightError::NotANumber);
        }
        let hundredths = (value * 100.0).round();
        if !(f64::from(Self::MIN.0)..=f64::from(Self::MAX.0)).contains(&hundredths) {
            return Err(WeightError::OutOfRange);
        }
        if (value * 100.0 - hundredths).abs() > 1e-6 {
            return Err(WeightError::TooFine);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number within the range, checked above"
        )]
        Ok(Self(hundredths as u32))
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    /// Parses a number such as `3` or `2.25`; spaces around it are ignored.
    ///
    /// # Errors
    ///
    /// [`WeightError`] gives the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Weight, WeightError};
    ///
    /// assert_eq!("2.25".parse::<Weight>()?.to_string(), "2.25");
    /// assert_eq!("heavy".parse::<Weight>(), Err(WeightError::NotANumber));
    /// # Ok::<(), WeightError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, WeightError> {
        let value: f64 = text.trim().parse().map_err(|_| WeightError::NotANumber)?;
        Self::try_from(value)
    }
}

/// The reason why a number or text is not a [`Weight`].
///
/// # Examples
///
/// ```
/// use equipoise::{Weight, WeightError};
///
/// assert_eq!(Weight::try_from(1e300), Err(WeightError::OutOfRange));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The text or the value is not a number.
    #[error("a weight must be a number, such as 1 or 2.5")]
    NotANumber,
    /// The number is below 0.01 or above 65 535.
    #[error("a weight must be from 0.01 to 65535; to keep a member idle, drain or disable it")]
    OutOfRange,
    /// The number has more than two decimals.
    #[error("a weight has at most two decimals")]
    TooFine,
}

/// The weight that counts now: a [`Weight`] times sixteenths, so that a ramp can raise it
/// in steps.
///
/// Its unit is 1/1600 of weight 1, so each step is exact in integers.
///
/// # Examples
///
/// ```
/// use equipoise::member::EffectiveWeight;
/// use equipoise::Weight;
///
/// let full = EffectiveWeight::from(Weight::new(2)?);
/// assert_eq!(full.units(), 3200);
/// assert_eq!(full.scaled(4).units(), 800, "4/16 of weight 2");
/// # Ok::<(), equipoise::WeightError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EffectiveWeight(u32);

impl EffectiveWeight {
    /// The number of units in one hundredth of weight.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::EffectiveWeight;
    /// use equipoise::Weight;
    ///
    /// let one = EffectiveWeight::from(Weight::ONE).units();
    /// assert_eq!(one, 100 * EffectiveWeight::UNITS_PER_HUNDREDTH);
    /// ```
    pub const UNITS_PER_HUNDREDTH: u32 = 16;

    /// Returns the weight in units of 1/1600; never 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::EffectiveWeight;
    /// use equipoise::Weight;
    ///
    /// assert_eq!(EffectiveWeight::from(Weight::MIN).units(), 16);
    /// assert_eq!(EffectiveWeight::from(Weight::MIN).scaled(1).units(), 1);
    /// ```
    #[must_use]
    pub const fn units(self) -> u32 {
        self.0
    }

    /// Returns the full weight times `sixteenths`/16; the factor is clamped to 1 to 16.
    ///
    /// Call it on a full weight: one that is scaled already is rounded down.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::EffectiveWeight;
    /// use equipoise::Weight;
    ///
    /// let full = EffectiveWeight::from(Weight::ONE);
    /// assert_eq!(full.scaled(8).units(), 800);
    /// assert_eq!(full.scaled(0), full.scaled(1), "never nothing");
    /// assert_eq!(full.scaled(99), full, "never more");
    /// ```
    #[must_use]
    pub const fn scaled(self, sixteenths: u32) -> Self {
        let sixteenths = match sixteenths {
            0 => 1,
            1..=16 => sixteenths,
            _ => 16,
        };
        let units = self.0 / Self::UNITS_PER_HUNDREDTH * sixteenths;
        Self(if units == 0 { 1 } else { units })
    }
}

impl fmt::Display for EffectiveWeight {
    /// Displays the weight, not the units: 800 units are `0.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_weight = 100 * Self::UNITS_PER_HUNDREDTH;
        write!(f, "{}", f64::from(self.0) / f64::from(per_weight))
    }
}

impl From<Weight> for EffectiveWeight {
    fn from(weight: Weight) -> Self {
        Self(weight.0 * Self::UNITS_PER_HUNDREDTH)
    }
}

#[cfg(test)]
mod tests {
    use super::{EffectiveWeight, Weight, WeightError};

    #[test]
    fn numbers_that_are_no_weight_are_refused_with_a_reason() {
        assert_eq!(Weight::new(0), Err(WeightError::OutOfRange));
        assert_eq!(Weight::try_from(f64::NAN), Err(WeightError::NotANumber));
        assert_eq!(Weight::try_from(1e300), Err(WeightError::OutOfRange));
        assert_eq!(Weight::try_from(-1.0), Err(WeightError::OutOfRange));
        assert_eq!(
            Weight::try_from(f64::INFINITY),
            Err(WeightError::OutOfRange)
        );
        assert_eq!(Weight::try_from(0.004), Err(WeightError::OutOfRange));
        assert_eq!(Weight::try_from(1.155), Err(WeightError::TooFine));
        assert_eq!("abc".parse::<Weight>(), Err(WeightError::NotANumber));
        assert_eq!("".parse::<Weight>(), Err(WeightError::NotANumber));
    }

    #[test]
    fn weights_beyond_apaches_hundred_are_fine_in_the_core() {
        assert_eq!(Weight::new(101).map(Weight::hundredths), Ok(10_100));
        assert_eq!(Weight::new(65_535), Ok(Weight::MAX));
        assert_eq!(Weight::new(65_536), Err(WeightError::OutOfRange));
        assert_eq!(Weight::new(u32::MAX), Err(WeightError::OutOfRange));
    }

    // Ledger row 1: Apache multiplies by 100 and truncates, so 1.15 becomes 114.
    #[test]
    fn hundredths_are_exact_where_apache_cuts() {
        for (text, hundredths) in [
            ("1.15", 115),
            ("2.3", 230),
            ("4.35", 435),
            ("8.2", 820),
            ("2.01", 201),
            ("1.1", 110),
        ] {
            assert_eq!(
                text.parse().map(Weight::hundredths),
                Ok(hundredths),
                "{text}"
            );
        }
    }

    #[test]
    fn a_weight_prints_as_it_is_read() {
        for text in ["1", "0.01", "2.5", "2.25", "100", "65535"] {
            let weight: Weight = text.parse().unwrap();
            assert_eq!(weight.to_string(), text);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        assert_eq!(
            WeightError::OutOfRange.to_string(),
            "a weight must be from 0.01 to 65535; to keep a member idle, drain or disable it"
        );
        assert_eq!(
            WeightError::NotANumber.to_string(),
            "a weight must be a number, such as 1 or 2.5"
        );
        assert_eq!(
            WeightError::TooFine.to_string(),
            "a weight has at most two decimals"
        );
    }

    #[test]
    fn a_ramp_never_reaches_zero_nor_exceeds_the_weight() {
        let quarter = EffectiveWeight::from(Weight::ONE).scaled(4);
        assert_eq!(quarter.to_string(), "0.25");
        let full = EffectiveWeight::from(Weight::MIN);
        assert_eq!(full.scaled(0).units(), 1);
        assert_eq!(full.scaled(99), full);
    }
}
