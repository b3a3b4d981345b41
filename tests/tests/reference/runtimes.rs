//! Both runtimes, and the transports: what every test runs on.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, mpsc},
    task::Poll,
    thread,
    time::Duration,
};

use async_std::channel::{Receiver, Sender, unbounded};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde_json::Value as Json;
use sockeye_driver::{
    BoxFuture, Listening, RawArgs, Server,
    client::{Client, ClientBuilder, Config, Connector, DisconnectReason, Transport},
};

use crate::values::arguments;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Runtime {
    Tokio,
    AsyncStd,
}

pub(crate) const RUNTIMES: [Runtime; 2] = [Runtime::Tokio, Runtime::AsyncStd];

impl Runtime {
    /// Runs a future to its end, in a thread of its own, and not for ever.
    pub(crate) fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let done = match self {
                Self::Tokio => tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(future),
                Self::AsyncStd => async_std::task::block_on(future),
            };
            let _ = sender.send(done);
        });
        match receiver.recv_timeout(4 * PATIENCE) {
            Ok(done) => done,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{self:?}: the client hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        }
    }

    pub(crate) fn client(self, url: &str) -> ClientBuilder {
        match self {
            Self::Tokio => <Client as sockeye_tokio::Connect>::builder(url),
            Self::AsyncStd => <Client as sockeye_async_std::Connect>::builder(url),
        }
    }

    pub(crate) async fn listen(self, io: &Server) -> Listening {
        match self {
            Self::Tokio => sockeye_tokio::Listen::listen(io, "127.0.0.1:0").await.unwrap(),
            Self::AsyncStd => sockeye_async_std::Listen::listen(io, "127.0.0.1:0").await.unwrap(),
        }
    }

    fn driver(self) -> (Arc<dyn sockeye_driver::Runtime>, Arc<dyn Connector>) {
        match self {
            Self::Tokio => {
                (Arc::new(sockeye_tokio::TokioRuntime::new()), Arc::new(sockeye_tokio::TcpConnector::default()))
            }
            Self::AsyncStd => {
                (Arc::new(sockeye_async_std::AsyncStdRuntime), Arc::new(sockeye_async_std::TcpConnector::default()))
            }
        }
    }
}

/// The transports to try, and whether to move from the first to the second.
pub(crate) const MODES: [(&[Transport], bool); 3] = [
    (&[Transport::Polling], false),
    (&[Transport::WebSocket], true),
    (&[Transport::Polling, Transport::WebSocket], true),
];

/// What `tests/js/client.mjs` calls them.
pub(crate) const MODE_NAMES: [&str; 3] = ["polling only", "WebSocket only", "upgraded"];

/// Uses these transports, and comes back soon.
pub(crate) fn mode(index: usize) -> impl FnOnce(&mut Config) {
    let (transports, upgrade) = MODES[index];
    move |config| {
        config.transports = transports.to_vec();
        config.upgrade = upgrade;
        config.reconnection_delay = Duration::from_millis(20);
        config.reconnection_delay_max = Duration::from_millis(20);
        config.randomization_factor = 0.0;
    }
}

/// Does this on each runtime and on each transport, all at once.
pub(crate) fn everywhere<Fut: Future<Output = ()> + Send + 'static>(
    test: impl Fn(Runtime, usize) -> Fut + Copy + Send,
) {
    on(&[0, 1, 2], test);
}

/// Does this on each runtime and in these modes, all at once.
pub(crate) fn on<Fut: Future<Output = ()> + Send + 'static>(
    modes: &[usize],
    test: impl Fn(Runtime, usize) -> Fut + Copy + Send,
) {
    let failed: Vec<String> = thread::scope(|scope| {
        let runs = RUNTIMES.into_iter().flat_map(|runtime| modes.iter().map(move |index| (runtime, *index)));
        let started: Vec<_> = runs
            .map(|(runtime, index)| {
                let run = scope.spawn(move || runtime.run(test(runtime, index)));
                (format!("{runtime:?}, {}", MODE_NAMES[index]), run)
            })
            .collect();
        started.into_iter().filter_map(|(name, run)| run.join().err().map(|_| name)).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// A client that connects when it is told to.
pub(crate) fn prepared(builder: ClientBuilder, index: usize) -> Client {
    builder.config(mode(index)).auto_connect(false).start().unwrap()
}

/// A client that is connected, on the transport where it is to stay.
pub(crate) async fn connect(builder: ClientBuilder, index: usize) -> Client {
    let client = within("the client to connect", builder.config(mode(index)).connect()).await.unwrap();
    settled(&client, index).await;
    client
}

/// Waits until the client is on the transport where it is to stay.
pub(crate) async fn settled(client: &Client, index: usize) {
    let last = MODES[index].0.last().map(|transport| transport.as_str());
    until("the connection is on its last transport", || client.transport() == last).await;
}

/// The arguments of the events of this name that come from here on.
pub(crate) fn events(client: &Client, name: &str) -> Events<Json> {
    let (sender, receiver) = unbounded();
    client.on(name, move |args: RawArgs| {
        // Nobody waits for it any more.
        let _ = sender.try_send(arguments(&args));
        std::future::ready(())
    });
    Events(receiver)
}

/// The reasons of disconnects from here on.
pub(crate) fn disconnects(client: &Client) -> Events<String> {
    let (sender, receiver) = unbounded();
    client.on_disconnect(move |reason: DisconnectReason| {
        let _ = sender.try_send(reason.to_string());
        std::future::ready(())
    });
    Events(receiver)
}

/// How often the namespace was connected from here on: whether it was recovered.
pub(crate) fn connects(client: &Client) -> Events<bool> {
    let (sender, receiver) = unbounded();
    client.on_connect(move |client: Client| {
        let _ = sender.try_send(client.is_recovered());
        std::future::ready(())
    });
    Events(receiver)
}

/// What comes in time.
#[derive(Clone, Debug)]
pub(crate) struct Events<T>(Receiver<T>);

impl<T> Events<T> {
    pub(crate) async fn next(&self) -> T {
        within("an event", self.0.recv()).await.unwrap()
    }

    pub(crate) async fn take(&self, count: usize) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a future gives, in time.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match async_std::future::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("in vain: {what}"),
    }
}

/// Waits for a condition that nobody tells of.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / 2 {
        if condition() {
            return;
        }
        async_std::task::sleep(Duration::from_millis(2)).await;
    }
    panic!("in vain: until {what}");
}

/// A runtime whose tasks run in the thread of who drives them, one at a time, and only while that waits for something: the
/// order of events is then as certain as in JavaScript.
pub(crate) struct OneThread {
    inner: Arc<dyn sockeye_driver::Runtime>,
    connector: Arc<dyn Connector>,
    tasks: Sender<BoxFuture>,
}

/// The tasks of a [`OneThread`].
pub(crate) struct Tasks(Receiver<BoxFuture>);

impl OneThread {
    /// On top of this runtime, for its timers and sockets.
    pub(crate) fn on(runtime: Runtime) -> (Arc<Self>, Tasks) {
        let (inner, connector) = runtime.driver();
        let (tasks, receiver) = unbounded();
        (Arc::new(Self { inner, connector, tasks }), Tasks(receiver))
    }

    pub(crate) fn client(self: &Arc<Self>, url: &str) -> ClientBuilder {
        ClientBuilder::new(url, Arc::<Self>::clone(self), Arc::clone(&self.connector))
    }
}

impl sockeye_driver::Runtime for OneThread {
    fn spawn(&self, task: BoxFuture) {
        // Nobody drives it any more when the test is over.
        let _ = self.tasks.try_send(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        self.inner.sleep(duration)
    }
}

impl Tasks {
    /// Runs a future, and the tasks while it waits.
    pub(crate) async fn drive<T>(mut self, main: impl Future<Output = T>) -> T {
        let (mut main, mut running) = (pin!(main), FuturesUnordered::new());
        poll_fn(|cx| {
            if let Poll::Ready(done) = main.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            loop {
                while let Poll::Ready(Some(task)) = self.0.poll_next_unpin(cx) {
                    running.push(task);
                }
                if !matches!(running.poll_next_unpin(cx), Poll::Ready(Some(()))) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
