//! Parses tokens into a tree: [`condition`].

use super::error::{ExpressionError, TextPosition};
use super::pattern::Pattern;
use super::token::{Token, tokens};
use super::tree::{At, ExpressionNode, ExpressionPiece, ExpressionWord};

/// The longest text, in bytes.
const LONGEST: usize = 16 * 1024;

/// The maximum depth of nested parentheses, negations and calls.
const DEEPEST: usize = 50;

/// Parses a whole expression.
pub(super) fn condition(text: &str) -> Result<ExpressionNode, ExpressionError> {
    if text.len() > LONGEST {
        let at = TextPosition::of(text, 0);
        let message = format!("the expression is longer than {LONGEST} bytes");
        return Err(ExpressionError::new(at, message));
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
    };
    let condition = parser.any(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.unexpected("`&&`, `||` or the end")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, usize)>,
    next: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    /// Returns the position of the next token, or of the end.
    fn here(&self) -> TextPosition {
        let next = self.tokens.get(self.next);
        TextPosition::of(self.text, next.map_or(self.text.len(), |(_, at)| *at))
    }

    fn unexpected(&self, wanted: &str) -> ExpressionError {
        let found = match self.peek() {
            None => "the expression ends here",
            Some(_) => "unexpected token",
        };
        ExpressionError::new(self.here(), format!("{found}: expected {wanted}"))
    }

    fn expect(&mut self, wanted: &Token, name: &str) -> Result<(), ExpressionError> {
        match self.takes(wanted) {
            true => Ok(()),
            false => Err(self.unexpected(name)),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, ExpressionError> {
        match depth < DEEPEST {
            true => Ok(depth + 1),
            false => Err(ExpressionError::new(
                self.here(),
                "the expression is nested too deeply",
            )),
        }
    }

    fn any(&mut self, depth: usize) -> Result<ExpressionNode, ExpressionError> {
        let mut parts = Vec::new();
        loop {
            match self.all(depth)? {
                ExpressionNode::Any(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.takes(&Token::Or) {
                return Ok(one_or(parts, ExpressionNode::Any));
            }
        }
    }

    fn all(&mut self, depth: usize) -> Result<ExpressionNode, ExpressionError> {
        let mut parts = Vec::new();
        loop {
            match self.one(depth)? {
                ExpressionNode::All(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.takes(&Token::And) {
                return Ok(one_or(parts, ExpressionNode::All));
            }
        }
    }

    fn one(&mut self, depth: usize) -> Result<ExpressionNode, ExpressionError> {
        let inner = self.deeper(depth)?;
        match self.peek() {
            Some(Token::Not) => {
                self.next += 1;
                Ok(ExpressionNode::Not(Box::new(self.one(inner)?)))
            }
            Some(Token::Open) => {
                self.next += 1;
                let condition = self.any(inner)?;
                self.expect(&Token::Closed, "`)`")?;
                Ok(condition)
            }
            Some(&Token::Constant(value)) => {
                self.next += 1;
                Ok(ExpressionNode::Constant(value))
            }
            Some(&Token::Unary(operator)) => {
                self.next += 1;
                Ok(ExpressionNode::Unary(operator, self.word(inner)?))
            }
            _ => self.comparison(inner),
        }
    }

    fn comparison(&mut self, depth: usize) -> Result<ExpressionNode, ExpressionError> {
        let left = self.word(depth)?;
        match self.peek() {
            Some(&Token::Compare(comparison)) => {
                self.next += 1;
                Ok(ExpressionNode::Compare(comparison, left, self.word(depth)?))
            }
            Some(&Token::Binary(operator)) => {
                self.next += 1;
                Ok(ExpressionNode::Binary(operator, left, self.word(depth)?))
            }
            Some(&Token::Matches { negated }) => {
                self.next += 1;
                let at = self.here();
                let Some(Token::Regex { text, ignores_case }) = self.peek() else {
                    return Err(self.unexpected("a regular expression `/../`"));
                };
                let pattern = Pattern::new(text, *ignores_case).map_err(|why| {
                    let message = format!("the regular expression cannot be used: {why}");
                    ExpressionError::new(at, message)
                })?;
                self.next += 1;
                Ok(ExpressionNode::Matches {
                    value: left,
                    pattern,
                    negated,
                    at: At(at),
                })
            }
            Some(Token::In) => {
                self.next += 1;
                self.expect(&Token::BraceOpen, "a list `{ .. }`")?;
                let mut list = vec![self.word(depth)?];
                while self.takes(&Token::Comma) {
                    list.push(self.word(depth)?);
                }
                self.expect(&Token::BraceClosed, "`,` or `}`")?;
                Ok(ExpressionNode::In(left, list))
            }
            _ => Err(self.unexpected("a comparison, such as `==` or `=~`")),
        }
    }

    /// Parses a value, with all values joined to it by dots.
    fn word(&mut self, depth: usize) -> Result<ExpressionWord, ExpressionError> {
        let mut word = ExpressionWord {
            pieces: Vec::new(),
            at: At(self.here()),
        };
        loop {
            let at = At(self.here());
            match self.peek().cloned() {
                Some(Token::Value(value)) => {
                    self.next += 1;
                    value.pieces.into_iter().for_each(|piece| word.push(piece));
                }
                Some(Token::Name(name)) => {
                    self.next += 1;
                    self.expect(
                        &Token::Open,
                        "`(`, because names without quotes are functions",
                    )?;
                    let argument = self.word(self.deeper(depth)?)?;
                    self.expect(&Token::Closed, "`)`")?;
                    word.push(ExpressionPiece::Call(name, argument, at));
                }
                _ => return Err(self.unexpected("a value, such as `'text'` or `%{NAME}`")),
            }
            if !self.takes(&Token::Dot) {
                return Ok(word);
            }
        }
    }
}

fn one_or(
    mut parts: Vec<ExpressionNode>,
    many: fn(Vec<ExpressionNode>) -> ExpressionNode,
) -> ExpressionNode {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}
