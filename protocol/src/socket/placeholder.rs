//! The placeholders of a binary packet: `{"_placeholder":true,"num":0}`, one for each attachment.
//!
//! JavaScript accepts the two keys in any order and with others beside them, a `num` that is used by two placeholders
//! (which multiplies an attachment) or by none, and even 0.5. Here each attachment has exactly one placeholder, and a
//! placeholder that is written in another way is rewritten, so that later readers need to know one form only.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::{Args, DecodeError, Object, Value, json, resolve::KeyText, value::ValueVisitor};
use crate::Text;

/// The key that makes an object a placeholder, if its value is `true`.
pub(super) const PLACEHOLDER: &str = "_placeholder";
/// The key of the attachment's number.
pub(super) const NUM: &str = "num";

/// Checks that every attachment has exactly one placeholder, and gives the arguments with canonical ones.
pub(super) fn check(args: Args, declared: usize) -> Result<Args, DecodeError> {
    let mut nums = Vec::new();
    let mut json = serde_json::Deserializer::from_str(args.array());
    if json.deserialize_any(Walk(&mut nums)).is_ok() {
        complete(&nums, declared)?;
        return Ok(args);
    }
    // Rare: a placeholder in another form, or a token that serde_json refuses.
    let raw = json::sanitise(args.raw()).map_or(Cow::Borrowed(args.raw()), Cow::Owned);
    let array = ["[", &raw, "]"].concat();
    let mut json = serde_json::Deserializer::from_str(&array);
    let mut value = ValueVisitor(&[]).deserialize(&mut json).map_err(DecodeError::json)?;
    let mut nums = Vec::new();
    rewrite(&mut value, declared, &mut nums)?;
    complete(&nums, declared)?;
    let array = serde_json::to_string(&value).map_err(DecodeError::json)?;
    Ok(Args::of_array(Text::from(array)))
}

/// Whether the numbers are those of all attachments, each once.
fn complete(nums: &[usize], declared: usize) -> Result<(), DecodeError> {
    // Peers number in the order of appearance, so that sorting is a formality.
    let mut sorted = Cow::Borrowed(nums);
    if !nums.is_sorted() {
        sorted.to_mut().sort_unstable();
    }
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    if let Some((&num, _)) = pairs.into_iter().find(|(a, b)| a == b) {
        return Err(DecodeError::RepeatedAttachment { num });
    }
    if sorted.last().is_some_and(|last| *last >= declared) {
        return Err(DecodeError::Placeholder { declared });
    }
    let used = nums.len();
    if used < declared {
        return Err(DecodeError::UnusedAttachment { declared, used });
    }
    Ok(())
}

/// Makes placeholders canonical and collects their numbers.
fn rewrite(value: &mut Value, declared: usize, nums: &mut Vec<usize>) -> Result<(), DecodeError> {
    match value {
        Value::Array(elements) => elements.iter_mut().try_for_each(|element| rewrite(element, declared, nums)),
        Value::Object(object) if object.get(PLACEHOLDER) == Some(&Value::Bool(true)) => {
            let num = object
                .get(NUM)
                .and_then(Value::as_f64)
                .and_then(|num| index(num, declared))
                .ok_or(DecodeError::Placeholder { declared })?;
            nums.push(num);
            *object = Object::from_iter([(PLACEHOLDER, Value::Bool(true)), (NUM, Value::from(num))]);
            Ok(())
        }
        Value::Object(object) => {
            // The last of several counts, as in JavaScript; the first key would be looked at.
            if let Some(other) = object.remove(PLACEHOLDER) {
                object.insert(PLACEHOLDER, other);
            }
            object.values_mut().try_for_each(|element| rewrite(element, declared, nums))
        }
        _ => Ok(()),
    }
}

/// JavaScript's numbers have no type: `0.0` is an index too.
fn index(num: f64, declared: usize) -> Option<usize> {
    let index = num as usize;
    (index as f64 == num && index < declared).then_some(index)
}

/// Walks through JSON and collects the numbers of canonical placeholders, in order of appearance. A `_placeholder` in
/// any other form is an error.
struct Walk<'a>(&'a mut Vec<usize>);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(first) = map.next_key_seed(KeyText)? else {
            return Ok(());
        };
        if first == PLACEHOLDER {
            if map.next_value::<bool>()?
                && map.next_key_seed(KeyText)?.as_deref() == Some(NUM)
                && let num = map.next_value::<usize>()?
                && map.next_key_seed(KeyText)?.is_none()
            {
                self.0.push(num);
                return Ok(());
            }
            return Err(A::Error::custom("unusual placeholder"));
        }
        map.next_value_seed(Walk(self.0))?;
        while let Some(key) = map.next_key_seed(KeyText)? {
            if key == PLACEHOLDER {
                return Err(A::Error::custom("unusual placeholder"));
            }
            map.next_value_seed(Walk(self.0))?;
        }
        Ok(())
    }
}
