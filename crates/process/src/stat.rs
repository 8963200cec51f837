//! `/proc/PID/stat`: one line, whose second field may contain blanks and brackets (proc(5), "stat").
//!
//! Owns: the fields this program uses. Must not know: page size, tick length (see [`crate::figures::Host`]).

/// What a process is doing, by the letter in `stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// `R`
    Running,
    /// `S`
    Sleeping,
    /// `D`: waiting in the kernel; no signal reaches it
    DiskSleep,
    /// `T`: stopped by a signal
    Stopped,
    /// `t`
    Traced,
    /// `Z`, `X`: dead, not yet reaped
    Zombie,
    /// `I`: idle kernel thread
    Idle,
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Process id, as the reader's namespace numbers it.
    pub pid: u32,
    /// Command name, at most 15 bytes, as the process may have set it itself.
    pub comm: String,
    /// State; `None` for a letter that this version does not know.
    pub state: Option<RunState>,
    /// Parent.
    pub ppid: u32,
    /// User time in clock ticks.
    pub utime: u64,
    /// System time in clock ticks.
    pub stime: u64,
    /// Threads.
    pub threads: u64,
    /// Start in clock ticks after boot; with the pid and the boot id it names a process for ever.
    pub start_ticks: u64,
    /// Virtual size in bytes.
    pub vsize_bytes: u64,
    /// Resident set in pages (batched by the kernel, slightly late).
    pub rss_pages: u64,
}

/// Why a `stat` line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatError {
    /// No `(comm)` in the line.
    #[error("no command name in brackets")]
    NoCommand,
    /// A field is missing or not a number; fields count from 1 as in proc(5).
    #[error("field {0} is missing or not a number")]
    Field(usize),
}

// === impl RunState ===

impl RunState {
    /// Every state, in the order of the metric's label values.
    pub const ALL: [Self; 7] = [Self::Running, Self::Sleeping, Self::DiskSleep, Self::Stopped, Self::Traced, Self::Zombie, Self::Idle];

    /// The state of a letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'R' => Self::Running,
            'S' => Self::Sleeping,
            'D' => Self::DiskSleep,
            'T' => Self::Stopped,
            't' => Self::Traced,
            'Z' | 'X' | 'x' => Self::Zombie,
            'I' => Self::Idle,
            _ => return None,
        })
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::DiskSleep => "disk_sleep",
            Self::Stopped => "stopped",
            Self::Traced => "traced",
            Self::Zombie => "zombie",
            Self::Idle => "idle",
        }
    }
}

// === impl Stat ===

impl Stat {
    /// Reads the line. The command name ends at the last `)`: a process may call itself `a) R 1`.
    ///
    /// # Errors
    /// The first field that is missing or not a number.
    pub fn parse(text: &str) -> Result<Self, StatError> {
        let (head, rest) = text.rsplit_once(')').ok_or(StatError::NoCommand)?;
        let (pid, comm) = head.split_once('(').ok_or(StatError::NoCommand)?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // `fields` starts with field 3 of the manual.
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).ok_or(StatError::Field(field));
        let small = |field: usize| number(field).and_then(|value| u32::try_from(value).map_err(|_| StatError::Field(field)));
        Ok(Self {
            pid: pid.trim().parse().map_err(|_| StatError::Field(1))?,
            comm: comm.to_owned(),
            state: fields.first().and_then(|letter| letter.chars().next()).and_then(RunState::from_letter),
            ppid: small(4)?,
            utime: number(14)?,
            stime: number(15)?,
            threads: number(20)?,
            start_ticks: number(22)?,
            vsize_bytes: number(23)?,
            rss_pages: number(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "812 (feed (x) R 1) S 1 812 812 0 -1 4194304 5210 0 3 0 350 120 0 0 20 0 9 0 48211 912384000 15321 18446744073709551615 1 1 0\n";

    #[test]
    fn a_command_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = Stat::parse(LINE).unwrap();
        assert_eq!((stat.pid, stat.comm.as_str(), stat.state, stat.ppid), (812, "feed (x) R 1", Some(RunState::Sleeping), 1));
        assert_eq!((stat.utime, stat.stime, stat.threads), (350, 120, 9));
        assert_eq!((stat.start_ticks, stat.vsize_bytes, stat.rss_pages), (48211, 912_384_000, 15321));
    }

    #[test]
    fn a_line_that_is_cut_names_the_first_missing_field() {
        assert_eq!(Stat::parse("812 (a) S 1 812"), Err(StatError::Field(14)));
        assert_eq!(Stat::parse("812"), Err(StatError::NoCommand));
        assert_eq!(Stat::parse(""), Err(StatError::NoCommand));
    }

    #[test]
    fn an_unknown_state_letter_is_data() {
        assert_eq!(Stat::parse(&LINE.replacen(") S ", ") Q ", 1)).unwrap().state, None);
    }
}
