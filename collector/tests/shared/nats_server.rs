//! A real nats-server for a test: found, started, killed, started again on the same port and store. Included by path from the test programs that need one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use venue_sim::port::Port;

/// For everything that shall happen soon, on a loaded machine.
const SOON: Duration = Duration::from_mins(1);

/// A server whose store outlives its process; it ends with the test.
pub(crate) struct NatsServer {
    program: PathBuf,
    pub(crate) child: Option<Child>,
    pub(crate) port: u16,
    _reserved: Port,
    dir: tempfile::TempDir,
    /// Command line after address and port.
    pub(crate) arguments: Vec<String>,
}

/// The server's program; without it the test fails, unless SKIP_TOOLS=1.
fn program() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/nats-server");
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).map(|dir| dir.join("nats-server"));
    let found = [here].into_iter().chain(on_path).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("SKIP_TOOLS").is_some_and(|value| value == "1"), "nats-server is missing: run `make tools` (or set SKIP_TOOLS=1)");
        println!("not run: nats-server is missing (SKIP_TOOLS=1)");
    }
    found
}

impl NatsServer {
    /// A server that runs; `None` when there is no program.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let reserved = Port::reserve().unwrap();
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let mut server =
            Self { program: program()?, child: None, port: reserved.number(), _reserved: reserved, dir: tempfile::tempdir().unwrap(), arguments };
        server.run();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the process (again).
    pub(crate) fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]).args(&self.arguments);
        self.child = Some(command.current_dir(&self.dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // SIGKILL ends a paused process too.
        self.kill();
    }
}
