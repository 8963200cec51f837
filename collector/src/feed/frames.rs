//! WebSocket frames as a client reads and writes them (RFC 6455): from a socket's bytes to whole messages, in place.
//!
//! Owns: the read buffer, the fragments of a message, what a server may not send. Must not know: sockets, time, what a text says.
//! A message is lent from the buffer that it was read into, so a steady one costs neither an allocation nor a copy.

use std::ops::Range;

use thiserror::Error;

/// What is read at a time: all that 20,000 depth messages a second bring in a pause of [`gather`](crate::gather). A longer frame gets a longer buffer
/// while it lasts.
const READ: usize = 32 << 10;
/// The longest message.
const MESSAGE_MOST: usize = 4 << 20;
/// The longest body of a ping, pong or close (RFC 6455, section 5.5).
const CONTROL_MOST: usize = 125;

/// The reading side of a connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Read and not yet taken: from `start` to `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the frame that is under way, as far as its head has said.
    wanted: usize,
    /// Fragments of a message.
    message: Vec<u8>,
    /// The kind of a message whose last fragment has not come.
    under_way: Option<Kind>,
    /// The body of what was taken last.
    body: Body,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// What a server may not send.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Violation {
    #[error("a frame with reserved bits or an unknown opcode")]
    Reserved,
    #[error("a masked frame from the server")]
    Masked,
    #[error("a control frame that is fragmented or too long")]
    Control,
    #[error("a fragment out of place")]
    Fragment,
    #[error("a message longer than {MESSAGE_MOST} bytes")]
    TooLong,
}

/// Where a body is.
#[derive(Clone, Debug)]
enum Body {
    Buffer(Range<usize>),
    Message,
}

/// The head of a frame.
struct Head {
    last: bool,
    opcode: u8,
    /// Bytes of the head itself.
    size: usize,
    length: usize,
}

// === impl FrameReader ===

impl FrameReader {
    /// `begun`: what was read behind the handshake already.
    pub(super) fn new(begun: &[u8]) -> Self {
        let mut buffer = begun.to_vec();
        buffer.resize(begun.len().max(READ), 0);
        Self { buffer, start: 0, end: begun.len(), wanted: 0, message: Vec::new(), under_way: None, body: Body::Buffer(0..0) }
    }

    /// Where the next bytes of the socket go; never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end, self.body) = (0, self.end - self.start, Body::Buffer(0..0));
        // One more than is held: room even when a whole buffer full is a part of a frame.
        let size = READ.max(self.wanted).max(self.end + 1);
        if self.buffer.len() != size {
            self.buffer.resize(size, 0);
            self.buffer.shrink_to(size);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were put into [`space`](Self::space).
    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// Takes the next message or control frame; `None`: more must be read.
    pub(super) fn advance(&mut self) -> Result<Option<Kind>, Violation> {
        if self.under_way.is_none() && !self.message.is_empty() {
            self.message = Vec::new();
        }
        loop {
            let Some(head) = Head::read(self.buffer.get(self.start..self.end).unwrap_or_default())? else {
                self.wanted = 0;
                return Ok(None);
            };
            let (from, whole) = (self.start + head.size, head.size + head.length);
            if self.end - self.start < whole {
                self.wanted = whole;
                return Ok(None);
            }
            self.start += whole;
            if let Some(kind) = self.take(&head, from..from + head.length)? {
                return Ok(Some(kind));
            }
        }
    }

    /// A frame is there; the kind of what it completes.
    fn take(&mut self, head: &Head, body: Range<usize>) -> Result<Option<Kind>, Violation> {
        let kind = match head.opcode {
            0x0 => None,
            0x1 => Some(Kind::Text),
            0x2 => Some(Kind::Binary),
            0x8 => Some(Kind::Close),
            0x9 => Some(Kind::Ping),
            0xA => Some(Kind::Pong),
            _ => return Err(Violation::Reserved),
        };
        if head.opcode >= 0x8 || (head.last && kind.is_some() && self.under_way.is_none()) {
            self.body = Body::Buffer(body);
            return Ok(kind);
        }
        // A first fragment says its kind, the others say none.
        if kind.is_some() == self.under_way.is_some() {
            return Err(Violation::Fragment);
        }
        let fragment = self.buffer.get(body).unwrap_or_default();
        if self.message.len() + fragment.len() > MESSAGE_MOST {
            return Err(Violation::TooLong);
        }
        self.message.extend_from_slice(fragment);
        let kind = kind.or(self.under_way);
        self.under_way = kind.filter(|_| !head.last);
        self.body = Body::Message;
        Ok(kind.filter(|_| head.last))
    }

    /// The body of what was taken last.
    pub(super) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Buffer(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Body::Message => &self.message,
        }
    }

    /// Bytes of its buffers.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.capacity() + self.message.capacity()
    }
}

// === impl Head ===

impl Head {
    /// `None`: it is not whole yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::Reserved);
        }
        if second & 0x80 != 0 {
            return Err(Violation::Masked);
        }
        let (size, length) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (10, usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX)),
                None => return Ok(None),
            },
            short => (2, usize::from(short)),
        };
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        if opcode >= 0x8 && (!last || length > CONTROL_MOST) {
            return Err(Violation::Control);
        }
        if length > MESSAGE_MOST {
            return Err(Violation::TooLong);
        }
        Ok(Some(Self { last, opcode, size, length }))
    }
}

/// Appends a frame of a client. `mask` must not be foreseeable (RFC 6455, section 10.3).
pub(super) fn write(kind: Kind, body: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    let opcode = match kind {
        Kind::Text => 0x1,
        Kind::Binary => 0x2,
        Kind::Close => 0x8,
        Kind::Ping => 0x9,
        Kind::Pong => 0xA,
    };
    out.push(0x80 | opcode);
    match (u8::try_from(body.len()), u16::try_from(body.len())) {
        (Ok(length @ 0..126), _) => out.push(0x80 | length),
        (_, Ok(length)) => {
            out.push(0x80 | 0x7e);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 0x7f);
            out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(body.iter().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame of a server.
    fn frame(first: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match body.len() {
            length @ 0..126 => bytes.push(u8::try_from(length).unwrap()),
            length @ 126..65_536 => {
                bytes.push(126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(body);
        bytes
    }

    /// Everything that comes when the bytes arrive in these portions.
    fn read(bytes: &[u8], portions: &[usize]) -> Result<Vec<(Kind, Vec<u8>)>, Violation> {
        let (mut reader, mut rest, mut portions) = (FrameReader::new(b""), bytes, portions.iter().cycle());
        let mut all = Vec::new();
        loop {
            while let Some(kind) = reader.advance()? {
                all.push((kind, reader.body().to_vec()));
            }
            if rest.is_empty() {
                return Ok(all);
            }
            let space = reader.space();
            let length = rest.len().min(space.len()).min((*portions.next().unwrap()).max(1));
            space[..length].copy_from_slice(&rest[..length]);
            reader.filled(length);
            rest = &rest[length..];
        }
    }

    #[test]
    fn what_a_server_may_not_send_has_a_name() {
        let long = vec![b'x'; 126];
        let cases: [(Vec<u8>, Violation); 10] = [
            (frame(0xC1, b""), Violation::Reserved),
            (frame(0x83, b""), Violation::Reserved),
            (frame(0x8B, b""), Violation::Reserved),
            (vec![0x81, 0x80], Violation::Masked),
            (frame(0x09, b""), Violation::Control),
            (frame(0x89, &long), Violation::Control),
            (frame(0x80, b"rest of nothing"), Violation::Fragment),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Violation::Fragment),
            ([vec![0x81, 127], u64::MAX.to_be_bytes().to_vec()].concat(), Violation::TooLong),
            ([frame(0x01, &vec![b'x'; MESSAGE_MOST]), frame(0x80, b"x")].concat(), Violation::TooLong),
        ];
        for (bytes, violation) in cases {
            assert_eq!(read(&bytes, &[4_096]), Err(violation), "{:x?}", &bytes[..bytes.len().min(16)]);
        }
    }

    #[test]
    fn a_control_frame_may_come_between_fragments() {
        let bytes = [frame(0x01, b"one "), frame(0x89, b"there?"), frame(0x00, b"two "), frame(0x80, b"three"), frame(0x88, b"\x03\xe8bye")].concat();
        let expected = [(Kind::Ping, &b"there?"[..]), (Kind::Text, b"one two three"), (Kind::Close, b"\x03\xe8bye")];
        assert_eq!(read(&bytes, &[1]).unwrap(), expected.map(|(kind, body)| (kind, body.to_vec())));
    }

    #[test]
    fn a_long_frame_gets_a_long_buffer_and_gives_it_back() {
        let mut reader = FrameReader::new(&frame(0x81, b"behind the handshake"));
        assert_eq!((reader.advance(), reader.body()), (Ok(Some(Kind::Text)), &b"behind the handshake"[..]));
        let (long, mut at) = (frame(0x82, &vec![7; 1 << 20]), 0);
        while at < long.len() {
            assert_eq!(reader.advance(), Ok(None));
            let space = reader.space();
            let length = space.len().min(long.len() - at);
            space[..length].copy_from_slice(&long[at..at + length]);
            reader.filled(length);
            at += length;
        }
        assert_eq!((reader.advance(), reader.body().len()), (Ok(Some(Kind::Binary)), 1 << 20));
        assert!(reader.bytes() > 1 << 20);
        assert_eq!((reader.advance(), reader.space().len(), reader.bytes()), (Ok(None), READ, READ));
    }

    #[test]
    fn what_is_written_is_masked_and_read_back_by_the_library() {
        use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let (body, mut bytes) = ("m".repeat(length), Vec::new());
            write(Kind::Text, body.as_bytes(), [1, 2, 3, 4], &mut bytes);
            let mut server = WebSocket::from_raw_socket(std::io::Cursor::new(bytes), Role::Server, None);
            assert_eq!(server.read().unwrap().into_text().unwrap().as_str(), body);
        }
    }

    proptest! {
        /// However the bytes are cut on their way, the messages are the same.
        #[test]
        fn the_cuts_of_the_network_do_not_matter(
            lengths in proptest::collection::vec((0usize..3, prop_oneof![0usize..200, 0usize..40_000]), 1..12),
            portions in proptest::collection::vec(1usize..20_000, 1..20),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (n, (form, length)) in lengths.into_iter().enumerate() {
                let body: Vec<u8> = (0..251).cycle().skip(n).take(length).collect();
                match form {
                    0 => bytes.extend(frame(0x81, &body)),
                    1 => bytes.extend([frame(0x01, &body[..length / 3]), frame(0x80, &body[length / 3..])].concat()),
                    _ => bytes.extend(frame(0x8A, &body[..length.min(125)])),
                }
                expected.push(if form == 2 { (Kind::Pong, body[..length.min(125)].to_vec()) } else { (Kind::Text, body) });
            }
            prop_assert_eq!(read(&bytes, &portions).unwrap(), expected);
        }
    }
}
