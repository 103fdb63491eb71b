//! A member's parameters in the words of the library.

use std::time::Duration;

use equipoise::{Flag, MemberSpec, Weight};

use super::super::params::{Params, float};

/// Apache's letters, our flags, and what the manager's page shows, in its order.
pub(super) const LETTERS: [(char, Flag, &str); 8] = [
    ('I', Flag::IgnoreErrors, "Ign"),
    ('N', Flag::Draining, "Drn"),
    ('D', Flag::Disabled, "Dis"),
    ('S', Flag::Stopped, "Stop"),
    ('E', Flag::InError, "Err"),
    ('H', Flag::HotStandby, "Stby"),
    ('R', Flag::HotSpare, "Spar"),
    ('C', Flag::FailedCheck, "HcFl"),
];

fn flag(letter: char) -> Option<Flag> {
    let letter = letter.to_ascii_uppercase();
    LETTERS
        .iter()
        .find(|(known, ..)| *known == letter)
        .map(|(_, flag, _)| *flag)
}

/// A weight in exact hundredths, if Apache would take it.
pub(super) fn weight(text: &str) -> Option<Weight> {
    let value = float(text);
    let in_range = (1.0..=100.0).contains(&value);
    in_range.then(|| Weight::from_hundredths((value * 100.0).round() as u32).expect("in range"))
}

/// A member's parameters, as a spec.
pub(super) fn spec(params: &Params) -> MemberSpec {
    let mut spec = MemberSpec::new();
    if let Some(weight) = params.text("loadfactor").and_then(weight) {
        spec = spec.with_weight(weight);
    }
    if let Some(route) = params.text("route") {
        spec = spec.with_route(route);
    }
    if let Some(redirect) = params.text("redirect") {
        spec = spec.with_redirect_route(redirect);
    }
    if let Some(retry) = params.int("retry") {
        spec = spec.with_recovery_delay(Duration::from_secs(retry as u64));
    }
    if let Some(most) = params.int("max").filter(|&most| most > 0) {
        spec = spec.with_max_in_flight(most as u32);
    }
    let mut sets = true;
    for letter in params.text("status").unwrap_or_default().chars() {
        match (letter, flag(letter)) {
            ('+' | '-', _) => sets = letter == '+',
            (_, Some(flag)) if sets => spec = spec.with_flag(flag),
            (_, Some(flag)) => spec = spec.without_flag(flag),
            _ => {}
        }
    }
    spec.with_tier(params.int("lbset").unwrap_or(0) as u16)
}
