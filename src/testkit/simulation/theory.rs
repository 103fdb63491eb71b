//! Results of queueing theory: mean latencies to check a simulation against, as multiples
//! of the mean service time.
//!
//! All are for Poisson arrivals, exponential service times and members of equal speed. The
//! load is the share of the time that a member works; it is at least 0 and below 1.
//! Otherwise no mean exists, and the result is infinite.

/// Returns the mean latency if each request goes to a random member (M/M/1): `1 / (1 - load)`.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::theory;
///
/// assert_eq!(theory::random(0.75), 4.0);
/// ```
#[must_use]
pub fn random(load: f64) -> f64 {
    if is_stable(load) {
        1.0 / (1.0 - load)
    } else {
        f64::INFINITY
    }
}

/// Returns the mean latency if the least busy of `choices` random members is picked, out of
/// very many members. With 100 members it is about 1 % higher.
///
/// Source: Mitzenmacher: *The power of two choices in randomized load balancing* (1996),
/// the sum of `load^((d^i - d) / (d - 1))` over all i from 1.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::theory;
///
/// assert!((theory::least_busy_of(2, 0.9) - 2.61).abs() < 0.01);
/// assert!((theory::least_busy_of(1, 0.9) - theory::random(0.9)).abs() < 1e-9);
/// ```
#[must_use]
pub fn least_busy_of(choices: u32, load: f64) -> f64 {
    if !is_stable(load) {
        return f64::INFINITY;
    }
    // The exponents are 0, d, d + d^2, ... Each is d times the previous one, plus d.
    let choices = f64::from(choices.max(1));
    let (mut sum, mut exponent) = (0.0, 0.0);
    loop {
        let term = load.powf(exponent);
        sum += term;
        // What is left out is less than this, also for one choice: a geometric series.
        if term < 1e-15 * (1.0 - load) {
            return sum;
        }
        exponent = exponent * choices + choices;
    }
}

/// Returns the mean latency if all members take their requests from one common queue
/// (M/M/n), by Erlang's C formula. No scheduler is better than this.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::theory;
///
/// assert!((theory::common_queue(100, 0.9) - 1.02).abs() < 0.005);
/// assert!((theory::common_queue(1, 0.9) - theory::random(0.9)).abs() < 1e-9);
/// ```
#[must_use]
pub fn common_queue(members: u32, load: f64) -> f64 {
    if !is_stable(load) {
        return f64::INFINITY;
    }
    let offered = load * f64::from(members);
    // Erlang's B formula, by its recursion.
    let lost = (1..=members).fold(1.0, |lost, servers| {
        offered * lost / (f64::from(servers) + offered * lost)
    });
    let waits = lost / (1.0 - load * (1.0 - lost));
    1.0 + waits / (f64::from(members) * (1.0 - load))
}

/// Returns the mean latency if members of equal weight are picked in turn (E_n/M/1: each
/// member gets every n-th request).
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::theory;
///
/// assert!((theory::in_turn(100, 0.9) - 5.2).abs() < 0.05);
/// assert!((theory::in_turn(1, 0.9) - theory::random(0.9)).abs() < 1e-6);
/// ```
#[must_use]
pub fn in_turn(members: u32, load: f64) -> f64 {
    if !is_stable(load) {
        return f64::INFINITY;
    }
    // The chance to wait is the root below 1 of s = (n load / (n load + 1 - s))^n.
    let rate = load * f64::from(members);
    let mut waits = load;
    for _ in 0..100_000 {
        let next = (rate / (rate + 1.0 - waits)).powf(f64::from(members));
        let done = (next - waits).abs() < 1e-14;
        waits = next;
        if done {
            break;
        }
    }
    1.0 / (1.0 - waits)
}

fn is_stable(load: f64) -> bool {
    (0.0..1.0).contains(&load)
}

#[cfg(test)]
mod tests {
    use super::{common_queue, in_turn, least_busy_of, random};

    #[test]
    fn the_closed_forms_are_those_of_the_literature() {
        for (load, expected) in [(0.7, 1.61), (0.9, 2.61), (0.95, 3.38)] {
            let mean = least_busy_of(2, load);
            assert!((mean - expected).abs() < 0.01, "{load}: {mean}");
        }
        // Small groups at a load of 0.9: 3, 5, 10 and 100 members.
        for (members, expected) in [(3, 3.69), (5, 2.51), (10, 1.66), (100, 1.02)] {
            let mean = common_queue(members, 0.9);
            assert!((mean - expected).abs() < 0.05, "{members}: {mean}");
        }
        for (load, expected) in [(0.7, 1.90), (0.9, 5.19), (0.95, 10.2)] {
            let mean = in_turn(100, load);
            assert!((mean / expected - 1.0).abs() < 0.02, "{load}: {mean}");
        }
    }

    #[test]
    fn a_load_of_one_or_more_has_no_mean() {
        for load in [1.0, 1.5, -0.1, f64::NAN] {
            let means = [
                random(load),
                least_busy_of(2, load),
                common_queue(10, load),
                in_turn(10, load),
            ];
            assert!(means.iter().all(|mean| mean.is_infinite()), "{load}");
        }
    }

    #[test]
    fn without_load_a_request_takes_its_service_time() {
        for mean in [
            random(0.0),
            least_busy_of(2, 0.0),
            common_queue(10, 0.0),
            in_turn(10, 0.0),
        ] {
            assert!((mean - 1.0).abs() < 1e-12);
        }
    }
}
