//! Reads a configuration: [`parse`], and [`Reader`] with its input.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostic_list::DiagnosticList;
use super::directive;
use super::syntax::{self, ReaderInput, Sources, SyntaxNode};
use super::{Config, Diagnostic};

/// Parses a configuration that does not include files; see [`Reader`] for one that does.
///
/// All errors are reported together. If a diagnostic [is an error](Diagnostic::is_error),
/// the configuration is incomplete, and [`build`](super::build()) refuses it.
#[must_use]
pub fn parse(text: &str) -> (Config, Vec<Diagnostic>) {
    Reader::new().parse(text)
}

/// Reads configurations with a given base directory, variables and environment.
///
/// # Examples
///
/// ```
/// use equipoise::config::Reader;
///
/// let reader = Reader::new().name("site.conf").define("PORT", "8080");
/// let (config, diagnostics) = reader.parse("Listen ${PORT}\n");
/// assert!(diagnostics.is_empty());
/// assert_eq!(config.listeners[0].port, 8080);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Reader {
    input: ReaderInput,
}

impl Reader {
    /// Creates a reader without a base directory and without variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the text in diagnostics; `configuration` by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.input.name = Some(name.into());
        self
    }

    /// Sets the directory for relative file names (httpd: `ServerRoot`). This also enables
    /// `Include`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use equipoise::config::Reader;
    ///
    /// let text = std::fs::read_to_string("/etc/apache2/apache2.conf")?;
    /// let (config, diagnostics) = Reader::new().base("/etc/apache2").parse(&text);
    /// # let _ = (config, diagnostics);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn base(mut self, directory: impl Into<PathBuf>) -> Self {
        self.input.base = Some(directory.into());
        self
    }

    /// Defines a variable for `${NAME}` and `<IfDefine NAME>` (httpd: `-D`).
    pub fn define(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.input.defines.push((name.into(), value.into()));
        self
    }

    /// Sets the values of `${NAME}` for names that are not defined: usually
    /// [`std::env::vars`], as in httpd.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::Reader;
    ///
    /// // As after `. /etc/apache2/envvars`.
    /// let reader = Reader::new().environment(std::env::vars());
    /// # let _ = reader;
    /// ```
    pub fn environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.input.environment.extend(variables);
        self
    }

    /// Reads a configuration; see [`parse`].
    #[must_use]
    pub fn parse(&self, text: &str) -> (Config, Vec<Diagnostic>) {
        interpreted(syntax::read(text, &self.input))
    }

    /// Reads a configuration from a file.
    ///
    /// Relative file names are resolved against the [base](Self::base) if it is set, then
    /// against `ServerRoot`, then against the directory of this file. The
    /// [name](Self::name) is this path, unless it is set.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use equipoise::config::Reader;
    ///
    /// let (config, diagnostics) = Reader::new().parse_file("/etc/apache2/apache2.conf")?;
    /// for diagnostic in &diagnostics {
    ///     eprint!("{diagnostic}");
    /// }
    /// # let _ = config;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If this file cannot be read; the error names it. An included file that cannot be
    /// read is reported as a diagnostic instead.
    pub fn parse_file(&self, path: impl AsRef<Path>) -> io::Result<(Config, Vec<Diagnostic>)> {
        let path = path.as_ref();
        let shown = path.display();
        let bytes = read_bounded(path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot read `{shown}`: {error}"))
        })?;
        let mut input = self.input.clone();
        input.name.get_or_insert_with(|| shown.to_string());
        // The names in diagnostics must not depend on the current directory.
        let directory = std::path::absolute(path.parent().unwrap_or(Path::new("")));
        input.fallback_base = Some(directory.or_else(|_| std::env::current_dir())?);
        input.file = Some(path.to_path_buf());
        Ok(interpreted(syntax::read_bytes(&bytes, &input)))
    }
}

/// Reads a file that may be a pipe, up to a size limit.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("the file is larger than 16 MiB"));
    }
    Ok(bytes)
}

fn interpreted(
    (nodes, sources, mut diagnostics): (Vec<SyntaxNode>, Sources, DiagnosticList),
) -> (Config, Vec<Diagnostic>) {
    let mut config = directive::interpret(&nodes, &sources, &mut diagnostics);
    let mut diagnostics = diagnostics.into_vec();
    // In the order of the files and lines.
    diagnostics.sort_by_key(|diagnostic| sources.rank(diagnostic.place.as_ref()));
    if let Some(base) = &sources.base {
        config.files_begin_at(base);
    }
    config.incomplete = diagnostics.iter().any(Diagnostic::is_error);
    (config, diagnostics)
}
