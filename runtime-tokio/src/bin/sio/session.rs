//! A connection, its namespaces, and what is heard of them.

use std::{
    collections::BTreeSet, convert::Infallible, error::Error as StdError, future::ready, sync::Arc, time::Duration,
};

use sockeye_tokio::{
    Ack, AckError, BoxFuture, EmitError, Event, Runtime, TcpConnector, TokioRuntime, Value, Values,
    client::{
        Client, ClientBuilder, ClientError, Config, Connector, DisconnectReason, Error, Manager, ManagerEvent,
        Transport, UrlError,
    },
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::block_in_place,
};

use super::{
    cli::{self, Connection},
    exit::Exit,
    show, tls,
};

/// What may wait to be printed before the server has to wait.
const WAITING: usize = 1_024;

/// Something that has happened.
#[derive(Debug)]
pub(crate) enum News {
    /// An event arrived.
    Event(Incoming),
    /// A namespace is connected.
    Connect { namespace: Name, id: String, transport: &'static str, recovered: bool },
    /// A namespace is not connected. Whether it is tried again.
    ConnectError { namespace: Name, error: Error, again: bool },
    /// A namespace is not connected any more, and what is behind the reason, if something is.
    Disconnect { namespace: Name, reason: DisconnectReason, details: Option<Error> },
    /// What came of a call.
    Answer(Answer),
    /// Something that concerns all namespaces.
    Manager(ManagerEvent),
}

/// What came of an event that asked for an acknowledgement.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) namespace: Name,
    pub(crate) event: String,
    /// The time that there was, if it had an end.
    pub(crate) timeout: Option<Duration>,
    pub(crate) outcome: Result<Values, AckError>,
}

/// An event that arrived.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) namespace: Name,
    pub(crate) event: String,
    pub(crate) args: Vec<Value>,
    /// With which to acknowledge it, if the server asks for that.
    pub(crate) ack: Option<Ack>,
}

/// The name of a namespace.
pub(crate) type Name = Arc<str>;

/// What will not come again by itself.
#[derive(Debug)]
pub(crate) struct Loss {
    /// One namespace; all if `None`.
    pub(crate) namespace: Option<Name>,
    pub(crate) why: String,
}

/// One connection. There is none before [`connect`](Self::connect).
#[derive(Debug)]
pub(crate) struct Session {
    manager: Manager,
    sockets: Vec<(Name, Client)>,
    auth: Option<Value>,
    news: mpsc::Receiver<News>,
    teller: mpsc::Sender<News>,
    /// Whether a first connection that fails is tried again, and one that is lost.
    waits: bool,
    reconnects: bool,
    /// What was connected at least once.
    known: BTreeSet<Name>,
    /// What will not come again by itself.
    lost: BTreeSet<Name>,
    last_error: Option<String>,
    /// Ends with the last task of the connection.
    tasks: mpsc::Receiver<Infallible>,
}

impl Session {
    /// Sets one up. The namespaces are those of the list, after that of the URL's path if it has one.
    pub(crate) fn new(url: &str, namespaces: &[String], options: &Connection) -> Result<Self, Exit> {
        // As a browser's address bar has it. (`localhost:3000` would be a URL of the scheme `localhost`.)
        let url = if url.contains("://") { url.to_owned() } else { ["http://", url].concat() };
        let connector: Arc<dyn Connector> = match &options.ca_cert {
            Some(file) => Arc::new(tls::connector(file)?),
            None => Arc::new(TcpConnector::default()),
        };
        let (alive, tasks) = mpsc::channel(1);
        let runtime = Arc::new(Watched { runtime: TokioRuntime::new(), alive });
        let mut builder = ClientBuilder::new(&url, runtime, connector)
            .config(|config| configure(config, options))
            .auto_connect(false);
        let auth = options.auth.clone();
        if let Some(auth) = &auth {
            builder = builder.auth(auth).map_err(|error| Exit::usage(format!("--auth: {error}")))?;
        }
        let of_url = builder.start().map_err(|error| match error {
            ClientError::Url(error @ UrlError::UserInfo) => {
                Exit::usage(format!("{error}: -H 'Authorization: Basic ..'"))
            }
            error => Exit::usage(format!("{url}: {error}")),
        })?;
        let (teller, news) = mpsc::channel(WAITING);
        let mut session = Self {
            manager: of_url.manager(),
            sockets: Vec::new(),
            auth,
            news,
            teller: teller.clone(),
            waits: options.wait,
            reconnects: !options.no_reconnect,
            known: BTreeSet::new(),
            lost: BTreeSet::new(),
            last_error: None,
            tasks,
        };
        session.manager.on(move |event| tell(&teller, News::Manager(event.clone())));
        if namespaces.is_empty() || of_url.namespace() != "/" {
            session.adopt(of_url.clone());
        }
        for namespace in namespaces {
            session.add(namespace, None)?;
        }
        Ok(session)
    }

    /// Connects all namespaces.
    pub(crate) fn connect(&self) {
        self.sockets.iter().for_each(|(_, socket)| socket.open());
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => self.read(news),
            // Never: this holds a sender itself.
            None => std::future::pending().await,
        }
    }

    /// What has happened by now, however much that is: a task that has heard a lot would have to wait for its next turn.
    pub(crate) fn try_next(&mut self) -> Option<News> {
        let news = self.news.try_recv().ok()?;
        Some(self.read(news))
    }

    /// What is tried again by itself, and what is tried again here, is not the same.
    fn read(&self, news: News) -> News {
        match news {
            News::ConnectError { namespace, error, again } => {
                let again = again && self.reconnects && (self.waits || self.known.contains(&namespace));
                News::ConnectError { namespace, error, again }
            }
            news => news,
        }
    }

    /// What is lost for good by this, if something is. (Not what was left.)
    pub(crate) fn loss(&mut self, news: &News) -> Option<Loss> {
        let loss = self.judge(news);
        match &loss {
            Some(Loss { namespace: Some(name), .. }) => _ = self.lost.insert(name.clone()),
            Some(Loss { namespace: None, .. }) => self.lost.extend(self.sockets.iter().map(|(name, _)| name.clone())),
            None => {}
        }
        loss
    }

    /// Whether this namespace is connected, or will be.
    pub(crate) fn is_active(&self, namespace: &str, socket: &Client) -> bool {
        socket.is_active() && !self.lost.contains(namespace)
    }

    fn judge(&mut self, news: &News) -> Option<Loss> {
        let lost = |namespace: &Name, why| Some(Loss { namespace: Some(namespace.clone()), why });
        match news {
            News::Connect { namespace, .. } => {
                self.known.insert(namespace.clone());
                self.lost.remove(namespace);
                None
            }
            News::ConnectError { namespace, error, again } => {
                let why = format!("{namespace} is not connected: {}", explain(error));
                self.last_error = Some(explain(error));
                if *again { None } else { lost(namespace, why) }
            }
            News::Disconnect { reason: DisconnectReason::ClientDisconnect, .. } => None,
            News::Disconnect { namespace, reason, details } if !(self.reconnects && reason.reconnects()) => {
                lost(namespace, format!("{namespace} was disconnected: {}", why(*reason, details.as_ref())))
            }
            News::Manager(ManagerEvent::ReconnectFailed) => {
                let error = self.last_error.as_deref().unwrap_or("no connection");
                Some(Loss { namespace: None, why: format!("{error} (no attempt is left)") })
            }
            _ => None,
        }
    }

    /// The namespaces, in the order in which they were named.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &(Name, Client)> {
        self.sockets.iter()
    }

    /// A namespace.
    pub(crate) fn socket(&self, namespace: &str) -> Option<&Client> {
        self.sockets.iter().find(|(name, _)| **name == *namespace).map(|(_, socket)| socket)
    }

    /// Adds a namespace, or gives the one that there is. One with an `auth` of its own takes the place of the other.
    pub(crate) fn add(&mut self, namespace: &str, auth: Option<&Value>) -> Result<Client, Exit> {
        let namespace = cli::namespace(namespace);
        self.lost.remove(&*namespace);
        match self.socket(&namespace) {
            Some(socket) if auth.is_none() => return Ok(socket.clone()),
            Some(_) => self.sockets.retain(|(name, _)| **name != *namespace),
            None => {}
        }
        let mut builder = self.manager.of(&namespace);
        if let Some(auth) = auth.or(self.auth.as_ref()) {
            builder = builder.auth(auth).map_err(Exit::usage)?;
        }
        Ok(self.adopt(builder.start()))
    }

    /// Sends an event that asks for an acknowledgement. The [`Answer`] comes in order with all other news.
    pub(crate) fn call(
        &self,
        socket: &Client,
        event: &str,
        args: &Values,
        timeout: Option<Duration>,
    ) -> Result<(), EmitError> {
        let (namespace, name, to) = (Name::from(socket.namespace()), event.to_owned(), self.teller.clone());
        let callback = move |outcome| tell(&to, News::Answer(Answer { namespace, event: name, timeout, outcome }));
        match timeout {
            Some(time) => socket.timeout(time).emit_then(event, args, callback),
            None => socket.emit_then(event, args, callback),
        }
    }

    /// Leaves the server in order: what was sent still goes out, then the connection is closed.
    ///
    /// The namespaces are not left one by one before: the official server drops an event if it reads in the same turn of its
    /// loop that the namespace is left. The end of the connection comes in a turn of its own.
    pub(crate) async fn leave(self) {
        let Self { manager, mut tasks, news, .. } = self;
        // Nobody waits for room for what still comes.
        drop(news);
        manager.close();
        drop((manager, self.sockets));
        let _ = tasks.recv().await;
    }

    fn adopt(&mut self, socket: Client) -> Client {
        let name = Name::from(socket.namespace());
        listen(&socket, &name, &self.teller);
        self.sockets.push((name, socket.clone()));
        socket
    }
}

/// Has everything told that happens to a namespace.
fn listen(socket: &Client, name: &Name, teller: &mpsc::Sender<News>) {
    let (namespace, to) = (name.clone(), teller.clone());
    socket.on_any(move |event: &Event<Client>| {
        // That it cannot be read is not known to happen.
        let args = event.values().unwrap_or_else(|error| vec![error.to_string().into()]);
        let (namespace, ack) = (namespace.clone(), event.ack().cloned());
        tell(&to, News::Event(Incoming { namespace, event: event.name().to_owned(), args, ack }));
    });
    let (namespace, to) = (name.clone(), teller.clone());
    socket.on_connect(move |socket: Client| {
        let id = socket.id().unwrap_or_default().to_string();
        let transport = socket.transport().unwrap_or_default();
        tell(&to, News::Connect { namespace: namespace.clone(), id, transport, recovered: socket.is_recovered() });
        ready(())
    });
    let (namespace, to) = (name.clone(), teller.clone());
    socket.on_connect_error(move |socket: Client, error: Error| {
        tell(&to, News::ConnectError { namespace: namespace.clone(), error, again: socket.is_active() });
        ready(())
    });
    let (namespace, to) = (name.clone(), teller.clone());
    socket.on_disconnect(move |reason: DisconnectReason, details: Option<Error>| {
        tell(&to, News::Disconnect { namespace: namespace.clone(), reason, details });
        ready(())
    });
}

/// Hands over what has happened; waits where too much waits, so that the server is not read from.
fn tell(teller: &mpsc::Sender<News>, news: News) {
    if let Err(TrySendError::Full(news)) = teller.try_send(news) {
        // Nobody wants to know it any more if this fails.
        block_in_place(|| _ = teller.blocking_send(news));
    }
}

/// The words of an error, and those of what is behind it.
pub(crate) fn explain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    if let Error::Refused(refusal) = error
        && let Some(data) = refusal.data.as_ref().and_then(|data| data.to_value().ok())
    {
        words = format!("{words} {}", show::people(&[data]));
    }
    show::text(&words)
}

/// The words of the end of a connection.
pub(crate) fn why(reason: DisconnectReason, details: Option<&Error>) -> String {
    match details {
        Some(details) => format!("{reason} ({})", explain(details)),
        None => reason.to_string(),
    }
}

fn configure(config: &mut Config, options: &Connection) {
    if !options.transports.is_empty() {
        config.transports = options.transports.iter().map(|transport| Transport::from(*transport)).collect();
    }
    config.upgrade = !options.no_upgrade;
    config.path.clone_from(&options.path);
    config.query.clone_from(&options.query);
    config.extra_headers.clone_from(&options.headers);
    config.timeout = Some(options.connect_timeout).filter(|time| !time.is_zero());
    config.connect_timeout = config.timeout;
    config.reconnection = !options.no_reconnect;
    config.reconnection_delay = options.reconnect_delay;
    config.reconnection_delay_max = config.reconnection_delay_max.max(options.reconnect_delay);
    config.reconnection_attempts = options.reconnect_attempts;
}

/// tokio, and whether anything of a connection still runs on it.
struct Watched {
    runtime: TokioRuntime,
    alive: mpsc::Sender<Infallible>,
}

impl Runtime for Watched {
    fn spawn(&self, task: BoxFuture) {
        let alive = self.alive.clone();
        self.runtime.spawn(Box::pin(async move {
            task.await;
            drop(alive);
        }));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture {
        self.runtime.sleep(duration)
    }
}
