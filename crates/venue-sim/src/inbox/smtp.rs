//! A mail server that delivers to the list: RFC 5321 as far as senders use it, plain or LOGIN authentication that accepts anybody, and failures on request.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Desk;
use super::mail;
use super::script::{Action, Channel, Stage};
use super::store::Content;

/// Longest command line.
const LINE_MAX: u64 = 4_096;
/// Largest message.
const MESSAGE_MAX: usize = 2 << 20;
/// Patience with a silent client.
const IDLE: Duration = Duration::from_mins(5);

/// One client's dialogue.
struct Dialogue {
    desk: Desk,
    socket: BufReader<TcpStream>,
    from: Option<String>,
    to: Vec<String>,
}

/// The dialogue is over.
struct Over;

type Step = Result<(), Over>;

/// Serves mail until the end.
pub(super) async fn run(listener: TcpListener, desk: Desk, shutdown: CancellationToken) {
    let clients = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let dialogue = Dialogue { desk: desk.clone(), socket: BufReader::new(stream), from: None, to: Vec::new() };
        let ending = shutdown.clone();
        clients.spawn(async move {
            tokio::select! {
                () = ending.cancelled() => {}
                () = dialogue.hold() => {}
            }
        });
    }
    clients.close();
    clients.wait().await;
}

// === impl Dialogue ===

impl Dialogue {
    async fn hold(mut self) {
        if self.may_fail(Stage::Connect).await.is_err() || self.say("220 venue-sim ESMTP").await.is_err() {
            return;
        }
        while let Some(line) = self.line().await {
            if self.obey(&line).await.is_err() {
                return;
            }
        }
    }

    async fn obey(&mut self, line: &str) -> Step {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.say("250-venue-sim\r\n250-SIZE 2097152\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN").await,
            "HELO" | "NOOP" => self.say("250 venue-sim").await,
            "AUTH" => self.authenticate(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.recipient(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.forget();
                self.say("250 2.0.0 OK").await
            }
            "QUIT" => {
                // The client has what it wanted; whether it hears the goodbye does not matter.
                drop(self.say("221 2.0.0 Bye").await);
                Err(Over)
            }
            _ => self.say("502 5.5.2 Command not recognized").await,
        }
    }

    async fn authenticate(&mut self, rest: &str) -> Step {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let asks: &[&str] = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" if initial.is_empty() => &["334 "],
            "PLAIN" => &[],
            "LOGIN" => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            _ => return self.say("504 5.5.4 Unrecognized authentication type").await,
        };
        for ask in asks {
            self.say(ask).await?;
            self.line().await.ok_or(Over)?;
        }
        self.say("235 2.7.0 Authentication successful").await
    }

    async fn mail(&mut self, rest: &str) -> Step {
        if !self.may_fail(Stage::Mail).await? {
            return Ok(());
        }
        self.forget();
        self.from = Some(address(rest));
        self.say("250 2.1.0 OK").await
    }

    async fn recipient(&mut self, rest: &str) -> Step {
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first").await;
        }
        if !self.may_fail(Stage::Rcpt).await? {
            return Ok(());
        }
        self.to.push(address(rest));
        self.say("250 2.1.5 OK").await
    }

    async fn data(&mut self) -> Step {
        if self.to.is_empty() {
            return self.say("503 5.5.1 RCPT first").await;
        }
        self.say("354 End data with <CR><LF>.<CR><LF>").await?;
        let Some(message) = self.message().await? else { return self.say("552 5.3.4 Message too big").await };
        let failure = self.desk.script.take(Channel::Smtp, Stage::Data);
        if failure.is_none_or(|action| action == Action::ResetAfter) {
            let mail = mail::read(&message);
            let (from, to) = (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
            self.desk.store.add(Content::Mail { from, to, subject: mail.subject, body: mail.text, html: mail.html });
        }
        self.forget();
        match failure {
            Some(action) => self.fail(action).await,
            None => self.say("250 2.0.0 OK: queued").await,
        }
    }

    /// The message up to the lone dot, unstuffed; `None` if it is too big.
    async fn message(&mut self) -> Result<Option<String>, Over> {
        let mut message = Vec::new();
        let mut fits = true;
        loop {
            let mut line = Vec::new();
            let read = tokio::time::timeout(IDLE, self.socket.read_until(b'\n', &mut line)).await.map_err(|_| Over)?.map_err(|_| Over)?;
            if read == 0 {
                return Err(Over);
            }
            if line == b".\r\n" || line == b".\n" {
                return Ok(fits.then(|| String::from_utf8_lossy(&message).into_owned()));
            }
            fits = fits && message.len() + line.len() <= MESSAGE_MAX;
            if fits {
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
        }
    }

    /// Carries out a failure that is due at this step; `false` if it answered in place of the step.
    async fn may_fail(&mut self, stage: Stage) -> Result<bool, Over> {
        match self.desk.script.take(Channel::Smtp, stage) {
            None => Ok(true),
            Some(action) => self.fail(action).await.map(|()| false),
        }
    }

    async fn fail(&mut self, action: Action) -> Step {
        match action {
            Action::Code(code) => {
                let class = code / 100;
                self.say(&format!("{code} {class}.0.0 as told")).await
            }
            Action::Hang(span) => {
                tokio::time::sleep(span.0).await;
                Err(Over)
            }
            Action::Reset | Action::ResetAfter => {
                // On an error the socket is gone already.
                drop(self.socket.get_ref().set_zero_linger());
                Err(Over)
            }
            Action::Errcode(_) | Action::Http(_) => self.say("451 4.0.0 as told").await,
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let mut limited = (&mut self.socket).take(LINE_MAX);
        let read = tokio::time::timeout(IDLE, limited.read_line(&mut line)).await.ok()?.ok()?;
        (read > 0 && line.ends_with('\n')).then(|| line.trim_end().to_owned())
    }

    async fn say(&mut self, text: &str) -> Step {
        self.socket.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.map_err(|_| Over)
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// `FROM:<a@b> SIZE=1` → `a@b`.
fn address(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, tail)| tail.split_once('>')).map(|(address, _)| address);
    inner.or_else(|| rest.split_once(':').map(|(_, tail)| tail)).unwrap_or(rest).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_from_their_brackets() {
        for (text, expected) in [("FROM:<a@b> SIZE=1", "a@b"), ("TO:<>", ""), ("TO: c@d", "c@d")] {
            assert_eq!(address(text), expected);
        }
    }
}
