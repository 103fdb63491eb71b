//! The error of building a configuration: [`ConfigError`].

use std::collections::HashSet;
use std::fmt;

use crate::config::{Config, Diagnostic, Reader, secret};

/// The error of building a configuration. Nothing of the configuration has been applied.
///
/// # Examples
///
/// ```
/// use equipoise::config::{build, parse};
///
/// let (mut config, _) = parse("Listen 127.0.0.1:0\n");
/// config.server.tls.enabled = Some(true);
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let error = build(config).unwrap_err();
/// assert!(error.diagnostics()[0].message.contains("certificate"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfigError {
    diagnostics: Vec<Diagnostic>,
}

impl ConfigError {
    /// Returns all errors, at least one.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be built")?;
        for diagnostic in &self.diagnostics {
            write!(f, "; {}", diagnostic.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects all errors, so that they are reported together.
#[derive(Debug, Default)]
pub(in crate::config) struct Faults {
    diagnostics: Vec<Diagnostic>,
    reported: HashSet<(String, String)>,
}

impl Faults {
    pub(in crate::config) fn add(&mut self, message: impl Into<String>, hint: &str) {
        let message = secret::masked_message(&message.into()).into_owned();
        // A balancer that is used twice is reported once.
        if self.reported.insert((message.clone(), hint.to_owned())) {
            let diagnostic = Diagnostic::error(message).with_hint(hint);
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports values that Apache's format cannot express: a configuration that was not
    /// parsed from it has not been checked yet.
    pub(in crate::config) fn check(&mut self, config: &Config) {
        if config.incomplete {
            let message = "the text of the configuration has errors";
            return self.add(message, "fix the errors that the reader has reported");
        }
        let hosts = config.virtual_hosts.iter().map(|it| &it.host);
        let mut hosts = std::iter::once(&config.server).chain(hosts);
        if hosts.any(|host| !host.settings.access.is_empty()) {
            let message = "access rules are set for a host instead of a location";
            return self.add(
                message,
                "set them for the location `/`, which covers the whole host",
            );
        }
        let text = config.to_string();
        let (again, diagnostics) = Reader::new()
            .name("the text in Apache's format")
            .parse(&text);
        let errors = diagnostics.into_iter().filter(Diagnostic::is_error);
        let before = self.diagnostics.len();
        self.diagnostics.extend(errors);
        if self.diagnostics.len() == before && again != *config {
            self.add(
                difference(config, &again),
                "use the value that is read back",
            );
        }
    }

    /// Records an error, and continues.
    pub(in crate::config) fn note<T, E: fmt::Display>(
        &mut self,
        result: Result<T, E>,
        about: impl fmt::Display,
        hint: &str,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(format!("{about}: {error}"), hint);
                None
            }
        }
    }

    pub(in crate::config) fn into_result<T>(self, value: T) -> Result<T, ConfigError> {
        if self.diagnostics.is_empty() {
            return Ok(value);
        }
        Err(ConfigError {
            diagnostics: self.diagnostics,
        })
    }
}

/// Returns the first value that does not read back as itself.
fn difference(written: &Config, read: &Config) -> String {
    let (written, read) = (format!("{written:#?}"), format!("{read:#?}"));
    let mut lines = written.lines().zip(read.lines());
    match lines.find(|(written, read)| written != read) {
        Some((written, read)) => format!(
            "`{}` would be read back as `{}`",
            written.trim(),
            read.trim()
        ),
        None => "a value would be read back differently".to_owned(),
    }
}
