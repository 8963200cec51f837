//! `/proc/PID/net/tcp` and `tcp6`: the TCP table of the process's network namespace (proc(5), "net/tcp").
//!
//! Owns: rows, states, counting the rows that belong to one process. Must not know: how the table was obtained.
//! A row of inode 0 (TIME_WAIT, orphans) belongs to nobody. Table and descriptors are not read at one instant: what is in one only is not counted.
use crate::descriptors::Descriptors;

/// TCP states by their kernel number (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TcpState {
    /// 1
    Established = 1,
    /// 2
    SynSent = 2,
    /// 3
    SynRecv = 3,
    /// 4
    FinWait1 = 4,
    /// 5
    FinWait2 = 5,
    /// 6
    TimeWait = 6,
    /// 7
    Close = 7,
    /// 8: the peer has closed, the program has not; it never ends by itself
    CloseWait = 8,
    /// 9
    LastAck = 9,
    /// 10
    Listen = 10,
    /// 11
    Closing = 11,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Local port.
    pub local_port: u16,
    /// State.
    pub state: TcpState,
    /// Bytes received and not read by the program.
    pub receive_queue: u64,
    /// Socket inode; 0 when no descriptor refers to it.
    pub inode: u64,
}

/// Sockets of one process by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts([u64; 12]);

// === impl TcpState ===

impl TcpState {
    /// Every state, in kernel order.
    pub const ALL: [Self; 11] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    /// The state of a kernel number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// The label value: the kernel's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }
}

// === impl Row ===

impl Row {
    /// Reads one line; the heading and damaged lines give `None`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let queues = fields.next()?;
        let inode = fields.nth(4)?;
        Some(Self {
            local_port: u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?,
            state: TcpState::from_number(u8::from_str_radix(state, 16).ok()?)?,
            receive_queue: u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?,
            inode: inode.parse().ok()?,
        })
    }
}

// === impl SocketCounts ===

impl SocketCounts {
    /// Counts the rows of `table` (the text of `net/tcp` or `net/tcp6`) whose sockets the process holds.
    pub fn add_table(&mut self, table: &str, held: &Descriptors) {
        for row in rows(table).filter(|row| row.inode != 0 && held.holds_socket(row.inode)) {
            if let Some(count) = self.0.get_mut(row.state as usize) {
                *count += 1;
            }
        }
    }

    /// How many in this state.
    pub fn get(&self, state: TcpState) -> u64 {
        self.0.get(state as usize).copied().unwrap_or(0)
    }
}

/// The rows of a table that can be read.
pub fn rows(table: &str) -> impl Iterator<Item = Row> {
    table.lines().filter_map(Row::parse)
}

/// The inodes of the sockets that listen on `port`.
pub fn listeners(table: &str, port: u16) -> impl Iterator<Item = u64> {
    rows(table).filter(move |row| row.state == TcpState::Listen && row.local_port == port).map(|row| row.inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0\n   \
        1: 0100007F:C350 0100007F:2384 08 00000000:0000002A 00:00000000 00000000     0        0 502 1 0 20 4 30 10 -1\n   \
        2: 0100007F:C351 0100007F:2384 06 00000000:00000000 03:00000D10 00000000     0        0 0 3 0\n   \
        3: 0100007F:C352 0100007F:2384 01 00000000:00000000 00:00000000 00000000     0        0 999 1 0 20 4 30 10 -1\n";
    const TABLE6: &str = "   0: 00000000000000000000000001000000:2384 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 503 1 0 100 0 0 10 0\n";

    #[test]
    fn a_row_gives_port_state_queue_and_inode() {
        let found: Vec<Row> = rows(TABLE).collect();
        assert_eq!(found[1], Row { local_port: 50000, state: TcpState::CloseWait, receive_queue: 42, inode: 502 });
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn only_the_sockets_the_process_holds_are_counted() {
        let mut held = Descriptors::default();
        for inode in [0, 501, 502, 503] {
            held.add(&format!("socket:[{inode}]"));
        }
        let mut counts = SocketCounts::default();
        counts.add_table(TABLE, &held);
        counts.add_table(TABLE6, &held);
        assert_eq!(counts.get(TcpState::Listen), 2);
        assert_eq!(counts.get(TcpState::CloseWait), 1);
        assert_eq!((counts.get(TcpState::TimeWait), counts.get(TcpState::Established)), (0, 0));
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        assert_eq!(listeners(TABLE, 9093).count(), 0);
        assert_eq!(listeners(TABLE, 9092).collect::<Vec<_>>(), [501]);
    }
}
