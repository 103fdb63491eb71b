//! Reads and writes the file on disk. Records keep their ages, and a reader never sees a
//! partial file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::HeartbeatLineError;
use super::parse::HeartbeatFile;
use crate::heartbeat::{HeartbeatMonitor, wall_clock};
use crate::random::Random;

/// A longer file is refused; the limit is enough for some hundred thousand servers.
const MAX_BYTES: u64 = 16 << 20;

impl HeartbeatFile {
    /// Reads a file from disk. The ages of its records are as of its last modification; the
    /// time since then is added. The records of a file that is no longer written therefore
    /// age.
    ///
    /// It blocks, as the standard library does.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, or has more than 16 MiB.
    pub fn read(path: impl AsRef<Path>) -> io::Result<(Self, Vec<HeartbeatLineError>)> {
        let path = path.as_ref();
        // Before it is opened: opening a pipe waits for a writer, possibly forever.
        readable(&fs::metadata(path)?)?;
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        readable(&metadata)?;
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
        // It may have grown since.
        if text.len() as u64 > MAX_BYTES {
            return Err(too_long());
        }
        // If a clock was set back, the modification time is in the future. The distance is
        // known, but not the age of the file: a file that is no longer written must not be
        // fresh until that time.
        let age = match wall_clock::now().duration_since(metadata.modified()?) {
            Ok(age) => age,
            Err(ahead) => ahead.duration(),
        };
        let (mut file, errors) = Self::parse(&text);
        for record in &mut file.records {
            if let Some(seen) = record.last_seen() {
                *record = record.with_last_seen(seen.saturating_add(age));
            }
        }
        Ok((file, errors))
    }

    /// Replaces a file on disk. It writes a temporary file in the same folder and renames
    /// it: a reader sees either the old or the new file. As with httpd, all users may read
    /// it and none may write it.
    ///
    /// It blocks, as the standard library does, but does not wait for the disk.
    ///
    /// # Errors
    ///
    /// If it cannot be written or renamed. The old file is then unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::{HeartbeatFile, HeartbeatMonitor};
    ///
    /// # let path = std::env::temp_dir().join(format!("equipoise-hb-{}.dat", std::process::id()));
    /// let monitor = HeartbeatMonitor::new();
    /// monitor.receive([10, 0, 0, 1].into(), b"v=1&ready=30&busy=2")?;
    /// HeartbeatFile::new(monitor.records()).write(&path)?;
    ///
    /// let (file, _) = HeartbeatFile::read(&path)?;
    /// assert_eq!(file.records()[0].reading().busy, 2);
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let beside = beside(path)?;
        let written = write_new(&beside, self.to_string().as_bytes())
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// Reports all records to a monitor, which counts those that it drops.
    pub fn report_to(&self, monitor: &HeartbeatMonitor) {
        for &record in &self.records {
            let _ = monitor.report(record);
        }
    }
}

fn readable(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        let message = "the file of heartbeats is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if metadata.len() > MAX_BYTES {
        return Err(too_long());
    }
    Ok(())
}

fn too_long() -> io::Error {
    let message = "the file of heartbeats has more than 16 MiB";
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Returns a unique path in the same folder: an atomic rename needs the same file system.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside = name.to_owned();
    beside.push(format!(".{:016x}", Random::from_entropy().next_u64()));
    Ok(path.with_file_name(beside))
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
    }
    Ok(())
}
