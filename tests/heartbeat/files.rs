//! The file of httpd's `HeartbeatStorage`: taken over and written.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use equipoise::heartbeat::{HeartbeatFile, HeartbeatMonitor};

use super::{elected, followed, idle};

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("equipoise-heartbeat-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("hb.dat")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn members_are_elected_by_the_file_that_an_httpd_writes() {
    let folder = Folder::new("read");
    let text = "10.0.0.1 &ready=30&busy=2&lastseen=3&port=80\n\
                10.0.0.2 &ready=40&busy=2&lastseen=11&port=80\n\
                10.0.0.3 &ready=50&busy=2\n\
                10.0.0.4 &ready=many&busy=2&lastseen=1\n";
    fs::write(folder.file(), text).unwrap();
    let monitor = HeartbeatMonitor::new();
    let members = ["a", "b", "c", "d"];
    let at = ["10.0.0.1:81", "10.0.0.2:81", "10.0.0.3:81", "10.0.0.4:81"];
    let members: Vec<_> = members.into_iter().zip(at).collect();
    // It has just begun: all of the reports are older than it is.
    let balancer = followed(&monitor, &members);
    let (file, errors) = HeartbeatFile::read(folder.file()).unwrap();
    file.report_to(&monitor);
    assert_eq!(errors.len(), 1);
    assert_eq!(idle(&balancer, "a"), Some(30));
    for _ in 0..200 {
        // The others are too old, of no age, and no number.
        assert_eq!(elected(&balancer).as_deref(), Some("a"));
    }
}

#[test]
fn a_file_that_is_written_no_more_grows_old() {
    let folder = Folder::new("age");
    fs::write(folder.file(), "10.0.0.1 &ready=30&busy=2&lastseen=3\n").unwrap();
    let dead_for = Duration::from_secs(600);
    let file = File::options().write(true).open(folder.file()).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written - dead_for).unwrap();
    let (file, _) = HeartbeatFile::read(folder.file()).unwrap();
    let age = file.records()[0].last_seen().unwrap();
    assert!(age >= dead_for + Duration::from_secs(3), "{age:?}");
}

#[test]
fn a_file_from_the_future_is_as_old_as_the_clocks_differ() {
    let folder = Folder::new("future");
    fs::write(folder.file(), "10.0.0.1 &ready=30&busy=2&lastseen=3\n").unwrap();
    let file = File::options().write(true).open(folder.file()).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    // The writer is dead since a clock was set back: it must not be fresh for an hour.
    file.set_modified(written + Duration::from_secs(3_600))
        .unwrap();
    let age = || {
        let (file, _) = HeartbeatFile::read(folder.file()).unwrap();
        file.records()[0].last_seen().unwrap()
    };
    assert!(age() > Duration::from_secs(3_000), "{:?}", age());
    // One that lives writes again, maybe on a machine whose clock is ahead a little.
    file.set_modified(written + Duration::from_secs(1)).unwrap();
    assert!(age() < Duration::from_secs(10), "{:?}", age());
}

#[test]
fn an_old_file_does_not_undo_a_newer_report() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80")]);
    monitor
        .receive([10, 0, 0, 1].into(), b"v=1&ready=5&busy=1")
        .unwrap();
    let (file, _) = HeartbeatFile::parse(b"10.0.0.1 &ready=30&busy=2&lastseen=3\n");
    file.report_to(&monitor);
    assert_eq!(idle(&balancer, "a"), Some(5));
}

#[cfg(unix)]
#[test]
fn a_file_is_replaced_at_once_and_readable_by_all() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let folder = Folder::new("write");
    let monitor = HeartbeatMonitor::new();
    let write = |ready: u32| {
        let message = format!("v=1&ready={ready}&busy=2&port=8080");
        monitor
            .receive([10, 0, 0, 1].into(), message.as_bytes())
            .unwrap();
        HeartbeatFile::new(monitor.records()).write(folder.file())
    };
    write(1).unwrap();
    let first = fs::metadata(folder.file()).unwrap();
    assert_eq!(first.permissions().mode() & 0o777, 0o444);
    let mut reader = File::open(folder.file()).unwrap();
    // Also over one that cannot be written.
    write(2).unwrap();
    assert_ne!(fs::metadata(folder.file()).unwrap().ino(), first.ino());
    let line = |ready| format!("10.0.0.1 &ready={ready}&busy=2&lastseen=0&port=8080\n");
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), line(2));
    let mut former = String::new();
    std::io::Read::read_to_string(&mut reader, &mut former).unwrap();
    assert_eq!(former, line(1));
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let folder = Folder::new("error");
    fs::create_dir_all(folder.file().join("in the way")).unwrap();
    let file = HeartbeatFile::new(Vec::new());
    assert!(file.write(folder.file()).is_err());
    assert!(file.write(folder.0.join("none").join("hb.dat")).is_err());
    assert!(file.write("/").is_err());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a reader that hangs must not hang its test, as one in a scope would"
)]
#[test]
fn what_is_no_regular_file_or_too_long_is_refused_before_it_is_opened() {
    let folder = Folder::new("irregular");
    let refused = |path: PathBuf| {
        // Opening a pipe would wait for a writer.
        let (done, result) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(HeartbeatFile::read(path).map(|_| ())));
        let result = result.recv_timeout(Duration::from_secs(5));
        result.unwrap().unwrap_err().to_string()
    };
    let irregular = "the file of heartbeats is not a regular file";
    assert_eq!(refused(folder.0.clone()), irregular);
    #[cfg(unix)]
    {
        let pipe = folder.0.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert_eq!(refused(pipe), irregular);
        assert_eq!(refused(PathBuf::from("/dev/zero")), irregular);
    }
    let long = File::create(folder.file()).unwrap();
    long.set_len((16 << 20) + 1).unwrap();
    let too_long = "the file of heartbeats has more than 16 MiB";
    assert_eq!(refused(folder.file()), too_long);
}
