//! Values as the file and the environment give them, read as what a key wants.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use toml::de::DeValue;

use crate::size::parse_size;

/// What is wrong with a value: the words that follow "KEY is VALUE: ".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

pub(super) type Read<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(remedy: impl Into<String>) -> Read<T> {
    Err(Wrong(remedy.into()))
}

/// A value before anybody asked for its type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// From the file.
    Toml(&'a DeValue<'a>),
    /// From the environment or the table of defaults: numbers, sizes and words
    /// as they are, lists and tables in TOML's own form.
    Text(&'a str),
}

impl Value<'_> {
    /// A text without control characters, which no key, name or header may hold.
    pub(super) fn text(self) -> Read<String> {
        let text = match self {
            Self::Toml(DeValue::String(text)) => text.as_ref(),
            Self::Text(text) => text,
            Self::Toml(_) => return wrong("write a text in quotes"),
        };
        if text.chars().any(char::is_control) {
            return wrong("leave out the control character");
        }
        Ok(text.to_owned())
    }

    /// A text that is not empty.
    pub(super) fn some_text(self) -> Read<String> {
        let text = self.text()?;
        if text.is_empty() { wrong("write something, or leave the key out") } else { Ok(text) }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(self, words: &[(&str, T)]) -> Read<T> {
        let text = self.text().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            Wrong(format!("write {}", list(&words)))
        })
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(self, range: RangeInclusive<T>) -> Read<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let number = match self {
            Self::Toml(DeValue::Integer(number)) => decimal(number).and_then(|n| n.parse().ok()),
            Self::Text(text) => text.parse().ok(),
            Self::Toml(_) => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            Wrong(format!("write a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A size in bytes, with or without a unit.
    pub(super) fn size(self) -> Read<u64> {
        let text = match self {
            Self::Toml(DeValue::Integer(number)) => {
                decimal(number).ok_or_else(|| Wrong("write a size like \"200 GiB\"".into()))?
            }
            _ => self.text().map_err(|_| Wrong("write a size like \"200 GiB\"".into()))?,
        };
        parse_size(&text).map_err(|_| {
            Wrong("write a whole number of bytes, or one with a unit like \"200 GiB\"".into())
        })
    }

    /// Yes or no.
    pub(super) fn truth(self) -> Read<bool> {
        match self {
            Self::Toml(DeValue::Boolean(truth)) => Ok(*truth),
            Self::Text("true") => Ok(true),
            Self::Text("false") => Ok(false),
            _ => wrong("write true or false"),
        }
    }

    /// An absolute path.
    pub(super) fn path(self) -> Read<PathBuf> {
        let text = self.text().map_err(|_| Wrong("write an absolute path in quotes".into()))?;
        absolute(&text)
    }

    /// A time of day, `HH:MM` with or without `:SS`.
    pub(super) fn time_of_day(self) -> Read<jiff::civil::Time> {
        let remedy = || Wrong("write a time of day like \"02:00\"".into());
        let text = match self {
            Self::Toml(DeValue::Datetime(time)) => time.to_string(),
            _ => self.text().map_err(|_| remedy())?,
        };
        ["%H:%M", "%H:%M:%S"]
            .into_iter()
            .find_map(|form| jiff::civil::Time::strptime(form, &text).ok())
            .ok_or_else(remedy)
    }

    /// A list of texts.
    pub(super) fn texts(self) -> Read<Vec<String>> {
        let remedy = || Wrong("write a list of texts like [\"one\", \"two\"]".into());
        self.with_toml(|value| {
            let items = value.as_array().ok_or_else(remedy)?;
            items.iter().map(|item| Value::Toml(item.get_ref()).text()).collect()
        })
        .unwrap_or_else(|| Err(remedy()))
    }

    /// A list of absolute paths.
    pub(super) fn paths(self) -> Read<Vec<PathBuf>> {
        let remedy = |_| Wrong("write a list of absolute paths like [\"/srv/data\"]".into());
        let texts = self.texts().map_err(remedy)?;
        texts.iter().map(|text| absolute(text)).collect()
    }

    /// A list of commands, each a list of its program and arguments.
    pub(super) fn commands(self) -> Read<Vec<Vec<String>>> {
        let remedy = || Wrong("write a list of commands like [[\"zstd\", \"-3\"]]".into());
        self.with_toml(|value| {
            let commands = value.as_array().ok_or_else(remedy)?;
            commands.iter().map(|command| Value::Toml(command.get_ref()).texts()).collect()
        })
        .unwrap_or_else(|| Err(remedy()))
    }

    /// A table of paths and texts, in the order of the paths.
    pub(super) fn names(self) -> Read<Vec<(PathBuf, String)>> {
        let remedy = || Wrong("write a table of paths and names like { \"/\" = \"root\" }".into());
        self.with_toml(|value| {
            let table = value.as_table().ok_or_else(remedy)?;
            let entries = table.iter().map(|(path, name)| {
                Ok((absolute(path.get_ref())?, Value::Toml(name.get_ref()).text()?))
            });
            entries.collect()
        })
        .unwrap_or_else(|| Err(remedy()))
    }

    /// `read` on the value in TOML's form; `None` when it has none.
    fn with_toml<T>(self, read: impl FnOnce(&DeValue<'_>) -> T) -> Option<T> {
        match self {
            Self::Toml(value) => Some(read(value)),
            Self::Text(text) => DeValue::parse(text).ok().map(|value| read(value.get_ref())),
        }
    }
}

/// The number in decimal; `None` when it fits nothing that any key takes.
fn decimal(number: &toml::de::DeInteger<'_>) -> Option<String> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

/// An absolute path without `..` and without a slash at its end.
fn absolute(text: &str) -> Read<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return wrong("write an absolute path, one that begins with /");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return wrong("write the path without ..");
    }
    Ok(path.components().collect())
}

/// `"a", "b" or "c"`.
fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
