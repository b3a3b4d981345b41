//! For servers that do not know what they are sent.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeTuple,
};

use super::super::sockeye::{IntoRooms, RoomName, prelude::*};

/// As many arguments as there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Every(pub(crate) Vec<Value>);

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Every;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut args: A) -> Result<Every, A::Error> {
                let mut values = Vec::new();
                while let Some(Given(Some(value))) = args.next_element()? {
                    values.push(value);
                }
                Ok(Every(values))
            }
        }

        /// An argument, unless it is missing: which is an error for all but an `Option`, where it looks like a null.
        struct Given(Option<Value>);

        impl<'de> Deserialize<'de> for Given {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self(Value::deserialize(deserializer).ok()))
            }
        }

        deserializer.deserialize_tuple(usize::MAX, All)
    }
}

/// Rooms as JavaScript names them: it does not tell a room from the socket with that id.
pub(crate) fn rooms(names: Vec<String>) -> Vec<RoomName> {
    let mut rooms = Vec::new();
    for name in names {
        match name.parse::<Sid>() {
            Ok(sid) => sid.add_to(&mut rooms),
            Err(_) => name.add_to(&mut rooms),
        }
    }
    rooms
}
