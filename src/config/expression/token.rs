//! Splits an expression into tokens: [`tokens`].
//!
//! The characters of words were determined by running httpd 2.4.71; the tests repeat this.

use super::error::{ExpressionError, TextPosition};
use super::tree::{At, Binary, Comparator, Comparison, ExpressionPiece, ExpressionWord, Unary};

/// The delimiters of a regular expression; without `m` before it, only `/`.
pub(super) const DELIMITERS: &str = "/#,;:|!?.'\"_-^%$";

/// The maximum depth of variables in the arguments of others.
const DEEPEST: usize = 50;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    And,
    Binary(Binary),
    BraceClosed,
    BraceOpen,
    Closed,
    Comma,
    Compare(Comparison),
    Constant(bool),
    Dot,
    In,
    Matches { negated: bool },
    Name(String),
    Not,
    Open,
    Or,
    Regex { text: String, ignores_case: bool },
    Unary(Unary),
    Value(ExpressionWord),
}

/// Returns all tokens with their start positions, in bytes.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ExpressionError> {
    let mut scanner = Scanner { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(found) = scanner.next()? {
        tokens.push(found);
    }
    Ok(tokens)
}

struct Scanner<'t> {
    text: &'t str,
    /// The position of the next byte, which begins a character.
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(TextPosition::of(self.text, at), message)
    }

    fn place(&self, at: usize) -> At {
        At(TextPosition::of(self.text, at))
    }

    fn next(&mut self) -> Result<Option<(Token, usize)>, ExpressionError> {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let begin = self.at;
        let mut ahead = self.rest().chars();
        let (Some(first), second) = (ahead.next(), ahead.next()) else {
            return Ok(None);
        };
        let token = match first {
            '"' | '\'' => {
                self.take();
                let mut word = self.pieces(Some(first), begin, 0)?;
                word.at = self.place(begin);
                Token::Value(word)
            }
            '%' if second == Some('{') => {
                let mut word = self.word(begin);
                word.push(self.variable(0)?);
                Token::Value(word)
            }
            '$' if second.is_some_and(|c| c.is_ascii_digit()) => {
                let mut word = self.word(begin);
                word.push(self.group());
                Token::Value(word)
            }
            '/' => self.regex(1, '/')?,
            'm' if second.is_some_and(|c| DELIMITERS.contains(c)) => {
                self.regex(2, second.unwrap_or('/'))?
            }
            '0'..='9' => self.digits(begin),
            '-' if second.is_some_and(|c| c.is_ascii_digit()) => self.digits(begin),
            '-' => self.dashed(begin)?,
            'a'..='z' | 'A'..='Z' => self.name(),
            _ => self.symbol(begin)?,
        };
        Ok(Some((token, begin)))
    }

    fn word(&self, begin: usize) -> ExpressionWord {
        ExpressionWord {
            pieces: Vec::new(),
            at: self.place(begin),
        }
    }

    fn digits(&mut self, begin: usize) -> Token {
        self.takes("-");
        self.take_while(|c| c.is_ascii_digit());
        let mut word = self.word(begin);
        let digits = &self.text[begin..self.at];
        word.push(ExpressionPiece::Literal(digits.as_bytes().to_vec()));
        Token::Value(word)
    }

    fn symbol(&mut self, begin: usize) -> Result<Token, ExpressionError> {
        const SYMBOLS: [(&str, Token); 18] = [
            ("==", Token::Compare(Comparison::Bytes(Comparator::Equal))),
            ("=~", Token::Matches { negated: false }),
            ("=", Token::Compare(Comparison::Bytes(Comparator::Equal))),
            (
                "!=",
                Token::Compare(Comparison::Bytes(Comparator::NotEqual)),
            ),
            ("!~", Token::Matches { negated: true }),
            ("!", Token::Not),
            (
                "<=",
                Token::Compare(Comparison::Bytes(Comparator::LessOrEqual)),
            ),
            ("<", Token::Compare(Comparison::Bytes(Comparator::Less))),
            (
                ">=",
                Token::Compare(Comparison::Bytes(Comparator::GreaterOrEqual)),
            ),
            (">", Token::Compare(Comparison::Bytes(Comparator::Greater))),
            ("&&", Token::And),
            ("||", Token::Or),
            (".", Token::Dot),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Closed),
            ("{", Token::BraceOpen),
            ("}", Token::BraceClosed),
        ];
        for (symbol, token) in &SYMBOLS {
            if self.takes(symbol) {
                return Ok(token.clone());
            }
        }
        let wrong = self.take().unwrap_or_default();
        let message = format!("`{}` has no meaning here", wrong.escape_default());
        Err(self.error(begin, message))
    }

    fn name(&mut self) -> Token {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        match name {
            "and" => Token::And,
            "false" => Token::Constant(false),
            "in" => Token::In,
            "not" => Token::Not,
            "or" => Token::Or,
            "true" => Token::Constant(true),
            _ => match integer_order(name) {
                Some(order) => Token::Compare(Comparison::Integers(order)),
                None => Token::Name(name.to_owned()),
            },
        }
    }

    /// Parses `-eq`, `-n`, `-ipmatch` and similar operators.
    fn dashed(&mut self, begin: usize) -> Result<Token, ExpressionError> {
        self.take();
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(order) = integer_order(name) {
            return Ok(Token::Compare(Comparison::Integers(order)));
        }
        Ok(match name {
            "in" => Token::In,
            "n" => Token::Unary(Unary::NotEmpty),
            "z" => Token::Unary(Unary::Empty),
            "T" => Token::Unary(Unary::NotFalse),
            "ipmatch" => Token::Binary(Binary::InNetwork),
            "strmatch" => Token::Binary(Binary::Like),
            "strcmatch" => Token::Binary(Binary::LikeInAnyCase),
            "A" | "F" | "L" | "R" | "U" | "d" | "e" | "f" | "fnmatch" | "h" | "s" | "x" => {
                let message = format!("operator `-{name}` is not supported");
                return Err(self.error(begin, message));
            }
            _ => return Err(self.error(begin, format!("unknown operator `-{name}`"))),
        })
    }

    fn regex(&mut self, skip: usize, delimiter: char) -> Result<Token, ExpressionError> {
        let begin = self.at;
        self.at += skip;
        let text = self.take_while(|c| c != delimiter);
        if self.take().is_none() {
            return Err(self.error(begin, "the regular expression is not closed"));
        }
        // As in httpd, which has no other flag.
        let flags = self.take_while(|c| c.is_ascii_alphanumeric());
        let ignores_case = match flags {
            "" => false,
            "i" => true,
            _ => {
                let message = format!(
                    "unsupported flags `{flags}` of a regular expression: only `i` is supported"
                );
                return Err(self.error(begin, message));
            }
        };
        Ok(Token::Regex {
            text: text.to_owned(),
            ignores_case,
        })
    }

    fn group(&mut self) -> ExpressionPiece {
        self.take();
        let digit = self.take().and_then(|c| c.to_digit(10));
        ExpressionPiece::Group(digit.and_then(|it| usize::try_from(it).ok()).unwrap_or(0))
    }

    /// Parses `%{NAME}` or `%{function:argument}`.
    fn variable(&mut self, depth: usize) -> Result<ExpressionPiece, ExpressionError> {
        let begin = self.at;
        if depth > DEEPEST {
            return Err(self.error(begin, "variables are nested too deeply"));
        }
        self.takes("%{");
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.error(begin, "a name is missing after `%{`"));
        }
        let (name, at) = (name.to_owned(), self.place(begin));
        if self.takes(":") {
            let argument = self.pieces(None, begin, depth + 1)?;
            return Ok(ExpressionPiece::Call(name, argument, at));
        }
        match self.take() {
            Some('}') => Ok(ExpressionPiece::Variable(name, at)),
            None => Err(self.error(begin, "`%{` has no `}`")),
            Some(_) => Err(self.error(begin, "the name of a variable ends at `}` or `:`")),
        }
    }

    /// Parses the content of a string up to its quote, or of an argument up to `}`.
    fn pieces(
        &mut self,
        quote: Option<char>,
        begin: usize,
        depth: usize,
    ) -> Result<ExpressionWord, ExpressionError> {
        let mut word = self.word(self.at);
        let end = quote.unwrap_or('}');
        loop {
            let here = self.at;
            let mut ahead = self.rest().chars();
            let (first, second) = (ahead.next(), ahead.next());
            match first {
                None | Some('\n') => {
                    let message = format!("`{end}` is missing at the end of the text");
                    return Err(self.error(begin, message));
                }
                Some(c) if c == end => {
                    self.take();
                    return Ok(word);
                }
                Some('$') if second.is_some_and(|c| c.is_ascii_digit()) => word.push(self.group()),
                Some('%') if second == Some('{') => word.push(self.variable(depth + 1)?),
                Some('\\') if second.is_some() => {
                    self.take();
                    let bytes = self.escaped(here)?;
                    word.push(ExpressionPiece::Literal(bytes));
                }
                Some(c) => {
                    self.take();
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).as_bytes();
                    word.push(ExpressionPiece::Literal(bytes.to_vec()));
                }
            }
        }
    }

    /// Parses an escape, after its backslash.
    fn escaped(&mut self, begin: usize) -> Result<Vec<u8>, ExpressionError> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            // As in httpd, all digits belong together: `\1011` is invalid, not `\101` and a
            // 1.
            let byte = (digits <= 3).then(|| u8::from_str_radix(&rest[..digits], 8));
            self.at += digits;
            return match byte {
                Some(Ok(byte)) => Ok(vec![byte]),
                _ => Err(self.error(begin, "the number after `\\` is not an octal byte")),
            };
        }
        let Some(escaped) = self.take() else {
            return Err(self.error(begin, "a character is missing after `\\`"));
        };
        Ok(match escaped {
            'n' => vec![b'\n'],
            'r' => vec![b'\r'],
            't' => vec![b'\t'],
            'b' => vec![0x08],
            'f' => vec![0x0c],
            other => other.to_string().into_bytes(),
        })
    }
}

fn integer_order(name: &str) -> Option<Comparator> {
    Some(match name {
        "eq" => Comparator::Equal,
        "ge" => Comparator::GreaterOrEqual,
        "gt" => Comparator::Greater,
        "le" => Comparator::LessOrEqual,
        "lt" => Comparator::Less,
        "ne" => Comparator::NotEqual,
        _ => return None,
    })
}
