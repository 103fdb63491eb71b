//! No bytes make the reader of heartbeats panic, a message that was read is printed and read as
//! the same, and a monitor takes what it can read.

#![no_main]

use equipoise::heartbeat::{HeartbeatKey, HeartbeatMessage, HeartbeatMonitor, ReportError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let from = [10, 0, 0, 1].into();
    let monitor = HeartbeatMonitor::new();
    let received = monitor.receive(from, bytes);
    match HeartbeatMessage::parse(bytes) {
        Ok(message) => {
            assert_eq!(message.to_string().parse(), Ok(message));
            assert_eq!(HeartbeatMessage::parse_form(bytes), Ok(message));
            assert_eq!(received, Ok(message));
            assert_eq!(monitor.records()[0].reading(), message.reading());
        }
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            assert_eq!(received, Err(ReportError::Malformed(error)));
        }
    }
    let keyed = HeartbeatMonitor::builder()
        .key(HeartbeatKey::new(b"not guessed"))
        .build();
    assert!(keyed.receive(from, bytes).is_err());
});
