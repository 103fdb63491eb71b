//! Serde views of values of the core, with the feature `serde`: an
//! [`Explanation`] as JSON or any other format.
//!
//! The core has no features, so the views are here and not beside the types. Not here: the
//! configuration's own formats (`config`).

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::balancer::{Explanation, MemberExplanation};
use crate::scheduler::{PickDetails, TablePosition};

/// As a map: the scheduler, the picked member's name or null, the reason as text, what the
/// scheduler compares and draws, and all members in configuration order.
///
/// Weights are numbers; flags, health, eligibility and overrides are the texts of their
/// `Display`. Fields may be added in later versions.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let json = serde_json::to_value(balancer.explain(&PickRequest::new()))?;
/// assert_eq!((&json["scheduler"], &json["picked"]), (&"byrequests".into(), &"a".into()));
/// assert_eq!(json["members"][1]["weight"], 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = self.members();
        ExplanationView {
            scheduler: self.scheduler(),
            picked: self.picked().map(|member| &*member.name),
            reason: self.reason_text(),
            details: DetailsView::new(self.details(), members),
            members: members.iter().map(MemberView::new).collect(),
        }
        .serialize(serializer)
    }
}

#[derive(Debug, Serialize)]
struct ExplanationView<'e> {
    scheduler: &'e str,
    picked: Option<&'e str>,
    reason: String,
    details: DetailsView<'e>,
    members: Vec<MemberView<'e>>,
}

#[derive(Debug, Serialize)]
struct DetailsView<'e> {
    measure: Option<&'e str>,
    scores: Vec<ScoreView<'e>>,
    samples: Vec<&'e str>,
    position: Option<PositionView>,
    notes: Vec<&'e str>,
}

#[derive(Debug, Serialize)]
struct ScoreView<'e> {
    member: &'e str,
    score: f64,
}

#[derive(Debug, Serialize)]
struct PositionView {
    index: u64,
    len: u64,
}

impl<'e> DetailsView<'e> {
    fn new(details: &'e PickDetails, members: &'e [MemberExplanation]) -> Self {
        let names: BTreeMap<_, &str> = members.iter().map(|it| (it.id, &*it.name)).collect();
        let name = |id| names.get(&id).copied();
        let scores = details.scores.iter().filter_map(|one| {
            let (member, score) = (name(one.member)?, one.score);
            Some(ScoreView { member, score })
        });
        let position = |TablePosition { index, len }| PositionView { index, len };
        Self {
            measure: details.measure,
            scores: scores.collect(),
            samples: details.samples.iter().copied().filter_map(name).collect(),
            position: details.position.map(position),
            notes: details.notes.iter().map(|note| &**note).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct MemberView<'e> {
    name: &'e str,
    source: &'e str,
    tier: u16,
    weight: f64,
    effective_weight: f64,
    route: Option<&'e str>,
    labels: BTreeMap<&'e str, &'e str>,
    status: Vec<String>,
    health: String,
    in_flight: u32,
    max_in_flight: Option<u32>,
    learned_limit: Option<u32>,
    picked: u64,
    standing: Option<i64>,
    eligibility: String,
    overrides: Option<String>,
}

impl<'e> MemberView<'e> {
    fn new(member: &'e MemberExplanation) -> Self {
        let overrides = &member.overrides;
        Self {
            name: &member.name,
            source: &member.source,
            tier: member.tier,
            weight: f64::from(member.weight.hundredths()) / 100.0,
            effective_weight: f64::from(member.effective_weight.units()) / 1600.0,
            route: member.route.as_deref(),
            labels: member.labels.iter().collect(),
            status: member.status.iter().map(|flag| flag.to_string()).collect(),
            health: member.health.to_string(),
            in_flight: member.in_flight,
            max_in_flight: member.max_in_flight,
            learned_limit: member.learned_limit,
            picked: member.picked,
            standing: member.standing,
            eligibility: member.eligibility.to_string(),
            overrides: (!overrides.is_empty()).then(|| overrides.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Balancer, Flag, MemberSpec, PickRequest};

    #[test]
    fn an_explanation_is_a_map_with_all_that_its_table_shows() {
        let spec = MemberSpec::new().with_label("zone", "x").with_route("r1");
        let balancer = Balancer::builder()
            .scheduler(crate::scheduler::Maglev::new())
            .member("a", (), spec)
            .member("b", (), MemberSpec::new())
            .build()
            .unwrap();
        balancer.set_flag("b", Flag::Draining).unwrap();
        let explanation = balancer.explain(&PickRequest::new().with_hash(7));
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["scheduler"], "maglev");
        assert_eq!(json["picked"], "a");
        let text = explanation.to_string();
        assert!(text.contains(json["reason"].as_str().unwrap()), "{text}");
        let (a, b) = (&json["members"][0], &json["members"][1]);
        assert_eq!(
            (&a["labels"]["zone"], &a["route"]),
            (&"x".into(), &"r1".into())
        );
        assert_eq!(
            (&b["status"][0], &b["eligibility"]),
            (&"draining".into(), &"sessions only".into())
        );
        assert!(b["overrides"].is_string() && a["overrides"].is_null());
    }
}
