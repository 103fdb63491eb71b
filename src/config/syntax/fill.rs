//! Expands `${NAME}` in a line.
//!
//! httpd (`ap_build_config` calls `ap_resolve_env`) expands a whole line before it splits
//! it into words. A value with blanks becomes several words, unless there are quotes around
//! it. Values are not expanded again.
//!
//! Not here: the definitions (`variables`).

use super::lines::{Fill, LogicalLine};
use super::state::ParserState;

/// Replaces `${NAME}` by its value. If the values are too large, adds a diagnostic and
/// returns false.
pub(super) fn fill(state: &mut ParserState<'_>, line: &mut LogicalLine) -> bool {
    let Some(last_brace) = line.chars.iter().rposition(|&c| c == '}') else {
        return true;
    };
    let mut filled = Vec::new();
    let mut fills = Vec::new();
    let mut at = 0;
    while let Some(&c) = line.chars.get(at) {
        // Without a `}` after it, `${` is literal.
        let opens = at < last_brace && line.chars[at..].starts_with(&['$', '{']);
        let brace = || line.chars[at..].iter().position(|&c| c == '}');
        let Some(length) = opens.then(brace).flatten() else {
            filled.push(c);
            at += 1;
            continue;
        };
        let whole = at..at + length + 1;
        at = whole.end;
        let name = line.text(whole.start + 2..whole.end - 1);
        if let Some(value) = state.variables.value(&name) {
            let begin = filled.len();
            filled.extend(value.chars());
            let bytes = value.len() as u64;
            let to = begin..filled.len();
            if !state.spend(bytes) {
                state.too_large(line.span(whole));
                return false;
            }
            fills.push(Fill { from: whole, to });
            continue;
        }
        filled.extend(&line.chars[whole.clone()]);
        // `${map:key}` is not a variable of the configuration.
        if !name.contains(':') {
            state.undefined(line.span(whole), &name);
        }
    }
    line.fill(filled, fills);
    true
}
