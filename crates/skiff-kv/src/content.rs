//! The state of a store as the bytes of a snapshot, one pair after the other, for stores that are not in
//! memory: nobody need hold all of it.
//!
//! The bytes are those of a [`Kv`](crate::Kv) with the same pairs, so that nodes which keep their pairs in
//! different ways take each other's snapshots: a map with the one field `pairs`, which is a map of texts to
//! bytes, in the order of the keys, as `MessagePack`.

use std::{
    cell::RefCell,
    fmt,
    io::{self, BufReader, Read, Write},
};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
    ser::{Error as _, SerializeMap, SerializeStruct},
};
use skiff::MachineError;

/// The only field of a state.
const FIELD: &str = "pairs";
/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// Whoever is told of the pairs, one by one. An error ends it.
type Tell<'a> = dyn FnMut(&str, &[u8]) -> io::Result<()> + 'a;

/// Writes a state of `count` pairs. `each` tells them, in the order of their keys.
///
/// # Errors
///
/// If `each` fails or tells another number of them, or as `to` has it.
pub fn write(
    mut to: &mut dyn Write,
    count: usize,
    each: impl FnOnce(&mut Tell<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let state = State { count, each: RefCell::new(Some(each)) };
    rmp_serde::encode::write_named(&mut to, &state).map_err(io::Error::other)
}

/// Reads a state, and tells the pairs one by one. No length is believed before the bytes are there.
///
/// # Errors
///
/// If these are not the bytes of a state, or there are more; as `from` has it; or if `each` fails.
pub fn read(
    from: &mut dyn Read,
    mut each: impl FnMut(&str, &[u8]) -> Result<(), MachineError>,
) -> Result<(), MachineError> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let mut reader = Reading { each: &mut each, found: false };
    reader.deserialize(&mut rmp_serde::Deserializer::new(&mut from)).map_err(MachineError::new)?;
    if !reader.found {
        return Err(MachineError::new("the state has no pairs, not even none"));
    }
    match from.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(MachineError::new("something is left over behind the last pair")),
    }
}

/// What is written.
struct State<F> {
    count: usize,
    /// Taken by whoever writes it.
    each: RefCell<Option<F>>,
}

impl<F: FnOnce(&mut Tell<'_>) -> io::Result<()>> Serialize for State<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut state = to.serialize_struct("Kv", 1)?;
        state.serialize_field(FIELD, &Pairs(self))?;
        state.end()
    }
}

struct Pairs<'a, F>(&'a State<F>);

impl<F: FnOnce(&mut Tell<'_>) -> io::Result<()>> Serialize for Pairs<'_, F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(State { count, each }) = self;
        let each = each.take().ok_or_else(|| S::Error::custom("it was written already"))?;
        let mut pairs = to.serialize_map(Some(*count))?;
        let mut told = 0;
        each(&mut |key, value| {
            told += 1;
            let put = pairs.serialize_entry(key, &Value(value));
            put.map_err(|error| io::Error::other(error.to_string()))
        })
        .map_err(S::Error::custom)?;
        if told != *count {
            return Err(S::Error::custom(format!("{count} pairs were to come, {told} came")));
        }
        pairs.end()
    }
}

struct Value<'a>(&'a [u8]);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

/// A state that is read.
struct Reading<'a, F> {
    each: &'a mut F,
    found: bool,
}

impl<'de, F> DeserializeSeed<'de> for &mut Reading<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F> Visitor<'de> for &mut Reading<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the state of a store")
    }

    /// Fields that are not known are skipped, as everywhere.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<String>()? {
            if field == FIELD && !self.found {
                self.found = true;
                map.next_value_seed(InPairs(&mut *self.each))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct InPairs<'a, F>(&'a mut F);

impl<'de, F> DeserializeSeed<'de> for InPairs<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F> Visitor<'de> for InPairs<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(InValue { key: &key, each: &mut *self.0 })?;
        }
        Ok(())
    }
}

struct InValue<'a, F> {
    key: &'a str,
    each: &'a mut F,
}

impl<'de, F> DeserializeSeed<'de> for InValue<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_bytes(self)
    }
}

impl<F> Visitor<'_> for InValue<'_, F>
where
    F: FnMut(&str, &[u8]) -> Result<(), MachineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a value")
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<(), E> {
        (self.each)(self.key, value).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests;
