//! Arguments as the counterpart and scripts write them: JSON, with binary as `{"binary": "00ff"}`.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    ser::{SerializeMap as _, SerializeTuple as _},
};
use serde_json::{Value as Json, json};
use sockeye_driver::{RawArgs, Value};

/// Any arguments, to be sent.
#[derive(Debug)]
pub(crate) struct Arguments(pub(crate) Vec<Json>);

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in &self.0 {
            tuple.serialize_element(&Argument(argument))?;
        }
        tuple.end()
    }
}

struct Argument<'a>(&'a Json);

impl Serialize for Argument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Array(items) => serializer.collect_seq(items.iter().map(Argument)),
            Json::Object(members) => match members.get("binary") {
                Some(Json::String(hex)) => serializer.serialize_bytes(&unhex(hex)),
                _ => {
                    let mut map = serializer.serialize_map(Some(members.len()))?;
                    for (key, value) in members {
                        map.serialize_entry(key, &Argument(value))?;
                    }
                    map.end()
                }
            },
            plain => plain.serialize(serializer),
        }
    }
}

/// All arguments of an acknowledgement, up to eight; what comes behind the last that is not `null` is left out.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Vec<Json>);

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all: Vec<Json> = <[Option<Value>; 8]>::deserialize(deserializer)?
            .iter()
            .map(|value| value.as_ref().map_or(Json::Null, plain))
            .collect();
        while all.last() == Some(&Json::Null) {
            all.pop();
        }
        Ok(Self(all))
    }
}

/// The arguments of an event.
pub(crate) fn arguments(args: &RawArgs) -> Json {
    args.to_values().unwrap().iter().map(plain).collect()
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(value) => Json::Number(value.clone()),
        Value::String(value) => json!(value),
        Value::Binary(bytes) => json!({ "binary": hex(bytes) }),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => Json::Object(members.iter().map(|(key, value)| (key.into(), plain(value))).collect()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect()
}
