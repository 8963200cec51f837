//! The programs of the demo: started, watched, and all gone at the end.
//!
//! Owns: their processes. The watchdog's children outlive it by design, so the demo adopts orphans (child subreaper) and ends every
//! descendant itself. Must not know: what the programs are for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The running programs, in the order they were started.
#[derive(Debug)]
pub(super) struct Cast {
    dir: PathBuf,
    members: Vec<(String, Child)>,
}

/// A descendant of the demo, as /proc tells it.
#[derive(Clone, Debug)]
pub(super) struct Descendant {
    /// Process id.
    pub pid: i32,
    /// Command line, arguments separated by blanks.
    pub command: String,
}

// === impl Cast ===

impl Cast {
    /// No program yet; their output goes to files in `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        nix::sys::prctl::set_child_subreaper(true).context("cannot become the reaper of orphaned children")?;
        Ok(Self { dir: dir.to_owned(), members: Vec::new() })
    }

    /// Starts a program; its output goes to `<name>.log`.
    pub(super) fn start(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = File::create(self.dir.join(format!("{name}.log")))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}; build it first: make demo-build", command.get_program().to_string_lossy()))?;
        self.members.push((name.to_owned(), child));
        Ok(())
    }

    /// An error that quotes the end of the log if a program has ended that should be running.
    pub(super) fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.members {
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
                bail!("{name} ended by itself ({status}); its last lines:\n{tail}");
            }
        }
        Ok(())
    }

    /// Asks every descendant to end, waits, kills what is left, reaps all. The members end last to first, so that nobody restarts anybody.
    pub(super) fn stop(&mut self) {
        while let Some((_, mut child)) = self.members.pop() {
            signal(i32::try_from(child.id()).unwrap_or(i32::MAX), Signal::SIGTERM);
            let deadline = Instant::now() + GRACE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            if matches!(child.try_wait(), Ok(None)) {
                signal(i32::try_from(child.id()).unwrap_or(i32::MAX), Signal::SIGKILL);
                let _ = child.wait();
            }
        }
        end_orphans();
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends what the members left behind: SIGCONT and SIGTERM first, SIGKILL after the grace.
fn end_orphans() {
    for one in descendants() {
        signal(one.pid, Signal::SIGTERM);
        signal(one.pid, Signal::SIGCONT);
    }
    let deadline = Instant::now() + GRACE;
    loop {
        while matches!(waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()) {}
        let left = descendants();
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            for one in &left {
                signal(one.pid, Signal::SIGKILL);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The running descendant whose command line contains all of `words`.
pub(super) fn find(words: &[&str]) -> Option<Descendant> {
    descendants().into_iter().find(|one| words.iter().all(|word| one.command.contains(word)))
}

/// Sends a signal; a process that is gone already is what was wanted.
pub(super) fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// All living descendants of this process.
fn descendants() -> Vec<Descendant> {
    let mut all: Vec<(i32, i32)> = Vec::new();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok())) {
        if let Some(parent) = living_parent(pid) {
            all.push((pid, parent));
        }
    }
    let mut family = vec![i32::try_from(std::process::id()).unwrap_or(0)];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    family.iter().skip(1).map(|pid| Descendant { pid: *pid, command: command_line(*pid) }).collect()
}

/// The parent of a process that is no zombie.
fn living_parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}
