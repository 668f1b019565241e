//! From bytes to a manifest that holds together, and back.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Manifest, Pointer, check};
use crate::exit::{HasStatus, Status, shortened};

/// The largest manifest that is read, in bytes. A backup of S3's largest sizes
/// in the smallest useful chunks stays far below.
pub const MANIFEST_MAX: u64 = 64 << 20;

/// The largest pointer that is read, in bytes: three short fields, one of them a
/// key of at most 1,024 bytes.
pub const POINTER_MAX: u64 = 64 << 10;

/// The version that this program writes, and the only one it reads.
pub(super) const VERSION: u32 = 1;

/// An object of the archive that cannot be trusted: which, where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {}{what}", prefixed(field))]
pub struct Invalid {
    /// The object's URL.
    pub object: String,
    /// The field at fault; empty when it is the whole object.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

fn prefixed(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}

impl Invalid {
    /// Names the object, the field at fault and what is wrong with it.
    pub fn new(
        object: impl Into<String>,
        field: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self { object: object.into(), field: shortened(field.into()), what: shortened(what.into()) }
    }
}

impl HasStatus for Invalid {
    fn status(&self) -> Status {
        Status::Data
    }
}

/// What decides whether the rest can be understood at all.
#[derive(Deserialize)]
struct Head {
    version: u64,
    #[serde(default)]
    filter: Vec<IgnoredAny>,
}

/// Reads a manifest and checks that it agrees with itself. Unknown fields are
/// ignored, wherever they are. `object` is its URL, for messages.
///
/// # Errors
/// [`Invalid`] when it is too large, no manifest of version 1, made with a
/// filter, or contradicts itself.
pub fn parse(bytes: &[u8], object: &str) -> Result<Manifest, Invalid> {
    small_enough(bytes, MANIFEST_MAX, object)?;
    flat_enough(bytes, object)?;
    let head: Head = from_json(bytes, object)?;
    if head.version != u64::from(VERSION) {
        let what =
            format!("{}, and this program reads {VERSION}: use a newer version", head.version);
        return Err(Invalid::new(object, "version", what));
    }
    if !head.filter.is_empty() {
        let what = "this backup was made with a filter, which this version cannot undo";
        return Err(Invalid::new(object, "filter", what));
    }
    let manifest: Manifest = from_json(bytes, object)?;
    check::check(&manifest, object)?;
    Ok(manifest)
}

/// Reads a pointer (`current.json`). `object` is its URL, for messages.
///
/// # Errors
/// [`Invalid`] when it is too large or no pointer.
pub fn parse_pointer(bytes: &[u8], object: &str) -> Result<Pointer, Invalid> {
    small_enough(bytes, POINTER_MAX, object)?;
    flat_enough(bytes, object)?;
    let pointer: Pointer = from_json(bytes, object)?;
    check::key(&pointer.manifest_key, object, "manifest_key")?;
    Ok(pointer)
}

/// A manifest's or pointer's bytes: indented JSON and a newline, the same for the
/// same value.
///
/// # Errors
/// When a field cannot be said in JSON, which no field of these types does.
pub fn to_bytes<T: serde::Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn small_enough(bytes: &[u8], max: u64, object: &str) -> Result<(), Invalid> {
    let len = bytes.len() as u64;
    if len > max {
        let what = format!("{len} bytes, more than the {max} that are read");
        return Err(Invalid::new(object, "", what));
    }
    Ok(())
}

/// The deepest nesting that is read. A manifest needs four levels.
const DEPTH_MAX: usize = 128;

/// What is in a field that is not known is skipped however deep it is, and no
/// honest one is.
fn flat_enough(bytes: &[u8], object: &str) -> Result<(), Invalid> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            let what = format!("nested more than {DEPTH_MAX} levels deep at byte {}", at + 1);
            return Err(Invalid::new(object, "", what));
        }
    }
    Ok(())
}

fn from_json<T: DeserializeOwned>(bytes: &[u8], object: &str) -> Result<T, Invalid> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Invalid::new(object, field, error.inner().to_string())
    })?;
    json.end().map_err(|error| Invalid::new(object, "", error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
