//! The engine's task: commands first, then the feed, one at a time.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::feed::Gate;
use super::{Command, Engine, Moment};

/// Commands waiting for the engine.
const COMMANDS: usize = 1_024;

/// Starts the engine; it ends with `shutdown`.
pub fn spawn(engine: Engine, tasks: &TaskTracker, shutdown: CancellationToken) -> mpsc::Sender<Command> {
    let (sender, receiver) = mpsc::channel(COMMANDS);
    tasks.spawn(run(engine, receiver, shutdown));
    sender
}

async fn run(mut engine: Engine, mut commands: mpsc::Receiver<Command>, shutdown: CancellationToken) {
    loop {
        let gate = engine.gate(Moment::now());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            command = commands.recv() => match command {
                Some(command) => engine.handle(command, Moment::now()),
                None => return,
            },
            () = pass(gate) => engine.turn(Moment::now()),
        }
    }
}

async fn pass(gate: Gate) {
    match gate {
        Gate::Now => tokio::task::yield_now().await,
        Gate::At(at) => tokio::time::sleep_until(at.into()).await,
        // A closed queue lets the engine pass too: it drops what was meant for it.
        Gate::Blocked(queue) => drop(queue.reserve().await),
        Gate::Idle => std::future::pending().await,
    }
}
