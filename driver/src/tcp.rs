//! Binding a TCP port: what the listeners of all runtimes have in common.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted. The system may cap it (Linux: `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Listens on the first of these addresses that can be bound. The listener is non-blocking, as runtimes want it, and
/// has room for 4096 connections that wait to be accepted: `std` has room for 128, and clients that reconnect all at
/// once would run into their own timeouts.
///
/// ```
/// use std::net::SocketAddr;
/// use sockeye_driver::bind_tcp;
///
/// let listener = bind_tcp([SocketAddr::from(([127, 0, 0, 1], 0))])?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Errors
///
/// Why the last address could not be bound; [`io::ErrorKind::InvalidInput`] if there is no address.
pub fn bind_tcp(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut error = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    for address in addresses {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(reason) => error = reason,
        }
    }
    Err(error)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // As `std` does: on Windows it would let others take the port over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How a runtime crate's `TcpListener` is made, for crates of runtimes only. These have `lookup`, which resolves addresses, and
/// `TcpListener::open`, which takes a listener that does not block.
#[doc(hidden)]
#[macro_export]
macro_rules! tcp_listener {
    (crate: $name:literal, block_on: $block_on:literal, address: ($($address:tt)+), note: $note:literal) => {
        impl TcpListener {
            /// Listens on this address, the first that works if it resolves to several; see
            /// [`bind_tcp`]($crate::bind_tcp). Port 0 has the system choose one, which
            /// [`local_addr`](Listener::local_addr) then tells.
            ///
            /// ```
            #[doc = concat!("# ", $block_on, "(async {")]
            /// use std::net::SocketAddr;
            #[doc = concat!("use ", $name, "::{Listener as _, TcpListener};")]
            ///
            /// let any = SocketAddr::from(([127, 0, 0, 1], 0));
            /// let first = TcpListener::bind(any).await?;
            /// let taken = first.local_addr()?;
            /// let second = TcpListener::bind(&[taken, any][..]).await?; // The second address, since the first is taken.
            /// assert_ne!(second.local_addr()?, taken);
            /// # Ok::<_, std::io::Error>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            ///
            /// The address does not resolve, or cannot be bound.
            pub async fn bind(address: $($address)+) -> ::std::io::Result<Self> {
                Self::open($crate::bind_tcp(lookup(address).await?)?)
            }

            /// Takes a listener over that somebody else has bound: the service manager, or a program with options of its own.
            #[doc = $note]
            ///
            /// ```
            #[doc = concat!("# ", $block_on, "(async {")]
            #[doc = concat!("use ", $name, "::{Listener as _, TcpListener};")]
            ///
            /// let bound = std::net::TcpListener::bind("127.0.0.1:0")?;
            /// let address = bound.local_addr()?;
            /// assert_eq!(TcpListener::from_std(bound)?.local_addr()?, address);
            /// # Ok::<_, std::io::Error>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn from_std(listener: ::std::net::TcpListener) -> ::std::io::Result<Self> {
                listener.set_nonblocking(true)?;
                Self::open(listener)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn takes_the_first_address_that_works() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let taken = bind_tcp([any]).unwrap();
        let listener = bind_tcp([taken.local_addr().unwrap(), any]).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    }

    #[test]
    fn reports_the_last_error() {
        let listener = bind_tcp([SocketAddr::from(([127, 0, 0, 1], 0))]).unwrap();
        assert_eq!(bind_tcp([listener.local_addr().unwrap()]).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind_tcp([]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
