//! Starting a child so that our own death leaves it untouched: no parent-death signal, no pipe, its own process group, output appended to a file.
//!
//! Its standard input is an empty file that we have locked: the lock lives as long as the child (flock(2): it belongs to the open file, which is inherited),
//! so a successor of ours that finds nobody by name still knows that one was just started. Owns: spawning, the lock, the size of the output file.
//! Must not know: whether it should be started.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::restart::Running;
use rustix::fs::{FlockOperation, flock};

use crate::config::Restart;
use crate::inspect::{host, look_at};

/// Output kept in the file that is written; above, its last part moves to `.1` and it starts anew.
const OUTPUT_MAX: u64 = 32 << 20;
/// What is kept of an output file that grew too large.
const OUTPUT_KEPT: u64 = 8 << 20;
/// How long the lock of a former child is waited for: between its start and its first instruction nobody finds it by name.
const LOCK_WITHIN: Duration = Duration::from_secs(3);

/// A child that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// For reaping.
    pub(super) child: Child,
    /// Who it is.
    pub(super) running: Running,
}

/// Where the output of the child of this restart is appended.
pub(super) fn output_path(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("children").join(format!("{name}.log"))
}

/// Starts the program. Blocks for up to 3 s when a former child still holds the lock. On a dead disk there is no lock and no output, and the child runs all the same.
///
/// # Errors
/// A text for the report.
pub(super) fn start(config: &Restart, data_dir: &Path) -> Result<Started, String> {
    let (program, arguments) = config.command.split_first().ok_or("no command")?;
    let dir = data_dir.join("children");
    let lock = match or_without(&dir.join(format!("{}.lock", config.name)), open_lock) {
        Some(file) => locked(file, &config.name)?.into(),
        None => Stdio::null(),
    };
    let output = or_without(&output_path(data_dir, &config.name), |path| OpenOptions::new().append(true).create(true).open(path));
    let errors = output.as_ref().and_then(|output| output.try_clone().ok());
    let mut command = Command::new(resolve(program));
    command.args(arguments).envs(&config.environment).stdin(lock).process_group(0);
    command.stdout(output.map_or_else(Stdio::null, Stdio::from)).stderr(errors.map_or_else(Stdio::null, Stdio::from));
    if let Some(dir) = &config.workdir {
        command.current_dir(dir);
    }
    let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    // Not reaped yet, so the pid is still this process's.
    let stat = look_at(child.id()).stat.ok_or("the child left no trace in /proc")?;
    let host = host::read().map_err(|error| error.to_string())?;
    let running = Running { identity: host.identity(&stat), uptime: Duration::ZERO, core_dumping: false };
    Ok(Started { child, running })
}

/// A file in a directory that is made when it is missing; without it the child loses something, but not its life.
fn or_without(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Option<File> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| open(path)).inspect_err(|error| tracing::error!(path = %path.display(), %error, "the child is started without this file")).ok()
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn locked(file: File, name: &str) -> Result<File, String> {
    let deadline = Instant::now() + LOCK_WITHIN;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(format!("a former child, or one that it started, still runs: it holds children/{name}.lock"));
            }
            // A file system without locks: nothing is known of a former child.
            Err(_) => return Ok(file),
        }
    }
}

/// A bare name is looked up in PATH; a program that is not there but lies beside our own executable is found too.
fn resolve(program: &str) -> PathBuf {
    let in_path = || std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if program.contains('/') || in_path() {
        return PathBuf::from(program);
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(program)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(program))
}

/// Keeps an output file within its bound. The child appends, so cutting the file to nothing loses only what it writes between the copy and the cut.
pub(super) fn bound_output(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let length = file.metadata()?.len();
    if length <= OUTPUT_MAX {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_KEPT)))?;
    let mut kept = Vec::new();
    (&mut file).take(OUTPUT_KEPT).read_to_end(&mut kept)?;
    File::create(path.with_extension("log.1"))?.write_all(&kept)?;
    file.set_len(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use process::restart::Method;

    use super::*;

    fn config(command: &[&str]) -> Restart {
        let text = "processes: [{name: p, match: {exe: p}}]\nrestarts: [{name: r, process: p, method: child, command: [x]}]\n";
        let loaded = crate::config::parse("w.yml".into(), text.into()).unwrap();
        let mut restart = loaded.config.restarts.into_iter().next().unwrap();
        assert_eq!(restart.policy.method, Method::Child);
        restart.command = command.iter().map(|word| (*word).to_owned()).collect();
        restart.environment = BTreeMap::from([("WORD".to_owned(), "from the configuration".to_owned())]);
        restart
    }

    #[test]
    fn a_child_writes_to_its_file_has_its_own_group_and_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo out $WORD; echo err >&2; read nothing; sleep 60";
        let mut started = start(&config(&["sh", "-c", script]), dir.path()).unwrap();
        assert_eq!(started.running.identity.pid, started.child.id());
        let path = output_path(dir.path(), "r");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read_to_string(&path).unwrap() != "out from the configuration\nerr\n" && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "out from the configuration\nerr\n");
        let stat = host::read_proc(started.child.id(), "stat").unwrap();
        let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap();
        assert_eq!(group, started.child.id().to_string());
        let second = start(&config(&["true"]), dir.path()).unwrap_err();
        assert!(second.contains("still runs"), "{second}");
        started.child.kill().unwrap();
        started.child.wait().unwrap();
    }

    #[test]
    fn without_a_directory_the_child_runs_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("children"), "in the way").unwrap();
        let mut started = start(&config(&["sleep", "60"]), dir.path()).unwrap();
        started.child.kill().unwrap();
        started.child.wait().unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = start(&config(&["no-such-program-at-all"]), dir.path()).unwrap_err();
        assert!(error.contains("no-such-program-at-all"), "{error}");
    }

    #[test]
    fn an_output_file_is_bounded_and_its_end_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let file = File::create(&path).unwrap();
        file.set_len(OUTPUT_MAX).unwrap();
        bound_output(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), OUTPUT_MAX);
        let mut appending = OpenOptions::new().append(true).open(&path).unwrap();
        appending.write_all(b"the end").unwrap();
        bound_output(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        let kept = std::fs::read(dir.path().join("x.log.1")).unwrap();
        assert!(kept.len() as u64 == OUTPUT_KEPT && kept.ends_with(b"the end"));
        appending.write_all(b"more").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"more");
    }
}
