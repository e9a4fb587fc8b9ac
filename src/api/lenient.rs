//! Reads a value of JSON as the type that is wanted, and as nothing where it is of another: in one go, without holding
//! what it passes over.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What can be read from some shapes of JSON, and is nothing for the others.
pub(super) trait Lenient: Default {
    /// From a text.
    fn of_text(_: &str) -> Self {
        Self::default()
    }

    /// From a whole number.
    fn of_number(_: i128) -> Self {
        Self::default()
    }

    /// From an object.
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// From an array.
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// The value, or nothing where it is of another type.
pub(super) fn or_nothing<'de, D: Deserializer<'de>, T: Lenient>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Any(PhantomData))
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_text(text))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::of_number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_number(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_none<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::of_list(list)
    }
}

impl Lenient for String {
    fn of_text(text: &str) -> Self {
        text.to_owned()
    }
}

impl Lenient for i64 {
    fn of_number(number: i128) -> Self {
        Self::try_from(number).unwrap_or_default()
    }
}

impl Lenient for u64 {
    fn of_number(number: i128) -> Self {
        Self::try_from(number).unwrap_or_default()
    }
}

impl Lenient for Option<Time> {
    fn of_text(text: &str) -> Self {
        text.parse().ok().map(Time)
    }
}

/// An item that was read so.
struct Item<T>(T);

impl<'de, T: Lenient> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_nothing(deserializer).map(Self)
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn of_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let items = Vec::<Item<T>>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}

impl Lenient for BTreeMap<String, String> {
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut all = Self::new();
        while let Some((key, Item(value))) = map.next_entry::<String, Item<String>>()? {
            all.insert(key, value);
        }
        Ok(all)
    }
}
