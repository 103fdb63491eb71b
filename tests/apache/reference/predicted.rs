//! What the model says of one event, and where a recording disagrees.

use serde_json::{Map, Value};

/// What the model says of one event: fields in the shape of the recording's `expect`, only those
/// that it can predict.
#[derive(Clone, Debug, Default)]
pub struct Predicted {
    pub fields: Map<String, Value>,
}

impl Predicted {
    /// Where this differs from what was recorded, in words.
    pub fn disagreements(&self, expect: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for (key, value) in &self.fields {
            let recorded = &expect[key];
            if key == "members" {
                let names = |value: &Value| value.as_object().map(|it| it.keys().len());
                if names(value) != names(recorded) {
                    found.push(format!("members: {recorded}, model {value}"));
                }
                for (name, row) in value.as_object().into_iter().flatten() {
                    for (column, value) in row.as_object().into_iter().flatten() {
                        let recorded = &recorded[name][column];
                        if recorded != value && !recorded.is_null() {
                            found.push(format!("{name}.{column}: {recorded}, model {value}"));
                        }
                    }
                }
            } else if recorded != value {
                found.push(format!("{key}: {recorded}, model {value}"));
            }
        }
        // What appears in an expectation only when there is something to tell.
        for key in ["error", "busy", "env"] {
            let is_sequence = self.fields.contains_key("lbstatus_members");
            if is_sequence && expect.get(key).is_some() && !self.fields.contains_key(key) {
                found.push(format!("{key}: {}, model none", expect[key]));
            }
        }
        found
    }
}
