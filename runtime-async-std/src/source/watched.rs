//! Sockets that the system tells about when they have something new, without being asked again each time.
//!
//! async-io asks anew for every single wait of each socket, which is a system call more per message. And while the executor is
//! busy, async-io's helper thread fetches the news, at the price of switches between threads. So sockets are watched here
//! by changes ("edge-triggered", with mio), and async-io watches the one thing that watches them all. What is woken runs
//! on async-std's executor, as ever, and so does the task that wakes it.

use std::{
    future::poll_fn,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_io::Async;
use futures_util::task::AtomicWaker;
use mio::{Events, Interest, Registry, Token, event::Event, unix::SourceFd};
use slab::Slab;
use socket2::SockRef;

/// A socket, watched for as long as this lives. On other systems `async_io::Async` takes its place, by the same methods;
/// that one looks at the state of the socket, this one is told of changes.
#[derive(Debug)]
pub(crate) struct Source<T: AsFd> {
    socket: T,
    token: Token,
    news: Arc<News>,
    reactor: &'static Reactor,
}

impl<T: AsFd> Source<T> {
    /// Watches this socket, and makes it non-blocking.
    pub(crate) fn new(socket: T) -> io::Result<Self> {
        SockRef::from(&socket).set_nonblocking(true)?;
        let reactor = Reactor::get()?;
        let news = Arc::new(News::default());
        let token = reactor.watched().add(Arc::clone(&news));
        let source = Self { socket, token, news, reactor };
        let (socket, both) = (source.raw(), Interest::READABLE | Interest::WRITABLE);
        reactor.registry.register(&mut SourceFd(&socket), token, both)?;
        Ok(source)
    }

    pub(crate) fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Whether there was news of bytes to read, or of their end, since this was last ready.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.news.reading.poll(context).map(Ok)
    }

    /// Whether there was news of room for bytes since this was last ready.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.news.writing.poll(context).map(Ok)
    }

    fn raw(&self) -> i32 {
        self.socket.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        // An error means that it was never registered.
        let _ = self.reactor.registry.deregister(&mut SourceFd(&self.raw()));
        let _news = self.reactor.watched().remove(self.token);
    }
}

/// What was heard of a socket and not looked at.
#[derive(Debug, Default)]
struct News {
    reading: Direction,
    writing: Direction,
}

impl News {
    fn tell(&self, event: &Event) {
        let failed = event.is_error();
        self.reading.tell(event.is_readable() || failed, event.is_read_closed());
        // A write to a connection that is gone fails each time: nothing need be remembered.
        self.writing.tell(event.is_writable() || event.is_write_closed() || failed, false);
    }
}

#[derive(Debug, Default)]
struct Direction {
    heard: AtomicU8,
    waker: AtomicWaker,
}

const NOTHING: u8 = 0;
/// Ready, until somebody has asked.
const CHANGE: u8 = 1;
/// Ready for ever: bytes and the end of them come as one change, but are read in two. (Reads never have to wait then.)
const END: u8 = 2;

impl Direction {
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_ready() {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // Something may have been heard before the waker was there.
        if self.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_ready(&self) -> bool {
        self.heard.compare_exchange(CHANGE, NOTHING, Ordering::AcqRel, Ordering::Acquire) != Err(NOTHING)
    }

    fn tell(&self, changed: bool, ended: bool) {
        if changed || ended {
            self.heard.fetch_max(if ended { END } else { CHANGE }, Ordering::AcqRel);
            self.waker.wake();
        }
    }
}

/// Watches all sockets of the process, as async-std's executor runs all its tasks.
#[derive(Debug)]
struct Reactor {
    registry: Registry,
    watched: Mutex<Watched>,
}

/// How often it is asked for news once more when it had none, before async-io waits for some.
const PATIENCE: u32 = 1;

/// How many sockets' news are fetched by one system call.
const EVENTS: usize = 1024;

impl Reactor {
    fn get() -> io::Result<&'static Self> {
        static REACTOR: OnceLock<Reactor> = OnceLock::new();
        if let Some(reactor) = REACTOR.get() {
            return Ok(reactor);
        }
        let poll = mio::Poll::new()?;
        let itself = Async::new_nonblocking(poll.registry().as_fd().try_clone_to_owned()?)?;
        let reactor = Self { registry: poll.registry().try_clone()?, watched: Mutex::default() };
        // Several threads may have come here at once: one of their reactors stays.
        let mut run = None;
        let reactor = REACTOR.get_or_init(|| {
            run = Some((poll, itself));
            reactor
        });
        if let Some((poll, itself)) = run {
            async_std::task::spawn(reactor.run(poll, itself));
        }
        Ok(reactor)
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those of whom there is news.
    async fn run(&self, mut poll: mio::Poll, itself: Async<OwnedFd>) {
        let mut events = Events::with_capacity(EVENTS);
        let mut batch = Vec::with_capacity(EVENTS);
        let mut patience = 0;
        loop {
            // It fails when it is interrupted, without events then; whether there are more is asked below.
            let _ = poll.poll(&mut events, Some(Duration::ZERO));
            {
                let watched = self.watched();
                batch.extend(events.iter().map(|event| watched.get(event.token())));
            }
            // Wakers are called without the lock: dropping one may drop a task, with a socket in it.
            let count = batch.len();
            for (event, news) in events.iter().zip(batch.drain(..)) {
                if let Some(news) = news {
                    news.tell(event);
                }
            }
            if count > 0 || patience > 0 {
                // When those have run (on one thread, that is), and then those whom they woke, there may be more news: one
                // system call tells, where waiting by async-io takes six. And its helper thread would fetch the news meanwhile.
                patience = if count > 0 { PATIENCE } else { patience.saturating_sub(1) };
                yield_now().await;
            } else if poll_fn(|context| itself.poll_readable(context)).await.is_err() {
                return;
            }
        }
    }
}

/// Lets the tasks that wait for the executor run first, where it has one thread.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The sockets, by token: a place in the table, and how many had a place before, since events may be older than who is
/// there now.
#[derive(Debug, Default)]
struct Watched {
    sockets: Slab<(Token, Arc<News>)>,
    so_far: usize,
}

/// The half of a token that is the place.
const PLACE: u32 = usize::BITS / 2;

impl Watched {
    fn add(&mut self, news: Arc<News>) -> Token {
        let entry = self.sockets.vacant_entry();
        let token = Token(self.so_far << PLACE | entry.key());
        self.so_far = self.so_far.wrapping_add(1);
        entry.insert((token, news));
        token
    }

    fn get(&self, token: Token) -> Option<Arc<News>> {
        let (current, news) = self.sockets.get(place(token))?;
        (*current == token).then(|| Arc::clone(news))
    }

    fn remove(&mut self, token: Token) -> Option<Arc<News>> {
        self.sockets.try_remove(place(token)).map(|(_, news)| news)
    }
}

fn place(token: Token) -> usize {
    token.0 & (usize::MAX >> PLACE)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_the_end_for_ever() {
        let direction = Direction::default();
        let is_ready = || direction.poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_ready());
        direction.tell(true, false);
        assert!(is_ready());
        assert!(!is_ready());
        direction.tell(true, true);
        direction.tell(true, false);
        assert!(is_ready());
        assert!(is_ready());
    }

    #[test]
    fn news_of_a_former_socket_is_for_nobody() {
        let mut watched = Watched::default();
        let former = watched.add(Arc::default());
        assert!(watched.remove(former).is_some());
        let current = watched.add(Arc::default());
        assert_eq!(place(former), place(current));
        assert!(watched.get(former).is_none());
        assert!(watched.get(current).is_some());
    }
}
