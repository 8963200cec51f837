//! The inboxes over real sockets.

use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use venue_sim::CancellationToken;
use venue_sim::duration::Span;
use venue_sim::inbox::{Action, Channel, Content, FailSpec, InboxConfig, RobotConfig, RunningInbox, Stage, run_inbox};

use crate::support::{SOON, http};

const SECRET: &str = "SECvenue-sim-test-secret";

struct Inbox {
    inbox: RunningInbox,
    shutdown: CancellationToken,
    http: reqwest::Client,
}

impl Inbox {
    async fn start(robot: RobotConfig) -> Self {
        let shutdown = CancellationToken::new();
        let inbox = run_inbox(InboxConfig { robot, ..InboxConfig::default() }, shutdown.clone()).await.unwrap();
        Self { inbox, shutdown, http: http() }
    }

    fn url(&self, secret: &str) -> String {
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis().to_string();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{stamp}\n{secret}").as_bytes());
        let sign = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let sign = sign.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("{}?access_token=ops&timestamp={stamp}&sign={sign}", self.inbox.addresses().dingtalk)
    }

    async fn post(&self, secret: &str, text: &str) -> reqwest::Result<reqwest::Response> {
        let message =
            json!({"msgtype": "markdown", "markdown": {"title": "告警", "text": text}, "at": {"atMobiles": ["13800000000"], "isAtAll": false}});
        self.http.post(self.url(secret)).json(&message).send().await
    }

    async fn errcode(&self, secret: &str, text: &str) -> Value {
        let response = self.post(secret, text).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["errcode"].take()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.inbox.stopped()).await.expect("the inboxes stop promptly");
    }
}

#[tokio::test]
async fn a_signed_message_is_kept_and_a_badly_signed_one_is_not() {
    let inbox = Inbox::start(RobotConfig::default()).await;
    assert_eq!(inbox.errcode(SECRET, "### 告警\n- **x** <b>").await, 0);
    assert_eq!(inbox.errcode("SECwrong", "y").await, 310_000);
    let web = format!("http://{}/", inbox.inbox.addresses().http);
    let messages: Value = inbox.http.get(format!("{web}messages")).send().await.unwrap().json().await.unwrap();
    assert_eq!(messages.as_array().unwrap().len(), 1);
    assert_eq!((&messages[0]["kind"], &messages[0]["title"], &messages[0]["at"]), (&json!("dingtalk"), &json!("告警"), &json!(["13800000000"])));
    let page = inbox.http.get(format!("{web}?lang=zh")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<h3>告警</h3><ul><li><b>x</b> &lt;b&gt;</li></ul>"), "{page}");
    inbox.stop().await;
}

#[tokio::test]
async fn the_twenty_first_message_of_a_minute_mutes_the_robot() {
    let inbox = Inbox::start(RobotConfig { mute: Duration::from_secs(1), ..RobotConfig::default() }).await;
    for _ in 0..20 {
        assert_eq!(inbox.errcode(SECRET, "x").await, 0);
    }
    assert_eq!(inbox.errcode(SECRET, "x").await, 130_101);
    assert_eq!(inbox.inbox.messages().len(), 20);
    inbox.stop().await;
}

#[tokio::test]
async fn the_robot_fails_as_told() {
    let inbox = Inbox::start(RobotConfig::default()).await;
    let url = format!("http://{}/control/fail", inbox.inbox.addresses().http);
    let fail = async |spec: Value| assert_eq!(inbox.http.post(&url).json(&spec).send().await.unwrap().status(), 200);
    fail(json!({"channel": "dingtalk", "action": {"errcode": -1}})).await;
    assert_eq!(inbox.errcode(SECRET, "x").await, -1);
    fail(json!({"channel": "dingtalk", "action": {"http": 502}})).await;
    assert_eq!(inbox.post(SECRET, "x").await.unwrap().status(), 502);
    for action in [json!("reset"), json!({"hang": "200ms"})] {
        fail(json!({"channel": "dingtalk", "action": action})).await;
        assert!(inbox.post(SECRET, "x").await.is_err());
    }
    assert!(inbox.inbox.messages().is_empty());
    fail(json!({"channel": "dingtalk", "action": "reset_after"})).await;
    assert!(inbox.post(SECRET, "x").await.is_err());
    assert_eq!(inbox.inbox.messages().len(), 1);
    assert_eq!(inbox.errcode(SECRET, "x").await, 0);
    inbox.stop().await;
}

struct Smtp(BufReader<TcpStream>);

impl Smtp {
    async fn connect(inbox: &Inbox) -> Self {
        Self(BufReader::new(TcpStream::connect(inbox.inbox.addresses().smtp.unwrap()).await.unwrap()))
    }

    /// Says a line (nothing if it is empty) and returns the code of the answer; 0 when the connection ended.
    async fn say(&mut self, line: &str) -> u16 {
        if !line.is_empty() {
            self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        }
        loop {
            let mut answer = String::new();
            let read = tokio::time::timeout(SOON, self.0.read_line(&mut answer)).await.unwrap().unwrap_or(0);
            if read == 0 {
                return 0;
            }
            if answer.as_bytes().get(3) == Some(&b' ') {
                return answer[..3].parse().unwrap();
            }
        }
    }

    async fn talk(&mut self, lines: &[(&str, u16)]) {
        for (line, code) in lines {
            assert_eq!(self.say(line).await, *code, "{line}");
        }
    }
}

const MAIL: &str = "Subject: =?utf-8?b?5ZGK6K2m?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nline 1\r\n..dot\r\n.";

#[tokio::test]
async fn a_mail_is_taken_and_decoded() {
    let inbox = Inbox::start(RobotConfig::default()).await;
    let mut smtp = Smtp::connect(&inbox).await;
    smtp.talk(&[
        ("", 220),
        ("EHLO me", 250),
        ("AUTH PLAIN AGEAYg==", 235),
        ("RCPT TO:<early@x>", 503),
        ("MAIL FROM:<a@x> SIZE=99", 250),
        ("RCPT TO:<b@x>", 250),
        ("RCPT TO:<c@x>", 250),
        ("DATA", 354),
        (MAIL, 250),
        ("NONSENSE", 502),
        ("QUIT", 221),
    ])
    .await;
    let messages = inbox.inbox.messages();
    let expected = Content::Mail {
        from: "a@x".into(),
        to: vec!["b@x".into(), "c@x".into()],
        subject: "告警".into(),
        body: "line 1\n.dot\n".into(),
        html: String::new(),
    };
    assert_eq!(messages.iter().map(|m| &m.content).collect::<Vec<_>>(), [&expected]);
    inbox.stop().await;
}

#[tokio::test]
async fn the_mail_server_fails_at_the_step_it_is_told() {
    let inbox = Inbox::start(RobotConfig::default()).await;
    let fail = |stage, action| inbox.inbox.fail(FailSpec { channel: Channel::Smtp, action, count: 1, stage });
    let hello: &[(&str, u16)] = &[("", 220), ("EHLO me", 250), ("MAIL FROM:<a@x>", 250)];
    fail(Stage::Rcpt, Action::Code(451));
    let mut smtp = Smtp::connect(&inbox).await;
    smtp.talk(hello).await;
    smtp.talk(&[("RCPT TO:<b@x>", 451), ("RCPT TO:<b@x>", 250)]).await;
    fail(Stage::Data, Action::Code(554));
    smtp.talk(&[("DATA", 354), (MAIL, 554)]).await;
    fail(Stage::Mail, Action::Hang(Span(Duration::from_millis(200))));
    smtp.talk(&[("MAIL FROM:<a@x>", 0)]).await;
    fail(Stage::Connect, Action::Reset);
    let mut smtp = Smtp::connect(&inbox).await;
    smtp.talk(&[("", 0)]).await;
    assert!(inbox.inbox.messages().is_empty());
    inbox.stop().await;
}
