//! A port that stays one's own while the program that listens on it comes and goes.
//!
//! Owns: the reservation. Must not know: who listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A loopback port that the system gives to nobody who asks for any port, as long as this lives.
///
/// A socket is bound to it and never listens. Linux then passes the port over when it chooses one (`bind` to port 0, `connect`), lets programs bind it
/// that ask for it by number and set `SO_REUSEADDR`, as Rust's, tokio's and Go's listeners do, and refuses connections while none of them listens.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// A port that is free now.
    ///
    /// # Errors
    /// When the system has none.
    pub fn reserve() -> io::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.set_reuseaddr(true)?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: held.local_addr()?, _held: held })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_names_it_may_listen_again_and_again_and_it_is_given_to_nobody_else() {
        let port = Port::reserve().unwrap();
        let others: Vec<TcpListener> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != port.address()));
        for _ in 0..3 {
            assert_eq!(TcpStream::connect(port.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(port.address()).unwrap();
            assert!(TcpListener::bind(port.address()).is_err(), "one listener at a time");
            let client = TcpStream::connect(port.address()).unwrap();
            drop((listener.accept().unwrap(), client));
        }
        assert_eq!(port.address().port(), port.number());
    }
}
