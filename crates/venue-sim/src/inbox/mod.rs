//! Inboxes that take what the watchdog sends and show it: a DingTalk robot that checks and answers as the real one does, and an SMTP server.

mod http;
mod mail;
mod markdown;
mod page;
mod robot;
mod script;
mod smtp;
mod store;

pub use robot::RobotConfig;
pub use script::{Action, Channel, FailSpec, Stage};
pub use store::{Content, Message};

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::net::{BreakHandle, BreakableListener};
use robot::Robot;
use script::Script;
use store::Store;

/// HTTP connections between the port and the HTTP side.
const BACKLOG: usize = 64;

/// What the inboxes are to do.
#[derive(Debug, Clone)]
pub struct InboxConfig {
    /// Where the robot, the page and the control paths listen.
    pub dingtalk: SocketAddr,
    /// Where the mail server listens; absent: none.
    pub smtp: Option<SocketAddr>,
    /// The robot's checks and limits.
    pub robot: RobotConfig,
    /// Messages kept; the oldest go first.
    pub keep: usize,
}

/// Where the inboxes listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxAddresses {
    /// Host and port of the robot, the page and the list.
    pub http: SocketAddr,
    /// Host and port of the mail server.
    pub smtp: Option<SocketAddr>,
    /// URL of the robot, without token and signature.
    pub dingtalk: String,
}

/// Running inboxes.
#[derive(Debug)]
pub struct RunningInbox {
    addresses: InboxAddresses,
    desk: Desk,
    tasks: TaskTracker,
}

/// What robot, mail server and page share.
#[derive(Debug, Clone)]
struct Desk {
    store: Arc<Store>,
    script: Arc<Script>,
    robot: Arc<Robot>,
}

// === impl InboxConfig ===

impl Default for InboxConfig {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { dingtalk: any, smtp: Some(any), robot: RobotConfig::default(), keep: 500 }
    }
}

/// Starts the inboxes; they run until `shutdown`.
pub async fn run_inbox(config: InboxConfig, shutdown: CancellationToken) -> Result<RunningInbox> {
    let tasks = TaskTracker::new();
    let desk = Desk { store: Arc::new(Store::new(config.keep)), script: Arc::new(Script::default()), robot: Arc::new(Robot::new(config.robot)) };
    let listener = TcpListener::bind(config.dingtalk).await.with_context(|| format!("listen on {}", config.dingtalk))?;
    let address = listener.local_addr()?;
    let smtp = match config.smtp {
        Some(at) => Some(TcpListener::bind(at).await.with_context(|| format!("listen on {at}"))?),
        None => None,
    };
    let smtp_address = smtp.as_ref().map(TcpListener::local_addr).transpose()?;
    tasks.spawn(serve_http(listener, address, desk.clone(), shutdown.clone()));
    if let Some(listener) = smtp {
        tasks.spawn(smtp::run(listener, desk.clone(), shutdown));
    }
    tasks.close();
    let addresses = InboxAddresses { http: address, smtp: smtp_address, dingtalk: format!("http://{address}/robot/send") };
    Ok(RunningInbox { addresses, desk, tasks })
}

// === impl RunningInbox ===

impl RunningInbox {
    /// Where the inboxes listen.
    pub fn addresses(&self) -> &InboxAddresses {
        &self.addresses
    }

    /// What came so far, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.desk.store.all()
    }

    /// Makes the next attempts fail.
    pub fn fail(&self, spec: FailSpec) {
        self.desk.script.add(spec);
    }

    /// Waits until everything has ended after the shutdown.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

async fn serve_http(listener: TcpListener, address: SocketAddr, desk: Desk, shutdown: CancellationToken) {
    let (sender, accepted) = mpsc::channel(BACKLOG);
    let service = http::router(desk).into_make_service_with_connect_info::<BreakHandle>();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok(pair) => drop(sender.send(pair).await),
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        // Not graceful: an answer that hangs on purpose would hold the end.
        () = shutdown.cancelled() => {}
        () = accept => {}
        result = async { axum::serve(BreakableListener::new(accepted, address), service).await } => if let Err(error) = result {
            tracing::error!(%error, "HTTP side ended");
        },
    }
}
