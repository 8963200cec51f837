//! `collector tap SUBJECT`: live messages from NATS.
//!
//! Owns: what is printed. Must not know: the protocol. Messages go to standard output, one a line; who is asked and the rate go to standard error.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::{EXIT_UNAVAILABLE, File, complain};
use crate::config::{Access, Environment};
use crate::sink::nats::{Told, listen};

/// Where the configuration names none.
const DEFAULT_SERVER: &str = "nats://127.0.0.1:4222";
/// A server that went away is looked for this often.
const AGAIN: Duration = Duration::from_secs(1);
/// A line of rates after so many seconds.
const RATES: u64 = 5;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Subject; `*` stands for one word, a last `>` for all that follow
    #[arg(value_name = "SUBJECT", default_value = ">", value_parser = subject)]
    subject: String,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Bodies only, as they are
    #[arg(long, conflicts_with = "pretty")]
    raw: bool,
    /// Bodies as indented JSON
    #[arg(long)]
    pretty: bool,
    /// Servers and login, separated by commas (default: the configuration's `nats.url`, else nats://127.0.0.1:4222)
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Configuration file: server, login and authorities, if it is there
    #[arg(long, value_name = "FILE", default_value = "collector.yml")]
    config: PathBuf,
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    messages: u64,
    bytes: u64,
    seconds: u64,
    /// A server has answered.
    subscribed: bool,
    /// At the last line of rates.
    before: (u64, u64),
}

/// Shows messages until `--count` is reached or Ctrl-C; 69 when no server answers at first. Later a server that is away is waited for.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let configured = File::read(&arguments.config, None, environment).loaded.config.and_then(|config| config.nats);
    let mut access = configured.map(|nats| nats.access).unwrap_or_default();
    if let Some(server) = &arguments.server {
        access.urls = server.split(',').map(|url| url.trim().to_owned()).collect();
    } else if access.urls.is_empty() {
        access.urls = vec![DEFAULT_SERVER.to_owned()];
    }
    let mut seen = Seen::default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error.into()),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = Box::pin(keep_listening(arguments, &access, &mut seen)) => ended,
            _interrupted = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    complain(&format!("{} messages, {} bytes in {} s\n", seen.messages, seen.bytes, seen.seconds));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("collector: {error}\n"));
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

/// Listens, and again when the connection has ended; what was published meanwhile is not seen, and that is said.
async fn keep_listening(arguments: &Arguments, access: &Access, seen: &mut Seen) -> Result<(), std::io::Error> {
    let mut away = None;
    loop {
        let listening = listen(access, &arguments.subject, |told| {
            if let (Told::Subscribed(..), Some(since)) = (&told, away.take()) {
                let since: Instant = since;
                complain(&format!("# back after {:.1} s; what was published meanwhile was not seen\n", since.elapsed().as_secs_f64()));
            }
            tell(arguments, seen, &told)
        });
        match listening.await {
            Err(error) if seen.subscribed => {
                if away.is_none() {
                    complain(&format!("# {error}; waiting for the server\n"));
                    away = Some(Instant::now());
                }
                tokio::time::sleep(AGAIN).await;
            }
            ended => return ended,
        }
    }
}

fn tell(arguments: &Arguments, seen: &mut Seen, told: &Told<'_>) -> ControlFlow<()> {
    match told {
        Told::Subscribed(server, version) => {
            seen.subscribed = true;
            complain(&format!("listening to {} at {server} (NATS {version}); Ctrl-C ends\n", arguments.subject));
        }
        Told::Message(subject, body) => {
            seen.messages += 1;
            seen.bytes += body.len() as u64;
            let mut out = std::io::stdout().lock();
            // A reader that has gone away, as `head` does, wants no more.
            let written = out.write_all(&shown(arguments, subject, body)).and_then(|()| out.flush());
            if written.is_err() || arguments.count.is_some_and(|count| seen.messages >= count) {
                return ControlFlow::Break(());
            }
        }
        Told::Tick => seen.second(),
    }
    ControlFlow::Continue(())
}

/// A blank would end the subject on the wire.
fn subject(text: &str) -> Result<String, String> {
    let bad = text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
    if bad { Err("a subject has no blanks".to_owned()) } else { Ok(text.to_owned()) }
}

fn shown(arguments: &Arguments, subject: &str, body: &[u8]) -> Vec<u8> {
    let pretty = || serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|value| serde_json::to_vec_pretty(&value).ok());
    let body = if arguments.pretty { pretty().unwrap_or_else(|| body.to_vec()) } else { body.to_vec() };
    let head = if arguments.raw { Vec::new() } else { format!("{subject} ").into_bytes() };
    [head, body, b"\n".to_vec()].concat()
}

// === impl Seen ===

impl Seen {
    fn second(&mut self) {
        // The first tick comes at once.
        self.seconds += 1;
        if self.seconds.is_multiple_of(RATES) {
            let (messages, bytes) = ((self.messages - self.before.0) / RATES, (self.bytes - self.before.1) / RATES);
            complain(&format!("# {messages} messages/s, {bytes} bytes/s, {} in all\n", self.messages));
            self.before = (self.messages, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn a_message_is_shown_with_its_subject_raw_or_indented() {
        let show = |options: &[&str], body: &str| {
            let only = Only::try_parse_from([&["tap", "a.>"], options].concat()).unwrap();
            String::from_utf8(shown(&only.arguments, "a.b", body.as_bytes())).unwrap()
        };
        assert_eq!(show(&[], "{\"n\":1}"), "a.b {\"n\":1}\n");
        assert_eq!(show(&["--raw"], "{\"n\":1}"), "{\"n\":1}\n");
        assert_eq!(show(&["--pretty"], "{\"n\":1}"), "a.b {\n  \"n\": 1\n}\n");
        assert_eq!(show(&["--pretty"], "no json"), "a.b no json\n");
        assert!(Only::try_parse_from(["tap", "a", "--raw", "--pretty"]).is_err());
    }
}
