//! NATS as a sink: JetStream with acknowledgement, or core NATS without.
//!
//! Owns: the thread, the connection, the streams; what became of each record. Must not know: how records are made.
//!
//! The protocol is spoken here and not by the client library, for one reason: after a reconnect the library forgets what it had begun to write and
//! still sends what was queued behind it, so later records overtake earlier ones and no message id mends the order (docs/adr/0004-delivery.md).
//!
//! * [`wire`], [`address`], [`login`]: bytes, URLs, who we are. [`connection`]: one connection to its end. [`link`]: connecting again.
//! * [`ack`], [`streams`]: what JetStream answers. [`publisher`]: the loop. [`desk`], [`relief`], [`drain`], [`doubt`]: what is decided in it.
//! * [`store`]: spool and dead letter. The order of records is kept by [`outbox`](super::outbox).

mod ack;
mod address;
mod connection;
mod core_out;
mod desk;
mod doubt;
mod drain;
mod link;
mod listener;
mod login;
mod meters;
mod publisher;
mod relief;
mod store;
mod streams;
mod wire;

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use segments::OpenError;
use thiserror::Error;

use self::address::Address;
pub use self::core_out::CoreOut;
use self::core_out::core_out;
use self::desk::Desk;
use self::link::Link;
pub(crate) use self::listener::{Told, listen};
use self::login::Login;
use self::publisher::{Entrance, Post, Publisher};
use self::store::Store;
use super::{Started, Worker, queue};
use crate::config::{Access, Config};
use crate::feed::tls;
use crate::gather::{Gather, Haste};
use crate::metrics::{Registry, catalogue as names};
use crate::state::State;

const NAME: &str = "nats";

/// Why the sink cannot be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address, a certificate or the thread.
    #[error("{0}")]
    Setup(#[from] io::Error),
    /// The spool belongs to another process.
    #[error("{0}")]
    Spool(#[source] OpenError),
}

/// Starts the thread; it connects in the background and again after every loss. `config.nats` must be there.
///
/// # Errors
/// When an address or a certificate file does not parse, another process has the spool, or the thread cannot be started.
pub fn start(config: &Config, state: &Arc<State>, registry: &Arc<Registry>) -> Result<Started, StartError> {
    let nats = config.nats.as_ref().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "NATS is not configured"))?;
    let (addresses, tls) = approach(&nats.access)?;
    let (inlet, outlet) = queue(NAME, nats.queue, registry, Some(registry.gauge(&names::NATS_QUEUE_SIZE, &[])));
    let clock = Arc::clone(&state.clock);
    let link = Link::new(addresses, tls, Arc::clone(&clock), registry);
    let store = Store::open(config, &state.streams, registry).map_err(StartError::Spool)?;
    let desk = Desk::new((config, nats), store, (state, registry));
    let (core_out, core_in) = core_out();
    // A second sink of one state does not happen; the first one's connection would stay the one that is used.
    let _first_stays = state.core_out.set(core_out);
    let gather = Arc::new(Gather::new("sink-nats", (config.gather, Haste::Little), registry));
    let resting = Arc::clone(&gather);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(move || resting.rest()).build()?;
    state.count_tasks_of("sink-nats", runtime.handle().clone());
    let post = Post::new(Publisher::new((link, core_in), desk, (clock, gather), outlet));
    let entrance = Entrance::new(inlet, Arc::clone(&post));
    let worker = Worker::spawn(NAME, move || {
        runtime.block_on(post.run());
        // Not dropped: that would wait for a look-up of a name that may hang.
        runtime.shutdown_background();
    })?;
    Ok(Started { sink: Box::new(entrance), worker: Some(worker) })
}

/// The servers with our login, and TLS for them.
fn approach(access: &Access) -> io::Result<(Vec<Address>, Arc<ClientConfig>)> {
    let mut addresses = access.urls.iter().map(|url| url.parse()).collect::<Result<Vec<Address>, _>>().map_err(io::Error::other)?;
    if let Some(file) = &access.login {
        let login = Login::File(file.clone());
        login.check()?;
        // An URL that says who we are knows better.
        for address in addresses.iter_mut().filter(|address| address.login == Login::Nobody) {
            address.login = login.clone();
        }
    }
    let identity = access.certificate.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    Ok((addresses, tls::client_config_as(access.ca_file.as_deref(), identity).map_err(io::Error::other)?))
}
