//! What the tidy test knows of the tree: its files, the shape of its Rust sources, its dependency graph.
//!
//! The rules themselves are the tests in `tests/`: a rule that is broken names the file, the figure and the way out.
#![forbid(unsafe_code)]

pub mod graph;
pub mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The cores: no I/O, no clock, no dice, no threads (ARCHITECTURE.md, "Invariants").
pub const CORES: [&str; 7] = ["clock", "gotemplate", "marketdata", "process", "promql", "router", "rules"];

/// The workspace root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The files git tracks or would track, relative to the root; those with one of `endings` (without the dot).
///
/// # Errors
/// When git cannot be run here.
pub fn tracked(endings: &[&str]) -> std::io::Result<Vec<PathBuf>> {
    let listed = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output()?;
    let names = String::from_utf8_lossy(&listed.stdout);
    let mut files: Vec<PathBuf> = names
        .lines()
        .map(PathBuf::from)
        .filter(|path| endings.iter().any(|ending| path.extension().is_some_and(|have| have == *ending)))
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// The text of a tracked file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(root().join(path))
}
