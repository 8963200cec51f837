//! Which process is meant: the one already followed while it lives, else whoever matches.
//!
//! Owns: gathering candidates. Must not know: how they are compared (`process::matching`).

use process::matching::{Candidate, Choice, Match};
use process::sockets::listeners;
use process::stat::{RunState, Stat};
use process::{Host, Identity};

use super::host::{pids, read_proc};
use super::look::links;

/// The process, if there is one. Ourselves and zombies are nobody.
pub(super) fn find(matching: &Match, followed: Option<&Identity>, host: &Host) -> Option<Choice> {
    if let Some(identity) = followed.filter(|identity| still_lives(identity, host)) {
        return Some(Choice { pid: identity.pid, matched: 1 });
    }
    if let Some(file) = &matching.pidfile {
        let pid = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
        return matching.choose(&[candidate(pid, matching)?]);
    }
    let candidates: Vec<Candidate> = pids().into_iter().filter(|pid| *pid != std::process::id()).filter_map(|pid| candidate(pid, matching)).collect();
    matching.choose(&candidates)
}

fn still_lives(identity: &Identity, host: &Host) -> bool {
    identity.boot_id == host.boot_id && alive(identity.pid).is_some_and(|stat| stat.start_ticks == identity.start_ticks)
}

fn alive(pid: u32) -> Option<Stat> {
    let stat = Stat::parse(&read_proc(pid, "stat")?).ok()?;
    (stat.state != Some(RunState::Zombie)).then_some(stat)
}

/// What the match needs to know of a process; descriptors are looked at only when the command matches.
fn candidate(pid: u32, matching: &Match) -> Option<Candidate> {
    let stat = alive(pid)?;
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.to_string_lossy().into_owned());
    let argv = read_proc(pid, "cmdline").unwrap_or_default();
    let argv = argv.split_terminator('\0').map(str::to_owned).collect();
    let mut candidate = Candidate { pid, start_ticks: stat.start_ticks, exe, argv, listens: None };
    if !matching.by_command(&candidate) {
        return None;
    }
    if let Some(port) = matching.listen {
        candidate.listens = listens(pid, port);
    }
    Some(candidate)
}

/// Whether the process holds a socket that listens on the port; `None` when its descriptors may not be read.
fn listens(pid: u32, port: u16) -> Option<bool> {
    let held = links(pid)?;
    let tables = ["net/tcp", "net/tcp6"].into_iter().filter_map(|file| read_proc(pid, file));
    Some(tables.into_iter().any(|table| listeners(&table, port).any(|inode| held.holds_socket(inode))))
}

/// Who listens on this port of this host, for the message that the port is taken: pid and command.
pub fn holder_of_port(port: u16) -> Option<(u32, String)> {
    let matching = Match { listen: Some(port), ..Match::default() };
    let candidates: Vec<Candidate> = pids().into_iter().filter_map(|pid| candidate(pid, &matching)).collect();
    let choice = matching.choose(&candidates)?;
    let command = candidates.iter().find(|candidate| candidate.pid == choice.pid).map(|candidate| candidate.argv.join(" "));
    Some((choice.pid, command.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::inspect::host;

    #[test]
    fn a_child_is_found_by_its_command_and_followed_until_it_ends() {
        let host = host::read().unwrap();
        let mut child = Command::new("sleep").arg("61.25").spawn().unwrap();
        let matching = Match { exe: Some("sleep".into()), argv: vec!["61.25".into()], ..Match::default() };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // Between fork and exec the child still looks like us.
        while find(&matching, None, &host).is_none() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(find(&matching, None, &host), Some(Choice { pid: child.id(), matched: 1 }));
        let identity = host.identity(&alive(child.id()).unwrap());
        let nothing = Match { exe: Some("no-such-program".into()), ..Match::default() };
        assert_eq!(find(&nothing, Some(&identity), &host).map(|choice| choice.pid), Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find(&nothing, Some(&identity), &host), None);
        assert_eq!(find(&matching, None, &host), None);
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (pid, _) = holder_of_port(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(pid, std::process::id());
    }
}
