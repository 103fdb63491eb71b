//! No bytes make the reader of heartbeat files panic; what it has read is printed and read as the
//! same; and there are no more records and errors than lines.

#![no_main]

use equipoise::heartbeat::{HeartbeatFile, HeartbeatRecord};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (file, errors) = HeartbeatFile::parse(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').count();
    assert!(file.records().len() + errors.len() <= lines);
    for error in &errors {
        assert!((1..=lines).contains(&error.line()));
        assert!(!error.to_string().contains(char::is_control));
    }
    // What has no age is not written.
    let aged = |record: &&HeartbeatRecord| record.last_seen().is_some();
    let aged: Vec<HeartbeatRecord> = file.records().iter().filter(aged).copied().collect();
    let (again, errors) = HeartbeatFile::parse(file.to_string().as_bytes());
    assert!(errors.is_empty());
    assert_eq!(again.records(), aged);
});
