//! Handles to processes: a pid alone may name another process by the time it is used.
//!
//! Owns: opening a handle to exactly one process (pidfd, then the start compared), signalling through it, waiting for its end.
//! Must not know: why. (pidfd_open(2), pidfd_send_signal(2): Linux 5.3; the comparison closes the race between reading the pid and opening the handle.)

use std::io;
use std::os::fd::OwnedFd;

use process::Identity;
use process::restart::{Signal, SignalError};
use process::stat::Stat;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::inspect::host;

/// A handle to exactly the process of `identity`; `None` when it is no more (a zombie counts as alive here: its end is readable at once).
///
/// # Errors
/// When the kernel gives no handle for another reason (no pidfd in this kernel, no descriptors left).
pub fn open(identity: &Identity) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    if host::boot_id() != identity.boot_id {
        return Ok(None);
    }
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let same =
        host::read_proc(identity.pid, "stat").and_then(|text| Stat::parse(&text).ok()).is_some_and(|stat| stat.start_ticks == identity.start_ticks);
    Ok(same.then_some(handle))
}

/// Sends the signal to exactly this process.
///
/// # Errors
/// It is gone, or may not be signalled.
pub fn signal(identity: &Identity, signal: Signal) -> Result<(), SignalError> {
    let Some(handle) = open(identity).map_err(|_| SignalError::Denied)? else { return Err(SignalError::Gone) };
    let number = match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    match pidfd_send_signal(&handle, number) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::SRCH) => Err(SignalError::Gone),
        Err(_) => Err(SignalError::Denied),
    }
}

/// Returns when the process of `identity` has ended; at once when it is no more.
///
/// # Errors
/// As [`open`], or when the handle cannot be watched.
pub async fn ended(identity: &Identity) -> io::Result<()> {
    let Some(handle) = open(identity)? else { return Ok(()) };
    let _ready = watch(handle)?.readable().await?;
    Ok(())
}

#[expect(
    deprecated,
    reason = "the caveat is about types that lend a descriptor they do not own; an OwnedFd owns its, so the safe constructor is sound here"
)]
fn watch(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(handle, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn identity_of(pid: u32) -> Identity {
        let stat = Stat::parse(&host::read_proc(pid, "stat").unwrap()).unwrap();
        Identity { boot_id: host::boot_id(), pid, start_ticks: stat.start_ticks }
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed_and_a_reused_pid_is_not_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = identity_of(child.id());
        let namesake = Identity { start_ticks: identity.start_ticks + 1, ..identity.clone() };
        assert_eq!(signal(&namesake, Signal::Kill), Err(SignalError::Gone));
        let other_boot = Identity { boot_id: "another".into(), ..identity.clone() };
        assert_eq!(signal(&other_boot, Signal::Kill), Err(SignalError::Gone));
        assert!(child.try_wait().unwrap().is_none(), "only the process of the whole identity may be hit");
        let watched = identity.clone();
        let watcher = tokio::spawn(async move { ended(&watched).await });
        assert_eq!(signal(&identity, Signal::Term), Ok(()));
        tokio::time::timeout(Duration::from_mins(1), watcher).await.unwrap().unwrap().unwrap();
        child.wait().unwrap();
        assert_eq!(signal(&identity, Signal::Term), Err(SignalError::Gone));
        tokio::time::timeout(Duration::from_mins(1), ended(&identity)).await.unwrap().unwrap();
    }
}
