//! Tasks and timers of tokio.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sockeye_driver::{BoxFuture, Runtime};
use tokio::{runtime::Handle, task::coop};

/// tokio, as the driver sees it. The runtime must have its timers enabled (`enable_all`, as `#[tokio::main]` does), and
/// its I/O for the listeners of this crate.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// use sockeye_tokio::{Runtime as _, TokioRuntime};
///
/// // In a task or in `block_on` it is enough to say `TokioRuntime::new()`.
/// TokioRuntime::from(runtime.handle().clone()).spawn(Box::pin(async { println!("in a task") }));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokioRuntime {
    own: Option<Handle>,
    /// Without one of its own: that of the last caller who was in one.
    last: Arc<Mutex<Option<Handle>>>,
}

impl TokioRuntime {
    /// The runtime of the caller. Where there is none, tasks go to the runtime of whoever spawns them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use sockeye_tokio::{Listener as _, Serve as _, TcpListener, TokioRuntime, prelude::*};
    ///
    /// let (io, port) = (Server::new(Config::default()), TcpListener::bind("127.0.0.1:0").await?);
    /// let listening = io.serve(Arc::new(TokioRuntime::new()), port)?; // What `listen` does.
    /// # listening.shutdown(std::time::Duration::from_secs(1)).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Handle::try_current().map(Self::from).unwrap_or_default()
    }

    /// Whichever runtime calls, and that of this caller where none does: for what is built once and served by several, one
    /// after another, or before there is any (an axum router).
    pub(crate) fn of_callers() -> Self {
        Self { own: None, last: Arc::new(Mutex::new(Handle::try_current().ok())) }
    }

    fn handle(&self) -> Option<Handle> {
        if self.own.is_some() {
            return self.own.clone();
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(current) = Handle::try_current() {
            *last = Some(current);
        }
        last.clone()
    }
}

impl From<Handle> for TokioRuntime {
    fn from(handle: Handle) -> Self {
        Self { own: Some(handle), ..Self::default() }
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture) {
        match self.handle() {
            Some(handle) => drop(handle.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        // Whoever awaits a shutdown may be outside of the runtime.
        let handle = self.handle();
        let _entered = handle.as_ref().map(Handle::enter);
        // A task that has used up its budget is told that a sleep is pending before that has kept its waker; it may not ask again.
        Box::pin(coop::unconstrained(tokio::time::sleep(duration)))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future as _, poll_fn},
        pin::pin,
        task::Poll,
    };

    use tokio::{runtime, sync::oneshot, time::Instant};

    use super::*;

    #[test]
    fn spawns_on_the_runtime_of_its_creation() {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let captured = runtime.block_on(async { TokioRuntime::new() });
        let (sender, receiver) = oneshot::channel();
        captured.spawn(Box::pin(async { sender.send(()).unwrap() }));
        receiver.blocking_recv().unwrap();
    }

    #[test]
    fn without_one_spawns_on_the_runtime_of_the_caller() {
        let late = TokioRuntime::new();
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = oneshot::channel();
            late.spawn(Box::pin(async { sender.send(()).unwrap() }));
            receiver.await.unwrap();
        });
    }

    #[test]
    fn without_one_it_stays_with_the_last_caller_s() {
        let late = TokioRuntime::new();
        for _ in 0..2 {
            let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
            runtime.block_on(async { late.spawn(Box::pin(async {})) });
            // Outside of any.
            let slept = late.sleep(Duration::ZERO);
            runtime.block_on(slept);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_is_kept_also_where_the_budget_is_used_up() {
        let (start, mut polls) = (Instant::now(), 0);
        let mut sleep = TokioRuntime::new().sleep(Duration::from_secs(1));
        poll_fn(|cx| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            while coop::has_budget_remaining() {
                assert!(pin!(coop::consume_budget()).poll(cx).is_ready());
            }
            sleep.as_mut().poll(cx)
        })
        .await;
        // It was the sleep that woke the task.
        assert_eq!((polls, start.elapsed()), (2, Duration::from_secs(1)));
    }

    #[test]
    fn that_of_callers_goes_with_them() {
        let first = runtime::Builder::new_current_thread().build().unwrap();
        let callers = first.block_on(async { TokioRuntime::of_callers() });
        drop(first);
        let second = runtime::Builder::new_current_thread().build().unwrap();
        second.block_on(async {
            let (sender, receiver) = oneshot::channel();
            callers.spawn(Box::pin(async { sender.send(()).unwrap() }));
            receiver.await.unwrap();
        });
    }

    #[tokio::test(start_paused = true)]
    async fn sleeps() {
        let start = Instant::now();
        TokioRuntime::new().sleep(Duration::from_secs(25)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(25));
    }
}
