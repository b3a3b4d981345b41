//! Tasks and time.

use std::time::Duration;

use async_io::Timer;
use sockeye_driver::{BoxFuture, Runtime};

/// async-std's global executor.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdRuntime;

impl Runtime for AsyncStdRuntime {
    fn spawn(&self, task: BoxFuture) {
        async_std::task::spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        Box::pin(async move {
            Timer::after(duration).await;
        })
    }
}
