//! The server of these tests: with or without JetStream, configured or not, paused, and what its streams hold.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};

use crate::nats_server::NatsServer;

pub(crate) const SOON: Duration = Duration::from_mins(1);

/// What makes a server one with JetStream.
const JETSTREAM: [&str; 3] = ["-js", "-sd", "store"];

/// A real nats-server.
pub(crate) struct Server(NatsServer);

impl std::ops::Deref for Server {
    type Target = NatsServer;

    fn deref(&self) -> &NatsServer {
        &self.0
    }
}

impl std::ops::DerefMut for Server {
    fn deref_mut(&mut self) -> &mut NatsServer {
        &mut self.0
    }
}

impl Server {
    /// A server that runs; `None` when there is no program.
    pub(crate) fn start(jetstream: bool) -> Option<Self> {
        NatsServer::start(if jetstream { &JETSTREAM } else { &[] }).map(Self)
    }

    /// One with JetStream and this configuration, whose files are in `dir`.
    pub(crate) fn configured(dir: &std::path::Path, text: &str) -> Option<Self> {
        let file = dir.join("nats.conf");
        std::fs::write(&file, text).unwrap();
        let words = ["-c", file.to_str().unwrap()];
        NatsServer::start(&[&words[..], &JETSTREAM[..]].concat()).map(Self)
    }

    /// From now on with JetStream, at the next start.
    pub(crate) fn learn_jetstream(&mut self) {
        self.0.arguments.extend(JETSTREAM.map(str::to_owned));
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.0.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.0.child.is_some()
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
