//! Connecting to a name that has several addresses.

use std::{future::Future, io, net::SocketAddr, pin::Pin, task::Poll, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::BoxFuture;

/// How long an address has before the next one is tried beside it (RFC 8305, 5: "Connection Attempt Delay").
const DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of several addresses that answers, for the crates of runtimes: the next one is tried when one has
/// failed, or has said nothing for 250 ms, without giving that up. So an address that is not reached (that of IPv6 in a
/// network without it) does not keep a client from the others. IPv6 and IPv4 take turns (RFC 8305, 4).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use std::net::SocketAddr;
/// use sockeye_driver::client::connect_first;
///
/// let addresses: [SocketAddr; 3] = ["[2001:db8::1]:80", "[2001:db8::2]:80", "192.0.2.1:80"].map(|text| text.parse().unwrap());
/// let reached = connect_first(addresses, |time| Box::pin(tokio::time::sleep(time)), async |address: SocketAddr| {
///     match address.is_ipv4() {
///         true => Ok(address),
///         false => std::future::pending().await,
///     }
/// });
/// assert_eq!(reached.await?, addresses[2]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// That of the last attempt, if all have failed; or there is no address.
pub async fn connect_first<T, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    sleep: impl Fn(Duration) -> BoxFuture,
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut addresses = in_turns(addresses.into_iter().collect()).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match addresses.next() {
            Some(address) => attempts.push(dial(address)),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let mut delay = (addresses.len() > 0).then(|| sleep(DELAY));
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(Some(outcome)) = attempts.poll_next_unpin(cx) {
                return Poll::Ready(Some(outcome));
            }
            match &mut delay {
                Some(delay) => Pin::new(delay).poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        });
        match outcome.await {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
}

/// The addresses in their order, but for those of the other family, which come in between.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (these, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut these, mut others) = (these.into_iter(), others.into_iter());
    let mut turns = Vec::new();
    while these.len() > 0 || others.len() > 0 {
        turns.extend(these.next().into_iter().chain(others.next()));
    }
    turns
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;

    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split(' ').map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        for (given, expected) in [
            ("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"),
            ("1.1.1.1:1 [::1]:1 [::2]:1", "1.1.1.1:1 [::1]:1 [::2]:1"),
            ("1.1.1.1:1 2.2.2.2:1", "1.1.1.1:1 2.2.2.2:1"),
        ] {
            assert_eq!(in_turns(addresses(given)), addresses(expected));
        }
        assert_eq!(in_turns(Vec::new()), []);
    }

    #[test]
    fn whoever_fails_is_followed_at_once_and_whoever_is_silent_in_time() {
        // Sleeps are over once they are asked for the second time.
        let dialled = Mutex::new(Vec::new());
        let connect = |given: &str, over: bool| {
            dialled.lock().unwrap().clear();
            let sleep = move |_| if over { std::future::ready(()).boxed() } else { std::future::pending().boxed() };
            connect_first(addresses(given), sleep, |address| {
                dialled.lock().unwrap().push(address.port());
                async move {
                    match address.port() {
                        1 => Err(io::ErrorKind::ConnectionRefused.into()),
                        2 => std::future::pending().await,
                        _ => Ok(address),
                    }
                }
            })
            .now_or_never()
        };
        let ports = || dialled.lock().unwrap().clone();
        assert_eq!(connect("1.1.1.1:3 1.1.1.1:1", false).unwrap().unwrap().port(), 3);
        assert_eq!(ports(), [3]);
        assert_eq!(connect("1.1.1.1:1 1.1.1.1:1 1.1.1.1:3", false).unwrap().unwrap().port(), 3);
        assert_eq!(
            connect("1.1.1.1:1 1.1.1.1:1", false).unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert!(connect("1.1.1.1:2 1.1.1.1:3", false).is_none());
        assert_eq!(ports(), [2], "the time of the first one is not over");
        assert_eq!(connect("1.1.1.1:2 1.1.1.1:1 1.1.1.1:3", true).unwrap().unwrap().port(), 3);
        assert_eq!(ports(), [2, 1, 3]);
        assert!(connect("1.1.1.1:2 1.1.1.1:1", true).is_none(), "the last one has all the time that there is");
        let none = connect_first([], |_| std::future::ready(()).boxed(), async |_| Ok(())).now_or_never();
        assert_eq!(none.unwrap().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
