//! Rooms that are named by a test.

use super::super::sockeye::{IntoRooms, RoomName, prelude::*};

/// Rooms as JavaScript names them: it does not tell a room from the socket with that id.
pub(crate) fn room_names(names: Vec<String>) -> Vec<RoomName> {
    let mut rooms = Vec::new();
    for name in names {
        match name.parse::<Sid>() {
            Ok(sid) => sid.add_to(&mut rooms),
            Err(_) => name.add_to(&mut rooms),
        }
    }
    rooms
}
