//! A well-behaved client that lives beside the hostile ones.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{server::Server, session::Socket, websocket::Event, wire::PATIENCE};

type Question = Sender<Result<(), String>>;

/// A session on a thread of its own, which answers its pings at all times.
#[derive(Debug)]
pub struct Neighbour {
    questions: Option<Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Moves in.
    pub fn of(server: &Server) -> Self {
        let engine = server.is_engine();
        let socket = if engine { Socket::open(server) } else { Socket::join(server) };
        let (questions, receiver) = channel();
        let thread = thread::spawn(move || live(socket, engine, &receiver));
        Self { questions: Some(questions), thread: Some(thread) }
    }

    /// Whether the session still carries messages there and back.
    ///
    /// # Errors
    ///
    /// What came instead.
    pub fn check(&self) -> Result<(), String> {
        let (sender, receiver) = channel();
        let asked = self.questions.as_ref().unwrap().send(sender);
        let answer = asked.ok().and_then(|()| receiver.recv_timeout(2 * PATIENCE).ok());
        answer.unwrap_or_else(|| Err("no answer".into())).map_err(|error| format!("the neighbour: {error}"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.thread.take().unwrap().join();
    }
}

fn live(mut socket: Socket, engine: bool, questions: &Receiver<Question>) {
    for number in 0.. {
        let question = loop {
            match questions.recv_timeout(Duration::from_millis(1)) {
                Ok(question) => break question,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Pings are answered below.
            let event = socket.next(Duration::from_millis(2));
            if !matches!(event, Event::End(crate::wire::End::Timeout)) {
                while let Ok(question) = questions.recv() {
                    let _ = question.send(Err(format!("got {event:?}")));
                }
                return;
            }
        };
        let (ask, expected) = if engine {
            (format!("4{number}"), format!("4{number}"))
        } else {
            (format!("42[\"message\",{number}]"), format!("42[\"message-back\",{number}]"))
        };
        socket.send_text(&ask);
        let result = match socket.next(PATIENCE) {
            Event::Text(text) if text == expected => Ok(()),
            event => Err(format!("got {event:?} instead of {expected}")),
        };
        let _ = question.send(result);
    }
}
