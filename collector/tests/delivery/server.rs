//! A real nats-server that a test kills, pauses and starts again, and what its streams hold.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::pull};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A server whose store outlives its process.
pub(crate) struct Server {
    program: PathBuf,
    child: Option<Child>,
    pub(crate) port: u16,
    dir: tempfile::TempDir,
    jetstream: bool,
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

impl Server {
    /// A server that runs; `None` when there is no program.
    pub(crate) fn start(jetstream: bool) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { program: program()?, child: None, port, dir: tempfile::tempdir().unwrap(), jetstream };
        server.run();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the process (again).
    pub(crate) fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]).current_dir(&self.dir).stdout(Stdio::null()).stderr(Stdio::null());
        if self.jetstream {
            command.args(["-js", "-sd", "store"]);
        }
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From now on with JetStream, at the next start.
    pub(crate) fn learn_jetstream(&mut self) {
        self.jetstream = true;
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.unwrap())
    }

    /// Sequences of every message of a stream, by subject, in the stream's order.
    pub(crate) async fn stored(&self, stream: &str) -> std::collections::BTreeMap<String, Vec<u64>> {
        let context = self.jetstream().await;
        let mut stream = context.get_stream(stream).await.unwrap();
        let total = stream.info().await.unwrap().state.messages;
        let consumer = stream
            .create_consumer(pull::OrderedConfig { deliver_policy: jetstream::consumer::DeliverPolicy::All, ..Default::default() })
            .await
            .unwrap();
        let mut messages = consumer.messages().await.unwrap().take(usize::try_from(total).unwrap());
        let mut found = std::collections::BTreeMap::<String, Vec<u64>>::new();
        while let Some(message) = tokio::time::timeout(SOON, messages.next()).await.expect("every message of the stream comes") {
            let message = message.unwrap();
            let record: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            let sequence = record["sequence"].as_u64().unwrap();
            let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).unwrap().as_str().to_owned();
            let prefix = message.subject.as_str().replace('.', ":");
            assert!(id.starts_with(&format!("{prefix}:{sequence}:")), "{id}");
            found.entry(message.subject.to_string()).or_default().push(sequence);
        }
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.go_on();
        self.kill();
    }
}
