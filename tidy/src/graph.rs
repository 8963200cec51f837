//! The dependency graph as `cargo metadata` tells it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// One package of the graph.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The licence expression it declares.
    pub license: String,
    /// Whether it belongs to this workspace.
    pub ours: bool,
    /// Names of what it needs to run (no tests, no build scripts).
    pub needs: BTreeSet<String>,
}

/// All packages of the resolved graph on Linux.
///
/// # Errors
/// When cargo cannot be run or says what cannot be read.
pub fn packages() -> Result<Vec<Package>, String> {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(crate::root())
        .output()
        .map_err(|error| error.to_string())?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into_owned());
    }
    let graph: Value = serde_json::from_slice(&told.stdout).map_err(|error| error.to_string())?;
    Ok(list(graph.get("packages")).map(describe).collect())
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

fn text(package: &Value, key: &str) -> String {
    package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn describe(package: &Value) -> Package {
    let runs = |dependency: &&Value| dependency.get("kind").is_none_or(Value::is_null);
    Package {
        name: text(package, "name"),
        version: text(package, "version"),
        license: text(package, "license"),
        ours: package.get("source").is_none_or(Value::is_null),
        needs: list(package.get("dependencies")).filter(runs).map(|dependency| text(dependency, "name")).collect(),
    }
}
