//! A recorder that writes to a sink: the file is the log, memory is bounded, and errors are
//! reported. What is recorded is tested in `replay.rs`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::testkit::{Recorder, RecorderBuilder, Replay};
use equipoise::{ByBusyness, MemberSpec, Outcome, PickRequest};

fn builder() -> RecorderBuilder<()> {
    let ramp = Ramp::over(Duration::from_secs(1));
    Recorder::builder(7).clock(ManualClock::new()).ramp(ramp)
}

/// Makes `rounds` picks of members that are replaced all the time, each by one of a new name.
/// Each request has tried one that is there, and one that was removed long ago.
fn record(recorder: &Recorder<()>, rounds: usize) {
    let name = |round: usize| format!("node {round}");
    let mut tried = Vec::new();
    let mut earlier = None;
    for round in 0..rounds {
        let request = PickRequest::new().with_tried(&tried);
        let inserted = recorder.insert(&name(round), (), MemberSpec::new());
        if let Some(former) = round.checked_sub(3) {
            recorder.remove(&name(former)).unwrap();
        }
        let lease = recorder.pick(&request).unwrap();
        if let Some(earlier) = earlier.replace(lease) {
            earlier.finish(Outcome::Success);
        }
        tried.truncate(1);
        tried.push(inserted.unwrap());
    }
}

#[test]
fn a_file_gets_the_log_and_is_replayed() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("recording.log");
    let file = BufWriter::new(File::create(&path).unwrap());
    let to_file = builder().sink(file).build(ByBusyness::new()).unwrap();
    let in_memory = builder().build(ByBusyness::new()).unwrap();
    for recorder in [&to_file, &in_memory] {
        record(recorder, 2_000);
    }
    assert_eq!(to_file.log(), "");
    in_memory.flush().unwrap();
    to_file.flush().unwrap();
    let log = fs::read_to_string(&path).unwrap();
    assert_eq!(log, in_memory.log());
    let replay = Replay::parse(&log).unwrap();
    assert_eq!(replay.picks(), 2_000);
    replay.run(ByBusyness::new()).unwrap();
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_long_recording_takes_no_more_memory_than_a_short_one() {
    let kept_after = |rounds| {
        let recorder = builder().sink(io::sink()).build(ByBusyness::new()).unwrap();
        let counted = allocation_counter::measure(|| record(&recorder, rounds));
        counted.bytes_max
    };
    // Long enough that names of removed members are forgotten.
    let (short, long) = (kept_after(3_000), kept_after(12_000));
    assert!(long <= short + short / 10, "{short}, then {long}");
}

/// A file on a disk that has room for `room` more bytes.
#[derive(Clone, Default)]
struct Disk {
    room: usize,
    written: Arc<Mutex<Vec<u8>>>,
    fails_to_flush: bool,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        if written.len() + bytes.len() > self.room {
            // As if there were room again.
            self.room = usize::MAX;
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
        }
        written.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fails_to_flush {
            self.fails_to_flush = false;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

#[test]
fn an_error_of_the_sink_is_reported_and_nothing_follows_the_gap() {
    for room in [0, 2_000] {
        let disk = Disk {
            room,
            ..Disk::default()
        };
        let written = disk.written.clone();
        let recorder = builder().sink(disk).build(ByBusyness::new()).unwrap();
        // The picks go on.
        record(&recorder, 100);
        for _ in 0..2 {
            let error = recorder.flush().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(error.to_string(), "disk full");
        }
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.len() <= room);
        if room > 0 {
            let replay = Replay::parse(&written).unwrap();
            assert!(replay.picks() > 5, "{written}");
            replay.run(ByBusyness::new()).unwrap();
        }
    }
    let disk = Disk {
        room: usize::MAX,
        fails_to_flush: true,
        ..Disk::default()
    };
    let recorder = builder().sink(disk).build(ByBusyness::new()).unwrap();
    for _ in 0..2 {
        let error = recorder.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
