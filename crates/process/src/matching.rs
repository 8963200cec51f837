//! Which process is meant: by executable, arguments, listening port or pid file.
//!
//! Owns: the conditions and the choice between candidates. Must not know: how candidates are found.
//! The kernel lists pre-exec children, exec'd health checks and zombies too; a choice names how many matched, so that an ambiguous match shows in a metric.

/// What a process must have to be the one; conditions that are absent do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// File name of the executable, or its whole path when it contains a `/`.
    pub exe: Option<String>,
    /// Words that must all occur among the arguments.
    pub argv: Vec<String>,
    /// A TCP port that the process listens on.
    pub listen: Option<u16>,
    /// A file that holds the pid.
    pub pidfile: Option<String>,
}

/// A process that could be meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Process id.
    pub pid: u32,
    /// Start in clock ticks after boot.
    pub start_ticks: u64,
    /// Target of `/proc/PID/exe`, when it may be read.
    pub exe: Option<String>,
    /// Arguments, the program's own name first.
    pub argv: Vec<String>,
    /// Whether it listens on the port asked for; `None` when its descriptors may not be read.
    pub listens: Option<bool>,
}

/// The process chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its pid.
    pub pid: u32,
    /// How many matched equally well; the oldest was taken.
    pub matched: usize,
}

// === impl Match ===

impl Match {
    /// Whether the executable and the arguments match; what can be told without looking at descriptors.
    pub fn by_command(&self, candidate: &Candidate) -> bool {
        self.exe.as_deref().is_none_or(|exe| is_executable(exe, candidate))
            && self.argv.iter().all(|word| candidate.argv.iter().any(|have| have == word))
    }

    /// The process that is meant, among those that are alive. A port decides between candidates; when none of them holds it and the executable or arguments are
    /// given too, the process may still be starting, or be sick: the command then decides alone.
    pub fn choose(&self, candidates: &[Candidate]) -> Option<Choice> {
        let by_command: Vec<&Candidate> = candidates.iter().filter(|candidate| self.by_command(candidate)).collect();
        let has_command = self.exe.is_some() || !self.argv.is_empty();
        let listeners: Vec<&Candidate> = by_command.iter().copied().filter(|candidate| candidate.listens == Some(true)).collect();
        match self.listen {
            Some(_) if !listeners.is_empty() => oldest(&listeners),
            Some(_) if !has_command => None,
            _ if !has_command && self.pidfile.is_none() => None,
            _ => oldest(&by_command),
        }
    }
}

fn oldest(candidates: &[&Candidate]) -> Option<Choice> {
    candidates
        .iter()
        .min_by_key(|candidate| (candidate.start_ticks, candidate.pid))
        .map(|candidate| Choice { pid: candidate.pid, matched: candidates.len() })
}

/// By the link of the executable; where that may not be read, by the first argument. A binary replaced on disk reads `path (deleted)`.
fn is_executable(wanted: &str, candidate: &Candidate) -> bool {
    let Some(path) = candidate.exe.as_deref().or_else(|| candidate.argv.first().map(String::as_str)) else { return false };
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path == wanted || (!wanted.contains('/') && path.rsplit('/').next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(pid: u32, exe: &str, argv: &[&str], listens: Option<bool>) -> Candidate {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Candidate { pid, start_ticks: u64::from(pid), exe: Some(exe.to_owned()), argv, listens }
    }

    fn by_exe(listen: Option<u16>) -> Match {
        Match { exe: Some("collector".into()), listen, ..Match::default() }
    }

    #[test]
    fn a_name_matches_the_file_name_and_a_path_the_path() {
        let at = candidate(1, "/opt/a/collector (deleted)", &["x"], None);
        assert!(by_exe(None).by_command(&at));
        assert!(Match { exe: Some("/opt/a/collector".into()), ..Match::default() }.by_command(&at));
        assert!(!Match { exe: Some("/opt/b/collector".into()), ..Match::default() }.by_command(&at));
        assert!(!Match { exe: Some("a/collector".into()), ..Match::default() }.by_command(&at));
        assert!(!by_exe(None).by_command(&candidate(1, "/opt/collector-old", &[], None)));
    }

    #[test]
    fn the_port_decides_between_twins() {
        let twins = [candidate(10, "/a/collector", &[], Some(false)), candidate(20, "/a/collector", &[], Some(true))];
        assert_eq!(by_exe(Some(9092)).choose(&twins), Some(Choice { pid: 20, matched: 1 }));
        assert_eq!(by_exe(None).choose(&twins), Some(Choice { pid: 10, matched: 2 }));
    }

    #[test]
    fn a_process_that_does_not_listen_yet_is_still_the_one_by_its_command() {
        let starting = [candidate(10, "/a/collector", &[], Some(false)), candidate(11, "/bin/sh", &[], Some(false))];
        assert_eq!(by_exe(Some(9092)).choose(&starting), Some(Choice { pid: 10, matched: 1 }));
        let port_only = Match { listen: Some(9092), ..Match::default() };
        assert_eq!(port_only.choose(&starting), None);
    }

    #[test]
    fn arguments_narrow_and_nothing_asked_is_nobody() {
        let all = [candidate(10, "/a/collector", &["collector", "healthcheck"], None), candidate(20, "/a/collector", &["collector", "run"], None)];
        let run = Match { argv: vec!["run".into()], ..by_exe(None) };
        assert_eq!(run.choose(&all).map(|choice| choice.pid), Some(20));
        assert_eq!(Match::default().choose(&all), None);
    }

    #[test]
    fn without_the_link_the_first_argument_names_the_executable() {
        let hidden = Candidate { exe: None, ..candidate(10, "", &["./collector", "run"], None) };
        assert!(by_exe(None).by_command(&hidden));
    }
}
