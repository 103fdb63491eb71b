//! No bytes make the reader of Apache's configuration panic, and what was read without an
//! error is read as the same when it was printed.

#![no_main]

use equipoise::config::{Diagnostic, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (config, complaints) = parse(&String::from_utf8_lossy(bytes));
    for complaint in &complaints {
        assert!(!complaint.to_string().is_empty());
    }
    if complaints.iter().any(Diagnostic::is_error) {
        return;
    }
    let printed = config.to_string();
    let (again, complaints) = parse(&printed);
    for complaint in complaints.iter().filter(|it| it.is_error()) {
        panic!("what was printed has an error in it:\n{complaint}\n{printed}");
    }
    assert_eq!(again, config, "it was printed so:\n{printed}");
});
