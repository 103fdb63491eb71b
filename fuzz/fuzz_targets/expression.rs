//! No text makes the reader of expressions panic, one that was read is printed and read as the
//! same, and deciding it ends.

#![no_main]

use std::borrow::Cow;

use equipoise::config::{Expression, ExpressionLookup};
use libfuzzer_sys::fuzz_target;

/// Whatever is asked for is what stands behind the expression.
struct Bytes<'b>(&'b [u8]);

impl ExpressionLookup for Bytes<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (!name.starts_with('x')).then_some(Cow::Borrowed(self.0))
    }

    fn function(&self, name: &str, argument: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
        match name.starts_with('x') {
            true => None,
            false if argument.is_empty() => Some(Err("it has no argument".to_owned())),
            false => Some(Ok(Cow::Borrowed(self.0))),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (text, value) = match bytes.iter().position(|&it| it == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &bytes[..0]),
    };
    match Expression::parse(&String::from_utf8_lossy(text)) {
        Ok(expression) => {
            let printed = expression.to_string();
            let again = Expression::parse(&printed);
            assert_eq!(again.as_ref(), Ok(&expression), "it was printed so: {printed}");
            let _ = expression.evaluate(&Bytes(value));
        }
        Err(error) => assert!(error.line() > 0 && error.column() > 0),
    }
});
