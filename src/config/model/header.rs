//! Changes to headers: [`HeaderRule`].

/// A change to a header of requests or responses (Apache: `RequestHeader`, `Header`).
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HeaderRule {
    /// What the rule does to the header.
    pub action: HeaderAction,
    /// The name of the header.
    pub name: String,
    /// The value, with `%{NAME}e` for the variable `NAME`, and `%%` for a percent sign.
    /// Empty for [`Unset`](HeaderAction::Unset).
    #[cfg_attr(feature = "serde", serde(default))]
    pub value: String,
    /// Which responses are changed. It has no effect for requests.
    #[cfg_attr(feature = "serde", serde(default))]
    pub when: HeaderWhen,
    /// The variable that must be set, or, after a `!`, must not be set (Apache:
    /// `env=NAME`).
    #[cfg_attr(feature = "serde", serde(default))]
    pub condition: Option<String>,
}

/// What a rule does to a header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HeaderAction {
    /// Adds another field line with the value.
    Add,
    /// Appends the value to the existing one, after a comma.
    Append,
    /// Replaces the existing value.
    #[default]
    Set,
    /// Removes the header.
    Unset,
}

/// Which responses a rule changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HeaderWhen {
    /// All responses, including those that this server creates itself (Apache: `always`).
    Always,
    /// Responses of members (Apache: `onsuccess`).
    #[default]
    Delivered,
}
