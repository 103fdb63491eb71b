//! Parses lines into a tree of directives and sections, and evaluates the directives that
//! control parsing.
//!
//! Not here: evaluating conditions (`condition`), and finding and opening the files of an
//! `Include` (`include`).

use std::ops::Range;

use super::condition::{self, SectionCondition};
use super::lines::{LogicalLine, LogicalLines, is_blank};
use super::state::ParserState;
use super::words::words;
use super::{ConfigWord, Diagnostic, Directive, Section, SyntaxNode, fill, include};

/// The maximum depth of nested sections. The tree is walked by recursion.
const DEPTH: usize = 64;

/// An open section.
#[derive(Debug)]
struct OpenSection {
    name: ConfigWord,
    words: Vec<ConfigWord>,
    children: Vec<SyntaxNode>,
    kind: SectionKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SectionKind {
    /// A condition that holds: its content belongs to the section around it.
    On,
    /// A condition that does not hold, or a section inside of one.
    Off,
    Section,
}

/// The open sections of one file. A section must end in the file in which it began.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<SyntaxNode>,
    open: Vec<OpenSection>,
}

/// Parses one source.
pub(super) fn read(state: &mut ParserState<'_>, source: u32, text: &str) -> Vec<SyntaxNode> {
    let mut tree = Tree::default();
    for mut line in LogicalLines::new(source, text) {
        if state.stopped {
            break;
        }
        tree.read_line(state, &mut line);
    }
    while let Some(open) = tree.open.pop() {
        unclosed(state, &open);
        tree.close(state, open);
    }
    tree.nodes
}

/// Directives for access control, and sections that can contain them.
const ACCESS: [&str; 20] = [
    "Allow",
    "AllowMethods",
    "AuthName",
    "AuthType",
    "AuthUserFile",
    "Deny",
    "Include",
    "IncludeOptional",
    "Order",
    "ProxyPass",
    "ProxyPassMatch",
    "Redirect",
    "RedirectMatch",
    "Require",
    "RewriteRule",
    "Satisfy",
    "SSLRequire",
    "SSLRequireSSL",
    "SSLVerifyClient",
    "Use",
];

impl Tree {
    fn read_line(&mut self, state: &mut ParserState<'_>, line: &mut LogicalLine) {
        let chars = &line.chars[line.trimmed()];
        if let [] | ['#', ..] = chars {
            return;
        }
        if let Some(nul) = line.chars.iter().position(|&c| c == '\0') {
            let diagnostic = Diagnostic::error("this line contains a NUL character");
            let diagnostic = diagnostic.with_hint("check that the file is a text file");
            state.report(line.span(nul..nul + 1), diagnostic);
            return;
        }
        if !self.is_off() && !fill::fill(state, line) {
            return;
        }
        let stretch = line.trimmed();
        match &line.chars[stretch.clone()] {
            ['<', '/', ..] => self.end(state, line, stretch),
            ['<', ..] => self.begin(state, line, stretch),
            _ if self.is_off() => self.skip(state, line, stretch),
            _ => self.directive(state, line, stretch),
        }
    }

    /// Skips a line; adds a diagnostic if it is about access control.
    fn skip(&self, state: &mut ParserState<'_>, line: &LogicalLine, stretch: Range<usize>) {
        let off = self.open.iter().find(|open| open.kind == SectionKind::Off);
        let for_module = |open: &OpenSection| {
            open.name.text.eq_ignore_ascii_case("IfModule")
                && !condition::is_for_old_httpd(&open.words)
        };
        if !off.is_some_and(for_module) {
            return;
        }
        let first = line.chars[stretch.clone()]
            .iter()
            .position(|&c| is_blank(c));
        let end = first.map_or(stretch.end, |at| stretch.start + at);
        let name = line.text(stretch.start..end);
        if ACCESS.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            let diagnostic =
                Diagnostic::warning(format!("`{name}` is not read, and may restrict access"));
            let diagnostic = diagnostic.with_hint("restrict access outside of the `<IfModule>`");
            state.report(line.span(stretch.start..end), diagnostic);
        }
    }

    fn is_off(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| open.kind == SectionKind::Off)
    }

    fn push(&mut self, node: SyntaxNode) {
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.nodes.push(node),
        }
    }

    fn directive(
        &mut self,
        state: &mut ParserState<'_>,
        line: &LogicalLine,
        stretch: Range<usize>,
    ) {
        let first = &line.chars[stretch.clone()];
        let first = first.iter().position(|&c| is_blank(c));
        let first = line.text(stretch.start..first.map_or(stretch.end, |at| stretch.start + at));
        let braces = first.eq_ignore_ascii_case("ProxyHCExpr");
        let Some(mut words) = words(state, line, stretch.clone(), braces) else {
            return;
        };
        if words.is_empty() {
            return;
        }
        let name = words.remove(0);
        if name.text.is_empty() {
            let diagnostic = Diagnostic::error("the directive has an empty name");
            state.report(name.span, diagnostic);
            return;
        }
        traps(state, line, stretch.end, &words);
        match name.text.to_ascii_lowercase().as_str() {
            "define" => define(state, &name, &words),
            "undefine" => undefine(state, &name, &words),
            "include" => self.include(state, &name, &words, false),
            "includeoptional" => self.include(state, &name, &words, true),
            _ => {
                if let ("serverroot", [root]) = (&*name.text.to_ascii_lowercase(), &*words) {
                    state.server_root(&root.text);
                }
                self.push(SyntaxNode::Directive(Directive { name, words }));
            }
        }
    }

    fn include(
        &mut self,
        state: &mut ParserState<'_>,
        name: &ConfigWord,
        words: &[ConfigWord],
        optional: bool,
    ) {
        let [path] = words else {
            state.wrong_count(name, words, "one path: quote a path that contains blanks");
            return;
        };
        for file in include::files(state, path, optional) {
            if state.stopped {
                break;
            }
            let Some((source, text)) = include::open(state, path.span, &file, optional) else {
                continue;
            };
            let nodes = read(state, source, &text);
            state.open_files.pop();
            nodes.into_iter().for_each(|node| self.push(node));
        }
    }

    /// Parses `<Name word word>`.
    fn begin(&mut self, state: &mut ParserState<'_>, line: &LogicalLine, stretch: Range<usize>) {
        let chars = &line.chars[..stretch.end];
        // httpd also looks for the last `>`: a regular expression may contain others.
        let last = chars[stretch.start..].iter().rposition(|&c| c == '>');
        let end = last.map_or(stretch.end, |at| stretch.start + at);
        let begin = stretch.start + 1;
        let name_end = (begin..end).find(|&at| is_blank(chars[at]));
        let name_end = name_end.unwrap_or(end);
        let name = ConfigWord {
            text: line.text(begin..name_end),
            span: line.span(begin..name_end),
        };
        if last.is_none() && !self.is_off() {
            let diagnostic = Diagnostic::error(format!("`<{}` has no `>`", name.text));
            let whole = line.text(stretch.clone());
            let diagnostic = diagnostic.with_hint(format!("write `{whole}>`"));
            state.report(line.span(stretch.clone()), diagnostic);
        } else if name.text.is_empty() && !self.is_off() {
            let diagnostic = Diagnostic::error("the section has no name");
            let diagnostic = diagnostic.with_hint("write its name directly after the `<`");
            state.report(line.span(stretch.clone()), diagnostic);
        } else if end + 1 < stretch.end && !self.is_off() {
            let note = Diagnostic::note("text after `>` is not read");
            let note = note.with_hint("put the comment on its own line");
            let rest = (end + 1..stretch.end).find(|&at| !is_blank(chars[at]));
            state.report(line.span(rest.unwrap_or(end + 1)..stretch.end), note);
        }
        let mut kind = if self.is_off() {
            SectionKind::Off
        } else {
            SectionKind::Section
        };
        let mut arguments = Vec::new();
        if kind == SectionKind::Section {
            // A section without words is opened as well, so that its end and its content
            // are not reported too.
            match words(state, line, name_end..end, false) {
                Some(words) => arguments = words,
                None => kind = SectionKind::Off,
            }
        }
        if kind == SectionKind::Section {
            kind = match condition::holds(state, &name, &arguments) {
                SectionCondition::False => SectionKind::Off,
                SectionCondition::None => SectionKind::Section,
                SectionCondition::True => SectionKind::On,
            };
        }
        state.depth += 1;
        if state.depth > DEPTH {
            let diagnostic =
                Diagnostic::error(format!("sections are nested more than {DEPTH} deep"));
            state.report(name.span, diagnostic.with_hint("the rest is not read"));
            state.stopped = true;
        }
        self.open.push(OpenSection {
            name,
            words: arguments,
            children: Vec::new(),
            kind,
        });
    }

    /// Parses `</Name>`.
    fn end(&mut self, state: &mut ParserState<'_>, line: &LogicalLine, stretch: Range<usize>) {
        let chars = &line.chars[..stretch.end];
        let begin = stretch.start + 2;
        let end = (begin..stretch.end).find(|&at| chars[at] == '>');
        let name = line.text(begin..end.unwrap_or(stretch.end));
        let name = name.trim_end_matches(is_blank);
        let span = line.span(stretch.start..end.map_or(stretch.end, |at| at + 1));
        if end.is_none() {
            let diagnostic = Diagnostic::error(format!("`</{name}` has no `>`"));
            state.report(span, diagnostic.with_hint(format!("write `</{name}>`")));
        }
        let opened = |open: &OpenSection| open.name.text.eq_ignore_ascii_case(name);
        let Some(place) = self.open.iter().rposition(opened) else {
            let diagnostic = Diagnostic::error(format!("`</{name}>` does not close a section"));
            let hint = match self.open.last() {
                Some(open) => {
                    let (name, line) = (&open.name.text, open.name.span.line);
                    format!("close `<{name}>` of line {line} first, with `</{name}>`")
                }
                None => format!("no open `<{name}>` precedes it"),
            };
            state.report(span, diagnostic.with_hint(hint));
            return;
        };
        while self.open.len() > place + 1 {
            let Some(open) = self.open.pop() else { break };
            let (opened, at) = (&open.name.text, open.name.span.line);
            let diagnostic = Diagnostic::error(format!("`</{name}>` comes before `</{opened}>`"));
            let hint = format!("`<{opened}>` was opened in line {at} and is still open");
            state.report(span, diagnostic.with_hint(hint));
            self.close(state, open);
        }
        if let Some(open) = self.open.pop() {
            self.close(state, open);
        }
    }

    fn close(&mut self, state: &mut ParserState<'_>, open: OpenSection) {
        state.depth = state.depth.saturating_sub(1);
        match open.kind {
            SectionKind::Off => {}
            SectionKind::On => open.children.into_iter().for_each(|node| self.push(node)),
            SectionKind::Section => self.push(SyntaxNode::Section(Section {
                name: open.name,
                words: open.words,
                children: open.children,
            })),
        }
    }
}

/// Adds notes for text that does not mean what it seems to mean.
fn traps(state: &mut ParserState<'_>, line: &LogicalLine, end: usize, words: &[ConfigWord]) {
    // A word with quotes has a longer span.
    let bare = |word: &&ConfigWord, text: &str| word.text == text && word.span.length == 1;
    if let Some(word) = words.iter().rev().skip(1).find(|word| bare(word, "#")) {
        let note = Diagnostic::note("a `#` after a directive does not begin a comment");
        let note = note.with_hint("put a comment on its own line, and a word with `#` in quotes");
        state.report(word.span, note);
    }
    let last = words.last().filter(|word| bare(word, "\\"));
    if let Some(word) = last.filter(|_| end < line.chars.len()) {
        let note =
            Diagnostic::note("blanks follow this backslash, so the next line is a separate one");
        let note = note.with_hint("remove the blanks to join the lines");
        state.report(word.span, note);
    }
}

fn unclosed(state: &mut ParserState<'_>, open: &OpenSection) {
    let name = &open.name.text;
    let diagnostic = Diagnostic::error(format!("`<{name}>` is never closed"));
    let diagnostic = diagnostic.with_hint(format!("write `</{name}>` where it ends"));
    state.report(open.name.span, diagnostic);
}

fn define(state: &mut ParserState<'_>, name: &ConfigWord, words: &[ConfigWord]) {
    let (variable, value) = match words {
        [variable] => (variable, None),
        [variable, value] => (variable, Some(value.text.clone())),
        _ => {
            return state.wrong_count(
                name,
                words,
                "a name and at most one value: quote a value that contains blanks",
            );
        }
    };
    if variable.text.contains(':') {
        let diagnostic = Diagnostic::error("the name of a variable must not contain `:`");
        return state.report(variable.span, diagnostic);
    }
    state.variables.define(&variable.text, value);
}

fn undefine(state: &mut ParserState<'_>, name: &ConfigWord, words: &[ConfigWord]) {
    match words {
        [variable] => state.variables.undefine(&variable.text),
        _ => state.wrong_count(name, words, "one name"),
    }
}
