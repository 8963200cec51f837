//! Secrets from the configuration or from files; a file is read at each use, so that a rotated one is taken without a reload.

use std::path::{Path, PathBuf};

use router::config::SecretSource;

/// Why a secret cannot be had; names the file, never the content.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret file {}: {source}; give the watchdog's user read permission", .path.display())]
pub struct SecretError {
    path: PathBuf,
    source: std::io::Error,
}

/// The secret's text; blanks at its end are trimmed.
pub(crate) fn read(source: &SecretSource, base: &Path) -> Result<String, String> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => {
            let path = base.join(path);
            let text = std::fs::read_to_string(&path).map_err(|source| SecretError { path, source }.to_string())?;
            Ok(text.trim_end().to_owned())
        }
    }
}
