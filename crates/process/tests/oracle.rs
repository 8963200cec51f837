//! Our readers against the procfs crate, on a process we know: ourselves.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "the oracle and we read the real /proc of this very process"
)]
use std::fs;

use process::descriptors::Descriptors;
use process::limits::{Limit, max_open_files};
use process::sockets::{SocketCounts, TcpState, rows};
use process::stat::Stat;
use process::status::Status;
use procfs::process::{FDTarget, LimitValue, Process};

fn text(file: &str) -> String {
    fs::read_to_string(format!("/proc/self/{file}")).unwrap()
}

#[test]
fn stat_reads_as_the_oracle_does() {
    let theirs = Process::myself().unwrap().stat().unwrap();
    let ours = Stat::parse(&text("stat")).unwrap();
    assert_eq!((i64::from(ours.pid), ours.comm, i64::from(ours.ppid)), (i64::from(theirs.pid), theirs.comm, i64::from(theirs.ppid)));
    assert_eq!(ours.start_ticks, theirs.starttime);
    assert!(ours.utime + ours.stime >= theirs.utime + theirs.stime);
    assert!(ours.vsize_bytes > 0 && ours.rss_pages > 0);
}

#[test]
fn status_reads_as_the_oracle_does() {
    let theirs = Process::myself().unwrap().status().unwrap();
    let ours = Status::parse(&text("status"));
    assert_eq!(ours.euid, Some(theirs.euid));
    assert_eq!(ours.core_dumping, theirs.core_dumping);
    let near = |ours: Option<u64>, theirs: Option<u64>| ours.unwrap().abs_diff(theirs.unwrap() * 1024) < 8 << 20;
    assert!(near(ours.rss_bytes, theirs.vmrss) && near(ours.anon_bytes, theirs.rssanon) && near(ours.swap_bytes, theirs.vmswap));
}

#[test]
fn the_descriptor_limit_reads_as_the_oracle_does() {
    let theirs = match Process::myself().unwrap().limits().unwrap().max_open_files.soft_limit {
        LimitValue::Unlimited => Limit::Unlimited,
        LimitValue::Value(most) => Limit::At(most),
    };
    assert_eq!(max_open_files(&text("limits")), Some(theirs));
}

#[test]
fn our_own_sockets_are_found_and_counted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    drop(client);
    std::thread::yield_now();
    let mut held = Descriptors::default();
    for fd in Process::myself().unwrap().fd().unwrap().flatten() {
        if let FDTarget::Socket(inode) = fd.target {
            held.add(&format!("socket:[{inode}]"));
        }
    }
    let mut counts = SocketCounts::default();
    for _ in 0..1_000 {
        counts = SocketCounts::default();
        counts.add_table(&text("net/tcp"), &held);
        if counts.get(TcpState::CloseWait) == 1 {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!((counts.get(TcpState::Listen), counts.get(TcpState::CloseWait)), (1, 1));
    let theirs = procfs::net::tcp()
        .unwrap()
        .into_iter()
        .find(|row| row.local_address.port() == listener.local_addr().unwrap().port() && row.inode != 0)
        .unwrap();
    let ours = rows(&text("net/tcp")).find(|row| row.inode == theirs.inode).unwrap();
    assert_eq!(ours.local_port, theirs.local_address.port());
    drop(server);
}
