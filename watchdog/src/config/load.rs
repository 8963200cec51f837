//! From a file to a [`Config`], or to every reason why not.

use std::path::{Path, PathBuf};

use diagnostics::{Diagnostic, yaml};

use super::{Config, validate, written};
use crate::findings::text_of;

/// The text of a configuration file, kept to point into it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path as the user gave it.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A configuration that can be used, with what is worth a warning.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file's text.
    pub source: Source,
    /// Findings that do not keep it from working.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and validates the file.
///
/// # Errors
/// Every finding, and the text they point into (empty when the file cannot be read).
pub fn load(path: &Path) -> Result<Loaded, (Vec<Diagnostic>, Source)> {
    let name = path.display().to_string();
    match text_of(path, &name) {
        Ok(text) => parse(path.to_path_buf(), text),
        Err(found) => Err((vec![*found], Source { name, text: String::new() })),
    }
}

/// The same from a text.
///
/// # Errors
/// As [`load`].
pub fn parse(path: PathBuf, text: String) -> Result<Loaded, (Vec<Diagnostic>, Source)> {
    let source = Source { name: path.display().to_string(), text };
    let (file, mut misread) = yaml::read_all::<written::File>(&source.name, &source.text);
    let Some(file) = file else { return Err((misread, source)) };
    let (config, findings) = validate::validate(path, &source.name, file);
    match config {
        Some(config) if misread.is_empty() => Ok(Loaded { config, source, warnings: findings }),
        _ => {
            // What is said of no place is that something is missing: it may be what could not be read.
            misread.extend(findings.into_iter().filter(|found| found.place.is_some()));
            misread.sort_by_key(|found| found.place);
            Err((misread, source))
        }
    }
}
