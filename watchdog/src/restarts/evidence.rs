//! What the sick process looked like before it was ended: one text file an attempt, bounded in size and number.
//!
//! Owns: what is gathered. Must not know: deadlines (the caller's). Never the environment: it may hold secrets.

use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use process::Identity;

use crate::inspect::host::read_proc;

/// Evidence files kept a target.
const KEPT: usize = 20;
/// Threads described at most.
const THREADS_MAX: usize = 200;
/// Descriptors listed at most.
const LINKS_MAX: usize = 2_000;
/// Bytes of the child's output that are copied.
const OUTPUT_TAIL: u64 = 64 << 10;

/// Where the evidence of an attempt is.
pub(super) fn path(dir: &Path, name: &str, attempt: u64) -> PathBuf {
    dir.join(format!("{name}-{attempt:06}.txt"))
}

/// Gathers what can be read of the process and writes it; gives the file.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn gather(dir: &Path, name: &str, attempt: u64, of: &Identity, output: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let path = path(dir, name, attempt);
    let mut text = format!("process {of}\n");
    for file in ["status", "stat", "limits", "wchan", "schedstat", "cgroup", "oom_score", "net/sockstat", "net/tcp", "net/tcp6"] {
        section(&mut text, file, &read_proc(of.pid, file).unwrap_or_else(|| "not readable\n".into()));
    }
    section(&mut text, "threads: id, state, wait channel, scheduler", &threads(of.pid));
    section(&mut text, "descriptors", &links(of.pid));
    section(&mut text, "end of the output", &tail(output));
    std::fs::write(&path, text)?;
    forget_old(dir, name);
    Ok(path)
}

fn section(text: &mut String, title: &str, body: &str) {
    text.push_str("\n== ");
    text.push_str(title);
    text.push('\n');
    text.push_str(body);
    if !body.ends_with('\n') {
        text.push('\n');
    }
}

fn threads(pid: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ids = tasks.filter_map(|entry| entry.file_name().into_string().ok()).take(THREADS_MAX);
    let mut text = String::new();
    for id in ids {
        let read = |file: &str| read_proc(pid, &format!("task/{id}/{file}")).unwrap_or_default();
        let stat = read("stat");
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().next()).unwrap_or("?");
        // Writing into a String does not fail.
        let _ = writeln!(text, "{id} {} {state} {} {}", read("comm").trim(), read("wchan").trim(), read("schedstat").trim());
    }
    text
}

fn links(pid: u32) -> String {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.take(LINKS_MAX).filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        Some(format!("{} {}\n", entry.file_name().to_string_lossy(), link.display()))
    });
    links.collect()
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(OUTPUT_TAIL);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT_TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_or_else(|_| "none\n".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Names sort by attempt, so the first ones are the oldest.
fn forget_old(dir: &Path, name: &str) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.strip_prefix(name)?.strip_prefix('-'));
        stem.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut files: Vec<PathBuf> = entries.filter(is_ours).collect();
    files.sort();
    for old in files.iter().take(files.len().saturating_sub(KEPT)) {
        // A file that cannot be removed now is tried again with the next attempt.
        let _ = std::fs::remove_file(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_tells_of_threads_and_descriptors_and_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out.log");
        std::fs::write(&output, "last words\n").unwrap();
        let me = Identity { boot_id: "b".into(), pid: std::process::id(), start_ticks: 1 };
        let evidence = dir.path().join("evidence");
        std::fs::create_dir_all(&evidence).unwrap();
        std::fs::write(evidence.join("other-000001.txt"), "").unwrap();
        let mut last = PathBuf::new();
        for attempt in 1..=25 {
            last = gather(&evidence, "me", attempt, &me, &output).unwrap();
        }
        let text = std::fs::read_to_string(last).unwrap();
        assert!(text.contains("VmRSS:") && text.contains("== descriptors\n") && text.ends_with("last words\n"), "{text}");
        let files = std::fs::read_dir(&evidence).unwrap().count();
        assert_eq!(files, KEPT + 1, "the other target's evidence stays");
        assert!(!evidence.join("me-000005.txt").exists() && evidence.join("me-000006.txt").exists());
    }
}
