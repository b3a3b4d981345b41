//! Tasks and timers of async-std.

use std::time::Duration;

use async_io::Timer;
use futures_util::FutureExt as _;
use sockeye_driver::{BoxFuture, Runtime};

/// async-std, as the driver sees it. Its runtime is global: it is there without being started.
///
/// ```
/// use sockeye_async_std::{AsyncStdRuntime, Runtime as _};
///
/// AsyncStdRuntime.spawn(Box::pin(async { println!("in a task") }));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdRuntime;

impl Runtime for AsyncStdRuntime {
    fn spawn(&self, task: BoxFuture) {
        drop(async_std::task::spawn(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        Box::pin(Timer::after(duration).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn spawns_and_sleeps() {
        let (sender, receiver) = mpsc::channel();
        AsyncStdRuntime.spawn(Box::pin(async move {
            AsyncStdRuntime.sleep(Duration::from_millis(1)).await;
            sender.send(()).unwrap();
        }));
        receiver.recv().unwrap();
    }
}
