//! What the driver asks of an async runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::{LazyLock, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

/// A future on the heap that any thread may poll.
///
/// ```
/// use sockeye_driver::BoxFuture;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer: BoxFuture<u32> = Box::pin(async { 6 * 7 });
/// assert_eq!(answer.await, 42);
/// # }
/// ```
pub type BoxFuture<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An async runtime: the two things that the driver cannot do itself. A runtime crate implements it in about ten lines:
/// the [crate documentation](crate#a-runtime) has an example.
///
/// Byte streams come in as [`Stream`]s, connections from a [`Listener`](crate::Listener).
///
/// ```
/// use std::{sync::{Arc, atomic::{AtomicU64, Ordering}}, time::Duration};
/// use sockeye_driver::{BoxFuture, Runtime};
///
/// /// Counts the tasks of another runtime.
/// struct Counted(Arc<dyn Runtime>, AtomicU64);
///
/// impl Runtime for Counted {
///     fn spawn(&self, task: BoxFuture) {
///         self.1.fetch_add(1, Ordering::Relaxed);
///         self.0.spawn(task);
///     }
///
///     fn sleep(&self, duration: Duration) -> BoxFuture {
///         self.0.sleep(duration)
///     }
/// }
/// ```
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end, however often the caller is polled meanwhile.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sockeye_driver::{BoxFuture, Runtime};
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (done, finished) = futures_channel::oneshot::channel();
    /// Tokio.spawn(Box::pin(async move { done.send("on its own").unwrap() }));
    /// assert_eq!(finished.await.unwrap(), "on its own");
    /// # }
    /// ```
    fn spawn(&self, task: BoxFuture);

    /// Completes once this time has passed. While it has not, it keeps the waker that it was polled with: it may be polled no
    /// more before. The driver calls and polls it in tasks that [`spawn`](Self::spawn) runs,
    /// and in the one that awaits [`Server::shutdown`](crate::Server::shutdown).
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use sockeye_driver::{BoxFuture, Runtime};
    /// # struct Tokio;
    /// # impl Runtime for Tokio {
    /// #     fn spawn(&self, task: BoxFuture) { tokio::spawn(task); }
    /// #     fn sleep(&self, duration: Duration) -> BoxFuture { Box::pin(tokio::time::sleep(duration)) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let start = Instant::now();
    /// Tokio.sleep(Duration::from_millis(5)).await;
    /// assert!(start.elapsed() >= Duration::from_millis(5));
    /// # }
    /// ```
    fn sleep(&self, duration: Duration) -> BoxFuture;
}

/// A byte stream in both directions: TCP, TLS, or an in-memory pipe of a test. Implemented for whatever implements
/// hyper's traits, which there are adapters for in every runtime.
///
/// One that has become a WebSocket is polled for writing while its connection is locked: it must not call that connection's
/// handles then.
///
/// ```
/// use hyper_util::rt::TokioIo; // hyper's traits for those of tokio.
/// use sockeye_driver::Stream;
///
/// let (client, server) = tokio::io::duplex(1024);
/// let stream: Box<dyn Stream> = Box::new(TokioIo::new(server));
/// # drop((client, stream));
/// ```
pub trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static> Stream for T {}

/// What [`Runtime::sleep`] gives.
pub(crate) type Sleep = BoxFuture;

/// The clock of this process, as the core counts time. One for all servers and clients, which call one another: a server
/// with a clock of its own would take the time of another one for its own.
///
/// It goes on while the machine is suspended, where the system has such a clock: a connection that has slept through its
/// heartbeat is dead, as JavaScript's client finds by `Date.now`.
pub(crate) fn now() -> sockeye_protocol::Instant {
    sockeye_protocol::Instant::from_micros(u64::try_from(since_start().as_micros()).unwrap_or(u64::MAX))
}

/// The system's time and that clock's, read together once: by the first server that is made.
static MADE: LazyLock<(SystemTime, sockeye_protocol::Instant)> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "a driver has the clock that the core must not have")]
    let date = SystemTime::now();
    (date, now())
});

/// A server is made: from the first one on, it is known when an instant was.
pub(crate) fn made() {
    LazyLock::force(&MADE);
}

/// When an instant of that clock was: always the same for the same instant.
pub(crate) fn date(at: sockeye_protocol::Instant) -> SystemTime {
    let (date, made) = *MADE;
    date.checked_add(at.saturating_duration_since(made)).unwrap_or(date)
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn since_start() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    // The machine's start.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or(Duration::MAX)
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn since_start() -> Duration {
    use std::time::Instant;

    #[expect(clippy::disallowed_methods, reason = "a driver has the clock that the core must not have")]
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// A lock that a panic elsewhere does not close: no user code runs while it is held, and the core's state is whole
/// after each of its calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each future what is ready first.
pub(crate) async fn either<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> Either<A::Output, B::Output> {
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if let Poll::Ready(output) = Pin::new(&mut a).poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        Pin::new(&mut b).poll(cx).map(Either::Right)
    })
    .await
}

/// Which of two futures was ready first.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}
