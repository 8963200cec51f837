//! A program under measurement: started, looked at through /proc, ended.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second of /proc/PID/stat; Linux has used 100 on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
}

/// What /proc says at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Resident memory in MB (10^6 bytes).
    pub(crate) rss_mb: f64,
    /// Peak of it since the start.
    pub(crate) peak_mb: f64,
    /// User and system seconds since the start.
    pub(crate) cpu_s: f64,
}

// === impl Program ===

impl Program {
    /// Starts a program; output goes to `<dir>/<name>.log`.
    pub(crate) fn start(name: &'static str, dir: &Path, command: &mut Command) -> Result<Self> {
        let log = File::create(dir.join(format!("{name}.log")))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; the exit code, `None` when it did not come or was a signal's.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its figures now.
    pub(crate) fn look(&self) -> Result<Look> {
        look(self.pid()).with_context(|| format!("{} is gone; see its log", self.name))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The figures of any process.
pub(crate) fn look(pid: u32) -> Result<Look> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let kib = |key: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(Look { rss_mb: kib("VmRSS:") * 1024.0 / 1e6, peak_mb: kib("VmHWM:") * 1024.0 / 1e6, cpu_s: (ticks(11) + ticks(12)) / TICKS_PER_SECOND })
}

/// What this thread has had of the processor: beside other programs it says more than the wall clock.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Waits until `ready` says so.
pub(crate) fn wait_until(what: &str, within: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + within;
    while !ready() {
        if Instant::now() > deadline {
            bail!("{what}: not within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A loopback address that nobody listens on now.
pub(crate) fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// An empty directory for one run.
pub(crate) fn fresh_dir(name: &str) -> Result<std::path::PathBuf> {
    let dir = std::env::temp_dir().join(format!("tidemark-bench-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Sends a signal by its name; the shell's own `kill` needs no unsafe code and no crate.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status()?;
    if !status.success() {
        bail!("cannot send {name} to {pid}");
    }
    Ok(())
}

/// A plain POST; an error when it is not answered with 200.
pub(crate) fn post(address: &str, path: &str, body: &str) -> Result<()> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    if reply.split(' ').nth(1) != Some("200") {
        bail!("POST {path}: {}", reply.lines().next().unwrap_or("no answer"));
    }
    Ok(())
}

/// The body of a plain GET, empty when it fails.
pub(crate) fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let fetch = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    };
    fetch().unwrap_or_default()
}
