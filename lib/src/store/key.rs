//! Keys: the names of objects, prefix included.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::exit::{HasStatus, Status};

/// The longest key, in bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
const KEY_MAX: usize = 1024;

/// A whole key: 1 to 1,024 bytes of UTF-8 without control characters.
///
/// Control characters are refused because XML cannot carry them: S3 could store
/// such a key but no list could show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// A text that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a key: 1 to 1024 bytes without control characters")]
pub struct BadKey(String);

impl HasStatus for BadKey {
    fn status(&self) -> Status {
        // Keys that come from others are checked where they are read; what is
        // left are those that the configured prefix makes too long.
        Status::Config
    }
}

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        if text.is_empty() || text.len() > KEY_MAX || text.chars().any(char::is_control) {
            return Err(BadKey(text.chars().take(KEY_MAX).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Key {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_anything_but_control_characters() {
        for text in ["a", "a b/c+d%20'\"\\", "ünïcode/☃", "//", ".."] {
            assert_eq!(text.parse::<Key>().unwrap().as_str(), text);
        }
        for text in ["", "a\nb", "a\0", "\u{7f}", &"x".repeat(1025)] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
