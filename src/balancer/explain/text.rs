//! An [`Explanation`] as text.

use std::fmt;

use super::{Explanation, MemberExplanation, SettingLayer};
use crate::balancer::DEFAULT_SOURCE;
use crate::member::{EffectiveWeight, Status};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let picked = self.picked();
        let picked = picked.map_or_else(|| "no member".into(), |member| plain(&member.name));
        writeln!(
            f,
            "{} picks {picked}: {}",
            self.scheduler,
            self.reason_text()
        )?;
        let names = self.members.iter().map(|member| plain(&member.name));
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
        // A width beyond what can be formatted panics; beyond 64 no table helps.
        let width = width.clamp("member".len(), 64);
        writeln!(
            f,
            "  {:width$}  tier  weight  route       in flight   picked   standing  verdict        status",
            "member"
        )?;
        for (at, member) in self.members.iter().enumerate() {
            let mark = if self.picked == Some(at) { '>' } else { ' ' };
            let caps = [member.max_in_flight, member.learned_limit];
            let in_flight = match caps.into_iter().flatten().min() {
                Some(cap) => format!("{}/{cap}", member.in_flight),
                None => member.in_flight.to_string(),
            };
            let standing = member
                .standing
                .map_or_else(|| "-".into(), |s| s.to_string());
            writeln!(
                f,
                "{mark} {:width$}  {:>4}  {:>6}  {:<10}  {in_flight:>9}  {:>7}  {standing:>9}  {:<13}  {}",
                plain(&member.name),
                member.tier,
                member.weight,
                plain(&member.route.as_deref().unwrap_or("-")),
                member.picked,
                member.eligibility,
                member.status_by_layer(),
            )?;
        }
        self.write_details(f)?;
        for member in &self.members {
            let (name, full) = (plain(&member.name), EffectiveWeight::from(member.weight));
            if member.effective_weight != full {
                let weight = member.effective_weight;
                writeln!(f, "  {name} ramps up: weight {weight} of {full}")?;
            }
            if !member.labels.is_empty() {
                writeln!(f, "  labels of {name}: {}", plain(&member.labels))?;
            }
            if !member.health.is_good() {
                writeln!(f, "  {name} is {}", plain(&member.health))?;
            }
        }
        for member in self.members.iter().filter(|it| !it.overrides.is_empty()) {
            let (name, overrides) = (plain(&member.name), plain(&member.overrides));
            writeln!(f, "  overrides of {name}: {overrides}")?;
        }
        let others = |it: &&MemberExplanation| *it.source != *DEFAULT_SOURCE;
        for member in self.members.iter().filter(others) {
            let (name, source) = (plain(&member.name), plain(&member.source));
            writeln!(f, "  source of {name}: {source}")?;
        }
        for (route, names) in self.shared_routes() {
            let names = plain(&names.join(", "));
            writeln!(
                f,
                "  route {route:?} belongs to {names}: the first of them that can serve gets its sessions"
            )?;
        }
        Ok(())
    }
}

/// The most scores that are listed: a table of thousands does not help.
const SCORES: usize = 20;

impl Explanation {
    /// Returns the reason as in the text.
    pub(crate) fn reason_text(&self) -> String {
        let mut text = String::new();
        let _ = self.why.write(&mut text, self.measure());
        text
    }

    /// Returns what the scheduler picks by.
    fn measure(&self) -> &'static str {
        match (self.details.measure, self.details.position) {
            (Some(measure), _) => measure,
            (None, Some(_)) => "the hash key",
            (None, None) if !self.details.samples.is_empty() => "chance",
            (None, None) => "standing",
        }
    }

    fn write_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &self.details;
        let name = |id| {
            let member = self.members.iter().find(|member| member.id == id);
            member.map_or_else(|| "a former member".into(), |member| plain(&member.name))
        };
        if let Some(position) = details.position {
            writeln!(f, "  hash key at {} of {}", position.index, position.len)?;
        }
        if !details.samples.is_empty() {
            let names: Vec<_> = details.samples.iter().map(|&id| name(id)).collect();
            writeln!(f, "  drawn: {}", names.join(", "))?;
        }
        if let Some(measure) = details.measure.filter(|_| !details.scores.is_empty()) {
            let shown = details.scores.iter().take(SCORES);
            let shown: Vec<_> = shown
                .map(|one| format!("{} {}", name(one.member), rounded(one.score)))
                .collect();
            write!(f, "  compared by {measure}: {}", shown.join(", "))?;
            match details.scores.len() - shown.len() {
                0 => writeln!(f)?,
                more => writeln!(f, " and {more} more")?,
            }
        }
        for note in &details.notes {
            writeln!(f, "  {}", plain(note))?;
        }
        Ok(())
    }
}

/// Returns a score with three decimal places at most.
fn rounded(score: f64) -> f64 {
    let rounded = (score * 1000.0).round() / 1000.0;
    if rounded.is_finite() { rounded } else { score }
}

/// Returns a user's text for one line of a terminal: control characters are escaped.
fn plain(text: &impl fmt::Display) -> String {
    let mut plain = String::new();
    for char in text.to_string().chars() {
        if char.is_control() {
            plain.extend(char.escape_debug());
        } else {
            plain.push(char);
        }
    }
    plain
}

impl MemberExplanation {
    /// Returns the flags; those that the operator set are marked.
    fn status_by_layer(&self) -> String {
        if self.status == Status::NORMAL {
            return self.status.to_string();
        }
        let words = self.status.iter().map(|flag| match self.layer(flag) {
            Some(SettingLayer::Operator) => format!("{flag} by operator"),
            _ => flag.to_string(),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}
