//! The syntax tree: words with their positions, directives and sections.
//!
//! Not here: how a text is parsed into a tree (`tree`).

/// A range of a source text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct Span {
    /// The index of the source in [`Sources`](super::Sources).
    pub(in crate::config) source: u32,
    /// The line, from 1.
    pub(in crate::config) line: u32,
    /// The column, in characters, from 1.
    pub(in crate::config) column: u32,
    /// The length in characters.
    pub(in crate::config) length: u32,
}

/// A word of a line, without its quotes and with its variables expanded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct ConfigWord {
    pub(in crate::config) text: String,
    pub(in crate::config) span: Span,
}

/// A directive: `Name word word`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct Directive {
    pub(in crate::config) name: ConfigWord,
    pub(in crate::config) words: Vec<ConfigWord>,
}

/// A section: `<Name word> ... </Name>`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct Section {
    /// Without the angle bracket.
    pub(in crate::config) name: ConfigWord,
    pub(in crate::config) words: Vec<ConfigWord>,
    pub(in crate::config) children: Vec<SyntaxNode>,
}

/// A directive or a section. `Define`, `UnDefine`, `Include`, `IncludeOptional`,
/// `<IfModule>`, `<IfDefine>` and `<IfVersion>` have been evaluated and do not occur.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) enum SyntaxNode {
    Directive(Directive),
    Section(Section),
}
