//! Sending to many.

use std::{fmt, sync::Arc};

use serde::Serialize;
use sockeye_protocol::{
    NspId, Sid, Text,
    server::{Room, Target},
    socket::PayloadRef,
};

use super::{Event, SocketIo, namespace::NamespaceInner};
use crate::{EmitError, TypedEvent, layer::Layer as _, lent};

/// The name of a room, or a socket's own room, which every socket is in from the start.
///
/// A text names a room that sockets [join](crate::Socket::join); a [`Sid`] ([`Socket::id`](crate::Socket::id)) names
/// the one socket that has it. The two never meet, so nobody can join what is another's.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// use sockeye_driver::IntoRooms;
///
/// # fn room_of_a_friend() -> Option<Sid> { None }
/// let mut rooms = Vec::new();
/// ["red", "blue"].add_to(&mut rooms);
/// room_of_a_friend().map(|id| id.add_to(&mut rooms));
/// io.to(rooms).emit("news", "for red, blue and a friend")?;
/// # Ok::<_, EmitError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomName(Inner);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Inner {
    Named(String),
    Own(Sid),
}

impl RoomName {
    fn room(&self) -> Room<'_> {
        match &self.0 {
            Inner::Named(name) => Room::from(name.as_str()),
            Inner::Own(sid) => Room::Own(*sid),
        }
    }
}

/// One room or several: a text, a [`Sid`], a [`RoomName`], or an array, slice or `Vec` of these.
///
/// ```
/// # use sockeye_driver::prelude::*;
/// # let io = Server::new(Config::default());
/// let names: Vec<String> = vec!["green".to_owned()];
/// io.to("red").to(["blue", "yellow"]).to(names.as_slice()).to(&names[0]).emit("news", "for four")?;
/// # Ok::<_, EmitError>(())
/// ```
pub trait IntoRooms {
    /// Adds them.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// use sockeye_driver::{IntoRooms, RoomName};
    ///
    /// struct Table(u32);
    ///
    /// impl IntoRooms for Table {
    ///     fn add_to(self, rooms: &mut Vec<RoomName>) {
    ///         format!("table {}", self.0).add_to(rooms);
    ///     }
    /// }
    ///
    /// io.to(Table(7)).emit("your turn", &())?;
    /// # Ok::<_, EmitError>(())
    /// ```
    fn add_to(self, rooms: &mut Vec<RoomName>);
}

impl IntoRooms for RoomName {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        rooms.push(self);
    }
}

impl IntoRooms for &str {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        rooms.push(RoomName(Inner::Named(self.to_owned())));
    }
}

impl IntoRooms for String {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        rooms.push(RoomName(Inner::Named(self)));
    }
}

impl IntoRooms for &String {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        self.as_str().add_to(rooms);
    }
}

impl IntoRooms for Sid {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        rooms.push(RoomName(Inner::Own(self)));
    }
}

impl<T: IntoRooms, const N: usize> IntoRooms for [T; N] {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        self.into_iter().for_each(|room| room.add_to(rooms));
    }
}

impl<T: IntoRooms> IntoRooms for Vec<T> {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        self.into_iter().for_each(|room| room.add_to(rooms));
    }
}

impl<T: IntoRooms + Clone> IntoRooms for &[T] {
    fn add_to(self, rooms: &mut Vec<RoomName>) {
        self.iter().cloned().for_each(|room| room.add_to(rooms));
    }
}

/// A selection of the sockets of a namespace: made by `to`, `except`, `broadcast` and `local`, and used once or often.
///
/// The sockets are those in any of the rooms of [`to`](Self::to) (all, if there are none), each once, less those in any
/// room of [`except`](Self::except).
///
/// ```
/// # use sockeye_driver::{Config, Server};
/// # let io = Server::new(Config::default());
/// io.to("room 1").to(["room 2", "room 3"]).except("room 4").emit("hello", &"world")?;
/// # Ok::<(), sockeye_driver::EmitError>(())
/// ```
#[derive(Clone)]
#[must_use = "a selection does nothing before something is sent to it or done with it"]
pub struct BroadcastOperator {
    server: Arc<SocketIo>,
    id: NspId,
    namespace: Arc<NamespaceInner>,
    rooms: Vec<RoomName>,
    except: Vec<RoomName>,
}

impl BroadcastOperator {
    pub(super) fn new(server: &Arc<SocketIo>, id: NspId, namespace: &Arc<NamespaceInner>) -> Self {
        Self { server: Arc::clone(server), id, namespace: Arc::clone(namespace), rooms: Vec::new(), except: Vec::new() }
    }

    /// Those in these rooms, too. An empty list adds none, and so `io.to([])` is everybody, as in JavaScript: whoever
    /// computes a list looks first whether there is something in it.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("red").to("blue").emit("go", &())?; // Who is in both gets it once.
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn to(mut self, rooms: impl IntoRooms) -> Self {
        rooms.add_to(&mut self.rooms);
        self
    }

    /// But not those in these rooms.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("players").except(["asleep", "banned"]).emit("go", &())?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn except(mut self, rooms: impl IntoRooms) -> Self {
        rooms.add_to(&mut self.except);
        self
    }

    /// Only those that are connected to this process. (There are no others yet: it is for sources that will run in a
    /// cluster.)
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("red").local().emit("from your server", &std::process::id())?;
    /// # Ok::<_, EmitError>(())
    /// ```
    pub fn local(self) -> Self {
        self
    }

    /// Sends an event to all of them, encoded once. A tuple is several arguments, `()` none, anything else one; bytes
    /// are attachments. The number of sockets that it was queued for.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// let everybody = io.to("everybody");
    /// for n in 0..3 {
    ///     everybody.emit("tick", &n)?;
    /// }
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`]. One full queue is its socket's business: its [`QueuePolicy`](crate::QueuePolicy) applies.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<usize, EmitError> {
        let max_attachments = self.server.core().config.limits.max_attachments;
        lent::encoder(|encoder| {
            // Nobody is there to see whether the arguments are right: the name is checked in any case.
            if self.is_empty() {
                encoder.event(event, &(), max_attachments)?;
                return Ok(0);
            }
            self.send_payload(event, encoder.event(event, args, max_attachments)?)
        })
    }

    /// Sends the event `message`: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("red").send("as `socket.on(\"message\", ..)` gets it")?;
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn send<T: Serialize + ?Sized>(&self, args: &T) -> Result<usize, EmitError> {
        self.emit("message", args)
    }

    /// Sends a typed event to all of them: see [`emit`](Self::emit).
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// #[derive(TypedEvent)]
    /// struct News(String);
    ///
    /// io.to("red").except("asleep").emit_event(&News("it rains".into()))?;
    /// # Ok::<_, EmitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_event<E: TypedEvent>(&self, event: &E) -> Result<usize, EmitError> {
        self.emit(E::NAME, &event.args())
    }

    /// Makes all of them join these rooms. The number of sockets that are in all of them now: one that is in too many
    /// rooms ([`Limits::rooms_per_socket`](crate::Limits::rooms_per_socket)) is not. A [`Sid`] among the rooms is passed
    /// over: nobody joins a socket's own room.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// println!("{} are in both now", io.to("red").sockets_join("purple"));
    /// ```
    pub fn sockets_join(&self, rooms: impl IntoRooms) -> usize {
        let names = names(rooms);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.with_target(|target| self.server.select(|hub, _| hub.sockets_join(target, &names)))
    }

    /// Makes all of them leave these rooms. The number of sockets. A [`Sid`] among the rooms is passed over: nobody leaves
    /// their own.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("red").sockets_leave(["red", "purple"]);
    /// ```
    pub fn sockets_leave(&self, rooms: impl IntoRooms) -> usize {
        let names = names(rooms);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.with_target(|target| self.server.select(|hub, _| hub.sockets_leave(target, &names)))
    }

    /// Disconnects all of them from the namespace, or with `close` their whole connections. The number of sockets.
    ///
    /// ```
    /// # use sockeye_driver::prelude::*;
    /// # let io = Server::new(Config::default());
    /// io.to("banned").disconnect_sockets(true);
    /// ```
    pub fn disconnect_sockets(&self, close: bool) -> usize {
        self.with_target(|target| self.server.select(|hub, mut post| hub.disconnect_sockets(target, close, &mut post)))
    }

    fn send_payload(&self, event: &str, payload: PayloadRef<'_>) -> Result<usize, EmitError> {
        if self.namespace.listeners.hears_outgoing() {
            let table = self.namespace.listeners.table();
            let args = payload.to_payload().to_args().unwrap_or_default();
            let event = Event { socket: None, name: Text::from(event), args, ack: None };
            table.outgoing.iter().for_each(|listener| (listener.call)(&event));
        }
        let now = self.server.core().now();
        self.with_target(|target| self.server.hub(|hub, mut post| Ok(hub.broadcast(now, target, payload, &mut post)?)))
    }

    fn is_empty(&self) -> bool {
        self.with_target(|target| self.server.hub(|hub, _| hub.is_empty(target)))
    }

    fn with_target<T>(&self, act: impl FnOnce(&Target<'_>) -> T) -> T {
        let rooms: Vec<Room<'_>> = self.rooms.iter().map(RoomName::room).collect();
        let except: Vec<Room<'_>> = self.except.iter().map(RoomName::room).collect();
        act(&Target { namespace: self.id, rooms: &rooms, except: &except })
    }
}

/// Rooms to join or leave: a socket's own room cannot be.
pub(super) fn names(rooms: impl IntoRooms) -> Vec<String> {
    let mut all = Vec::new();
    rooms.add_to(&mut all);
    all.into_iter()
        .filter_map(|room| match room.0 {
            Inner::Named(name) => Some(name),
            Inner::Own(_) => None,
        })
        .collect()
}

impl fmt::Debug for BroadcastOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastOperator")
            .field("namespace", &self.namespace.name)
            .field("rooms", &self.rooms)
            .field("except", &self.except)
            .finish()
    }
}
