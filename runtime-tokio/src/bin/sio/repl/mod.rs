//! `sio connect`: commands in, events out.

mod command;
mod editor;
mod source;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    pin::Pin,
    time::Duration,
};

use sockeye_tokio::{Ack, AckError, AckSendError, Value, Values, client::Client};
use tokio::time::{Instant, Sleep, sleep};

pub(crate) use self::command::COMMANDS;
use self::{
    command::Command,
    source::{Input, Source},
};
use crate::{
    cli,
    exit::{Exit, not_sent},
    lines,
    output::{Line, Output, Role},
    session::{Answer, Incoming, Loss, Name, News, Session},
    show, signals,
};

/// Events that may wait for a reply. The oldest are forgotten.
const REQUESTS: usize = 1_000;

/// The official server closes the connection if it reads in one go that a namespace is left and joined again.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn run(options: &cli::Connect, session: &mut Session, output: &mut Output) -> Exit {
    session.connect();
    let mut repl = Repl::new(options, session, output);
    let exit = match repl.begin().await {
        Some(exit) => exit,
        None => repl.run(options).await,
    };
    if !repl.is_seen {
        for line in repl.outbox {
            repl.output.line(line).await;
        }
    }
    exit
}

/// Nothing in it waits for the output: a terminal takes none while nobody asks it for the next line.
struct Repl<'a> {
    session: &'a mut Session,
    output: &'a mut Output,
    /// Lines that wait for room in the output. Until they are gone, nothing more is heard from the server.
    outbox: VecDeque<Line>,
    /// The namespace in use.
    namespace: Name,
    timeout: Option<Duration>,
    auto_reply: Option<Vec<Value>>,
    verbose: bool,
    /// Whether there are several namespaces, or were.
    several: bool,
    /// Acknowledgements that are waited for.
    calls: usize,
    /// Events that wait for a reply, by their numbers.
    requests: BTreeMap<u64, (Name, Ack)>,
    numbered: u64,
    /// Namespaces that were left, and when.
    left: BTreeMap<Name, Instant>,
    /// Until when the next command waits, and a command that waits for it itself.
    sleep: Option<(Pin<Box<Sleep>>, Option<Command>)>,
    /// Whether somebody sees at once what went wrong; else the exit code tells of the first.
    is_seen: bool,
    exit: Exit,
    /// Lines that were read.
    lines: usize,
    /// Whether the last input was Ctrl-C.
    is_interrupted: bool,
    /// Whether all input was read.
    is_over: bool,
}

impl<'a> Repl<'a> {
    fn new(options: &cli::Connect, session: &'a mut Session, output: &'a mut Output) -> Self {
        let first = session.sockets().next().map(|(name, _)| name.clone());
        let several = session.sockets().count() > 1;
        Self {
            namespace: first.unwrap_or_else(|| "/".into()),
            several,
            session,
            output,
            outbox: VecDeque::new(),
            timeout: nonzero(options.timeout),
            auto_reply: options.reply.as_ref().map(|cli::Values(args)| args.clone()),
            verbose: options.connection.verbose,
            calls: 0,
            requests: BTreeMap::new(),
            numbered: 0,
            left: BTreeMap::new(),
            sleep: None,
            is_seen: false,
            exit: Exit::DONE,
            lines: 0,
            is_interrupted: false,
            is_over: false,
        }
    }

    /// Waits until each namespace is connected, or lost. If none is connected, that is the end.
    async fn begin(&mut self) -> Option<Exit> {
        let mut waiting: Vec<Name> = self.session.sockets().map(|(name, _)| name.clone()).collect();
        let mut lost = Vec::new();
        while !waiting.is_empty() {
            let news = tokio::select! {
                () = self.output.first(&mut self.outbox), if !self.outbox.is_empty() => continue,
                news = self.session.next(), if self.outbox.is_empty() => news,
                exit = self.output.failed() => return Some(exit),
            };
            match self.session.loss(&news) {
                Some(Loss { namespace, why }) => {
                    waiting.retain(|name| namespace.as_ref().is_some_and(|lost| lost != name));
                    lost.push(why);
                }
                None => {
                    if let News::Connect { namespace, .. } = &news {
                        waiting.retain(|name| name != namespace);
                    }
                    self.tell(news);
                }
            }
        }
        match self.session.sockets().find(|(_, socket)| socket.is_connected()) {
            None => return Some(Exit::failed(lost.join("; "))),
            Some((name, _)) => self.namespace = name.clone(),
        }
        for why in lost {
            self.problem(Exit::failed(why));
        }
        None
    }

    async fn run(&mut self, options: &cli::Connect) -> Exit {
        let (mut source, print) = Source::open(options);
        if let Some(print) = print {
            self.hint("help: what can be typed; Ctrl-D: leave");
            // What was printed up to here comes first.
            for line in self.outbox.drain(..) {
                self.output.line(line).await;
            }
            mem::replace(self.output, Output::above(print)).finish().await;
            self.is_seen = true;
            self.exit = Exit::DONE;
        }
        source.ask(&self.namespace);
        loop {
            tokio::select! {
                () = self.output.first(&mut self.outbox), if !self.outbox.is_empty() => {}
                news = self.session.next(), if self.outbox.is_empty() => {
                    if let Some(exit) = self.on_news(news) {
                        return exit;
                    }
                }
                exit = self.output.failed() => return exit,
                command = over(&mut self.sleep), if self.sleep.is_some() => {
                    self.sleep = None;
                    if let Some(command) = command {
                        self.execute(command);
                    }
                }
                input = source.next(), if self.sleep.is_none() && !self.is_over => {
                    if let Some(exit) = self.on_input(input) {
                        return exit;
                    }
                    source.ask(&self.namespace);
                }
            }
            if self.is_over && self.is_idle() {
                return self.exit.clone();
            }
        }
    }

    /// Whether nothing is waited for.
    fn is_idle(&self) -> bool {
        let is_sent =
            |(name, socket): &(Name, Client)| socket.buffered().0 == 0 || !self.session.is_active(name, socket);
        self.calls == 0 && self.sleep.is_none() && self.outbox.is_empty() && self.session.sockets().all(is_sent)
    }

    fn on_news(&mut self, news: News) -> Option<Exit> {
        if let News::Disconnect { namespace, .. } = &news {
            self.requests.retain(|_, (name, _)| name != namespace);
        }
        let loss = self.session.loss(&news);
        self.tell(news);
        let loss = loss?;
        if self.is_seen {
            self.hint("join connects again");
            return None;
        }
        self.remember(&Exit::failed(""));
        let is_left = self.session.sockets().any(|(name, socket)| self.session.is_active(name, socket));
        if is_left { None } else { Some(Exit::failed(loss.why)) }
    }

    /// Prints what has happened.
    fn tell(&mut self, news: News) {
        match news {
            News::Event(incoming) => self.on_event(incoming),
            News::Answer(answer) => self.on_answer(answer),
            news => {
                if let Some(line) = lines::connection(&news, self.verbose) {
                    self.hint(&line);
                }
            }
        }
    }

    fn on_event(&mut self, incoming: Incoming) {
        let paint = self.output.paint();
        let mut line = format!("< {}", lines::event(&incoming, paint, self.several));
        if let Incoming { namespace, ack: Some(ack), .. } = incoming {
            match &self.auto_reply {
                Some(answer) => {
                    // Fails when the connection has just gone, which is told.
                    let _ = ack.send(&Values(answer.clone()));
                }
                None => {
                    self.numbered = self.numbered.saturating_add(1);
                    line.push_str(&paint.paint(Role::Request, format!(" [reply {}]", self.numbered)));
                    self.requests.insert(self.numbered, (namespace, ack));
                    if self.requests.len() > REQUESTS {
                        self.requests.pop_first();
                    }
                }
            }
        }
        self.outbox.push_back(Line::Out(line));
    }

    fn on_answer(&mut self, answer: Answer) {
        self.calls = self.calls.saturating_sub(1);
        let Answer { namespace, event, timeout, outcome } = answer;
        let mut what = show::name(&event);
        if self.several {
            what = format!("{} {what}", show::text(&namespace));
        }
        match outcome {
            Ok(Values(values)) => {
                let gap = if values.is_empty() { "" } else { " " };
                let mark = self.output.paint().paint(Role::Answer, "=");
                self.outbox.push_back(Line::Out(format!("{mark} {what}{gap}{}", show::people(&values))));
            }
            Err(AckError::Timeout) => {
                let time = timeout.unwrap_or_default();
                self.problem(Exit::timed_out(format!("{what}: no acknowledgement within {time:?}")));
            }
            Err(error) => self.problem(Exit::failed(format!("{what}: no acknowledgement: {error}"))),
        }
    }

    fn on_input(&mut self, input: Input) -> Option<Exit> {
        let was_interrupted = mem::replace(&mut self.is_interrupted, input == Input::Interrupt);
        match input {
            Input::Line(line) => {
                self.lines = self.lines.saturating_add(1);
                match command::parse(&line) {
                    Ok(Some(Command::Quit)) => return Some(self.exit.clone()),
                    Ok(Some(command)) => self.execute(command),
                    Ok(None) => {}
                    Err(why) => self.problem_of_line(Exit::usage(why)),
                }
            }
            Input::Interrupt if was_interrupted => return Some(signals::interrupted()),
            Input::Interrupt => self.hint("Ctrl-C again, or Ctrl-D, leaves"),
            // Whoever sits at a terminal does not want to wait.
            Input::End if self.is_seen => return Some(Exit::DONE),
            Input::End => self.is_over = true,
            Input::Failed(why) => return Some(Exit::failed(why)),
        }
        None
    }

    fn execute(&mut self, command: Command) {
        if let Err(exit) = self.try_to(command) {
            self.problem_of_line(exit);
        }
    }

    fn try_to(&mut self, command: Command) -> Result<(), Exit> {
        match command {
            Command::Emit { event, args } => {
                self.active()?.emit(&event, &Values(args)).map_err(not_sent)?;
            }
            Command::Call { event, args } => {
                self.session.call(&self.active()?, &event, &Values(args), self.timeout).map_err(not_sent)?;
                self.calls = self.calls.saturating_add(1);
            }
            Command::Reply { id, args } => {
                let (_, ack) = self.requests.remove(&id).ok_or_else(|| {
                    Exit::failed(format!("nobody waits for reply {id}: it was sent, or its connection is gone"))
                })?;
                ack.send(&Values(args)).map_err(|error| match error {
                    AckSendError::Encode(error) => Exit::usage(error),
                    error => Exit::failed(error),
                })?;
            }
            Command::AutoReply(answer) => self.auto_reply = answer,
            Command::Timeout(time) => self.timeout = time,
            Command::Join { namespace, auth } => self.join(namespace, auth)?,
            Command::Leave(namespace) => {
                self.leave(&namespace.map_or_else(|| self.namespace.clone(), Name::from))?;
            }
            Command::Use(namespace) => self.namespace = self.socket(&namespace)?.namespace().into(),
            Command::Namespaces => {
                for (name, socket) in self.session.sockets() {
                    let state = match socket.id() {
                        Some(id) => format!("connected, id {}", show::text(&id)),
                        None if self.session.is_active(name, socket) => "connecting".to_owned(),
                        None => "not connected".to_owned(),
                    };
                    let mark = if *name == self.namespace { ", in use" } else { "" };
                    self.outbox.push_back(Line::Out(format!("{}: {state}{mark}", show::text(name))));
                }
            }
            Command::Sleep(time) => self.sleep = Some((Box::pin(sleep(time)), None)),
            Command::Help => self.outbox.extend(COMMANDS.lines().map(|line| Line::Out(line.to_owned()))),
            Command::Quit => {}
        }
        Ok(())
    }

    fn join(&mut self, namespace: Option<String>, auth: Option<Value>) -> Result<(), Exit> {
        let namespace = namespace.map_or_else(|| self.namespace.clone(), Name::from);
        self.namespace = namespace.clone();
        if auth.is_some() && self.session.socket(&namespace).is_some_and(Client::is_connected) {
            self.leave(&namespace)?;
        }
        if let Some(at) = self.left.remove(&namespace) {
            let again = Command::Join { namespace: Some(namespace.to_string()), auth };
            self.sleep = Some((Box::pin(sleep(PAUSE.saturating_sub(at.elapsed()))), Some(again)));
            return Ok(());
        }
        self.session.add(&namespace, auth.as_ref())?.open();
        self.several |= self.session.sockets().count() > 1;
        Ok(())
    }

    fn leave(&mut self, namespace: &Name) -> Result<(), Exit> {
        self.socket(namespace)?.disconnect();
        self.left.insert(namespace.clone(), Instant::now());
        Ok(())
    }

    fn socket(&self, namespace: &str) -> Result<Client, Exit> {
        let socket = self.session.socket(namespace).cloned();
        socket.ok_or_else(|| Exit::failed(format!("{} was not joined", show::text(namespace))))
    }

    /// The namespace in use, if what is sent to it has a chance to arrive.
    fn active(&self) -> Result<Client, Exit> {
        let socket = self.socket(&self.namespace)?;
        if self.session.is_active(&self.namespace, &socket) {
            return Ok(socket);
        }
        Err(Exit::failed(format!("{} is not connected: join connects it", show::text(&self.namespace))))
    }

    fn problem_of_line(&mut self, exit: Exit) {
        let line = self.lines;
        self.problem(if self.is_seen { exit } else { exit.of(format!("line {line}")) });
    }

    /// Tells what went wrong.
    fn problem(&mut self, exit: Exit) {
        self.remember(&exit);
        let line = self.output.paint().paint(Role::Error, format!("! {}", exit.why()));
        self.outbox.push_back(Line::Note(line));
    }

    fn hint(&mut self, text: &str) {
        let line = self.output.paint().paint(Role::Connection, format!("* {text}"));
        self.outbox.push_back(Line::Note(line));
    }

    fn remember(&mut self, exit: &Exit) {
        if !self.is_seen && self.exit.is_done() {
            self.exit = exit.clone().silent();
        }
    }
}

/// Waits until it is over, and gives what waits for that.
async fn over(sleep: &mut Option<(Pin<Box<Sleep>>, Option<Command>)>) -> Option<Command> {
    let (sleep, command) = sleep.as_mut()?;
    sleep.await;
    command.take()
}

fn nonzero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
