//! The plain reference model: Apache's mod_proxy_balancer 2.4, one thread, no haste.
//!
//! It takes a recorded case and says for each event what Apache recorded. With no [`Fix`] it is
//! Apache; it is checked against every recorded value. With all of them it is equipoise, and with
//! [`Fix::of_config`] equipoise under a configuration of Apache's. Between them lies nothing but the
//! ledger (`docs/deviations.md`), a switch for each of its rows that changes who is elected or what
//! the books say, so whoever doubts a difference between a recording and this library can see which
//! rows it comes from.
//!
//! How far to believe it is checked in `checks`: without a fix against every recording; with all
//! fixes against the library's core, over the recordings and over made-up cases; and that of the
//! switches those which matter to a case explain all that differs in it.
//!
//! | file | what it says | specification |
//! |---|---|---|
//! | `params` | how numbers are read | 1.5 |
//! | `member` | status, books, the retry rule | 1.2, 1.4, 2.2 |
//! | `site` | the balancer and its surroundings, from the configuration | 1.3, 1.6, 2.6 |
//! | `election` | forced recovery, the walk, methods, sticky routes and their books | 2.3 to 2.7, 3.5 |
//! | `heartbeat` | reports | 7 |
//! | `url`, `session` | mapped URL, session, route | 3.1 to 3.4, 8.1, 8.2 |
//! | `text` | the same by our rules | rows 13, 41, 42 |
//! | `attempt` | the loop of attempts, waiting, what is exported and judged | 2.1, 2.8, 3.6, 3.7, 4.2, 4.3 |
//! | `running` | a request on its way | |
//! | `exchange` | what an attempt can come to, and pooled connections | 4.1 |
//! | `manager` | forms | 9.3, 9.4 |
//! | `play` | the events, and when counts move | 5 |
//!
//! The model itself uses nothing of the library but the elections of `testkit::models`, plain loops
//! that share no code with the schedulers. Rows without a switch
//! change nothing that is predicted here: headers, bodies, paths, bytes, and what would need two
//! requests that wait at a time (row 9), names that are not resolved (17) or more redirects than
//! there are members (40). Statuses are Apache's also with
//! all fixes, as `config` answers them (48, 67). Not predicted: draws of the heartbeat
//! method (the recording says who was drawn, and the model goes on from there), bursts, health
//! checks, headers and bodies; bytes are taken from the recording. `retries` depends on the pool.
//! Nothing is predicted any more once a request waits for a connection of a full member without
//! `acquire`, which Apache does without a limit.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a module of tests, and the numbers of cases are small"
)]

mod attempt;
#[cfg(test)]
mod checks;
mod election;
mod exchange;
mod fixes;
mod heartbeat;
mod manager;
mod member;
mod params;
mod play;
mod predicted;
mod running;
mod session;
mod site;
mod text;
mod url;

use std::collections::BTreeSet;

use serde_json::Value;

pub use fixes::Fix;
pub use predicted::Predicted;

/// The model.
pub struct Reference;

impl Reference {
    /// Plays a case with the given fixes; one prediction an event. A kind that the model does not
    /// know gets empty ones.
    pub fn run(case: &Value, fixes: &BTreeSet<Fix>) -> Vec<Predicted> {
        let events = case["events"].as_array().map_or(&[][..], Vec::as_slice);
        if !Self::covers(case) {
            return vec![Predicted::default(); events.len()];
        }
        let mut site = site::Site::new(&case["config"], fixes);
        site.rules_are_the_question = matches!(case["kind"].as_str(), Some("mapping" | "headers"));
        let traffic = case["kind"] == "bytraffic";
        let mut play = play::Play::new(site, traffic);
        events.iter().map(|event| play.event(event)).collect()
    }

    /// Whether the model plays cases of this kind.
    pub fn covers(case: &Value) -> bool {
        !matches!(
            case["kind"].as_str(),
            None | Some("hcheck" | "config-check")
        )
    }
}
