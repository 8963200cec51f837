//! Taking the ports, and naming who holds one that is taken.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

use diagnostics::{Diagnostic, Text};

use crate::config::HttpConfig;

/// The two sockets, listening.
#[derive(Debug)]
pub struct Listeners {
    /// `/health` and its like.
    pub health: TcpListener,
    /// `/metrics`.
    pub metrics: TcpListener,
}

// === impl Listeners ===

impl Listeners {
    /// Takes both ports.
    ///
    /// # Errors
    /// One diagnostic for each port that cannot be had.
    pub fn bind(config: &HttpConfig) -> Result<Self, Vec<Diagnostic>> {
        match (bind(config.health, "http.health"), bind(config.metrics, "http.metrics")) {
            (Ok(health), Ok(metrics)) => Ok(Self { health, metrics }),
            (health, metrics) => Err([health.err(), metrics.err()].into_iter().flatten().map(|found| *found).collect()),
        }
    }
}

fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Box<Diagnostic>> {
    TcpListener::bind(address).map_err(|error| {
        Box::new(match error.kind() {
            io::ErrorKind::AddrInUse => taken(address, option),
            _ => Diagnostic::error("E511", Text::new(format!("cannot listen on {address}: {error}"), format!("无法监听 {address}：{error}")))
                .hint(change(option)),
        })
    })
}

fn taken(address: SocketAddr, option: &str) -> Diagnostic {
    let holders = holders(address.port());
    let named = |none: &str| if holders.is_empty() { none.to_owned() } else { holders.join(", ") };
    let message = Text::new(
        format!("{address} is taken by {}", named("a process that cannot be seen from here (another user's, or another namespace's)")),
        format!("{address} 已被占用：{}", named("此处看不到的进程（其他用户或命名空间）")),
    );
    Diagnostic::error("E510", message).hint(change(option))
}

fn change(option: &str) -> Text {
    Text::new(format!("stop that process, or change `{option}` in the configuration"), format!("请停止该进程，或修改配置中的 `{option}`"))
}

/// Processes that listen on the port, as `pid 123 (/usr/bin/x)`.
fn holders(port: u16) -> Vec<String> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(listening(&fs::read_to_string(table).unwrap_or_default(), port));
    }
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| holds(*pid, &inodes)).map(describe).collect()
}

/// Inodes of the sockets of a `/proc/net/tcp` table that listen on the port (proc_net(5): state 0A, local address is hex IP:PORT).
fn listening(table: &str, port: u16) -> Vec<u64> {
    let of_port = |row: &str| {
        let mut columns = row.split_ascii_whitespace();
        let local = columns.nth(1)?;
        let state = columns.nth(1)?;
        let inode = columns.nth(5)?;
        let listens = state == "0A" && u16::from_str_radix(local.rsplit(':').next()?, 16).ok()? == port;
        listens.then(|| inode.parse().ok())?
    };
    table.lines().skip(1).filter_map(of_port).collect()
}

fn holds(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let inode: Option<u64> = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

fn describe(pid: u32) -> String {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.display().to_string());
    let name = exe.or_else(|_| fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim().to_owned()));
    format!("pid {pid} ({})", name.unwrap_or_else(|_| "?".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_holder_and_the_option_to_change() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let health = holder.local_addr().unwrap();
        let config = HttpConfig { health, metrics: "127.0.0.1:0".parse().unwrap(), health_grace: Duration::ZERO, token_file: None };
        let found = Listeners::bind(&config).unwrap_err();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].message.en.contains(&format!("pid {} ({})", std::process::id(), exe.display())), "{}", found[0].message.en);
        assert!(found[0].hint.as_ref().unwrap().en.contains("`http.health`"));
    }
}
