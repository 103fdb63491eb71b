//! What is done to headers: [`HeaderRule`].

/// What is done to a header of requests or answers (Apache: `RequestHeader`, `Header`).
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HeaderRule {
    /// What is done.
    pub action: HeaderAction,
    /// The header's name.
    pub name: String,
    /// Its value, with `%{NAME}e` for the variable `NAME`, and `%%` for a percent sign.
    /// Empty for [`Unset`](HeaderAction::Unset).
    #[cfg_attr(feature = "serde", serde(default))]
    pub value: String,
    /// To which answers it is done. It means nothing for requests.
    #[cfg_attr(feature = "serde", serde(default))]
    pub when: HeaderWhen,
    /// The variable that has to be set (Apache: `env=NAME`), or, with a `!` before it, not.
    #[cfg_attr(feature = "serde", serde(default))]
    pub condition: Option<String>,
}

/// What is done to a header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HeaderAction {
    /// Another line is added.
    Add,
    /// The value is appended to the one that is there, after a comma.
    Append,
    /// It replaces what is there.
    #[default]
    Set,
    /// It is removed.
    Unset,
}

/// To which answers something is done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HeaderWhen {
    /// To all, also to those that this server makes itself (Apache: `always`).
    Always,
    /// To those of members (Apache: `onsuccess`).
    #[default]
    Delivered,
}
