//! Prints records as the text of a file.

use std::fmt;

use super::parse::{HeartbeatFile, NO_PORT};
use crate::scheduler::HeartbeatReading;

/// Prints the text of the file. A record of unknown age is left out, because httpd would
/// treat it as fresh.
impl fmt::Display for HeartbeatFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.records {
            let Some(age) = record.last_seen() else {
                continue;
            };
            let (sender, HeartbeatReading { ready, busy }) = (record.sender(), record.reading());
            let (ip, port) = (sender.ip(), sender.port().unwrap_or(NO_PORT));
            let seconds = age.as_secs();
            writeln!(
                f,
                "{ip} &ready={ready}&busy={busy}&lastseen={seconds}&port={port}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::heartbeat::{HeartbeatFile, HeartbeatRecord, SenderId};
    use crate::scheduler::HeartbeatReading;
    use proptest::prelude::*;
    use std::net::IpAddr;
    use std::time::Duration;

    fn any_record() -> impl Strategy<Value = HeartbeatRecord> {
        let sender = (any::<IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| SenderId::new(ip, Some(port).filter(|&it| it != 80)));
        (sender, any::<(u32, u32, u32)>()).prop_map(|(sender, (ready, busy, seen))| {
            HeartbeatRecord::new(sender, HeartbeatReading { ready, busy })
                .with_last_seen(Duration::from_secs(seen.into()))
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(records in proptest::collection::vec(any_record(), 0..8)) {
            let mut seen = std::collections::HashSet::new();
            let unique = records.into_iter().filter(|it| seen.insert(it.sender()));
            let file = HeartbeatFile::new(unique.collect());
            let (again, errors) = HeartbeatFile::parse(file.to_string().as_bytes());
            prop_assert_eq!(errors, vec![]);
            prop_assert_eq!(again, file);
        }
    }

    #[test]
    fn a_record_without_an_age_is_not_written() {
        let sender = SenderId::new([10, 0, 0, 1].into(), None);
        let record = HeartbeatRecord::new(sender, HeartbeatReading { ready: 1, busy: 1 });
        assert_eq!(HeartbeatFile::new(vec![record]).to_string(), "");
        let seen = record.with_last_seen(Duration::from_millis(2_900));
        let line = "10.0.0.1 &ready=1&busy=1&lastseen=2&port=80\n";
        assert_eq!(HeartbeatFile::new(vec![seen]).to_string(), line);
    }
}
