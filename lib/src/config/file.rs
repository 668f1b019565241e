//! Finds the keys in the file and in the environment, and says where one stands
//! that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::Draft;
use super::keys::{KEYS, Key};
use super::suggest::nearest;
use super::value::{Value, Wrong};
use crate::exit::Failure;

/// What every variable begins with that overrides a key.
const VARIABLE: &str = "BTRFS_TO_S3_";

/// Variables that begin like a key's and are none: the tests' own store.
const OTHER_VARIABLES: &[&str] = &["BTRFS_TO_S3_TEST_STORE"];

/// How much of a value a message shows, in characters.
const SHOWN: usize = 80;

/// A file's text and what messages call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl File<'_> {
    /// Reads every key of the file into `draft`.
    pub(super) fn read(self, draft: &mut Draft) -> Result<(), Failure> {
        let root = DeTable::parse(self.text).map_err(|error| {
            let what = format!("this is no TOML: {}", error.message());
            self.at(error.span().unwrap_or_default(), what)
        })?;
        for (section, table) in root.get_ref() {
            self.read_section(draft, section, table)?;
        }
        if draft.global.store.is_some() && draft.s3.bucket.is_some() {
            let name = self.name;
            return Err(Failure::config(format!(
                "{name}: global.store and s3.bucket both name a store: leave one of them out"
            )));
        }
        Ok(())
    }

    fn read_section(
        self,
        draft: &mut Draft,
        section: &Spanned<std::borrow::Cow<'_, str>>,
        table: &Spanned<DeValue<'_>>,
    ) -> Result<(), Failure> {
        let name = section.get_ref().as_ref();
        let known = KEYS.iter().any(|key| key.section == name);
        let table = match table.get_ref().as_table() {
            Some(table) if known => table,
            Some(_) => return Err(self.at(section.span(), unknown_section(name))),
            None if known => {
                let what = format!("{name} is a section: write [{name}], and its keys below it");
                return Err(self.at(section.span(), what));
            }
            None => return Err(self.at(section.span(), unknown_key(None, name))),
        };
        for (key, value) in table {
            let Some(known) = find(name, key.get_ref()) else {
                return Err(self.at(key.span(), unknown_key(Some(name), key.get_ref())));
            };
            (known.set)(draft, Value::Toml(value.get_ref())).map_err(|Wrong(remedy)| {
                let shown = self.shown(value.span());
                self.at(value.span(), format!("{name}.{} is {shown}: {remedy}", known.name))
            })?;
        }
        Ok(())
    }

    /// A failure with the line that `span` begins in.
    fn at(self, span: Range<usize>, what: impl std::fmt::Display) -> Failure {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Failure::config(format!("{}, line {line}: {what}", self.name))
    }

    /// A value as the file spells it, cut to one line.
    fn shown(self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let shown: String = line.chars().take(SHOWN).collect();
        if shown.len() < text.len() { format!("{shown} …") } else { shown }
    }
}

/// Reads the variables that override keys into `draft`, and warns of those that
/// only look as if they did.
pub(super) fn read_variables(
    variables: &BTreeMap<String, String>,
    draft: &mut Draft,
) -> Result<Vec<String>, Failure> {
    for key in KEYS {
        let name = variable(key);
        let Some(text) = variables.get(&name) else { continue };
        (key.set)(draft, Value::Text(text)).map_err(|Wrong(remedy)| {
            let shown: String = text.chars().take(SHOWN).collect();
            Failure::config(format!("the environment's {name} is {shown:?}: {remedy}"))
        })?;
        // The last word on where the archive lies counts.
        match (key.section, key.name) {
            ("global", "store") => draft.s3.bucket = None,
            ("s3", "bucket") => draft.global.store = None,
            _ => {}
        }
    }
    let unknown = variables.keys().filter(|name| is_unknown(name));
    Ok(unknown.map(|name| unknown_variable(name)).collect())
}

fn variable(key: &Key) -> String {
    format!("{VARIABLE}{}_{}", key.section, key.name).to_uppercase()
}

fn is_unknown(name: &str) -> bool {
    name.starts_with(VARIABLE)
        && !OTHER_VARIABLES.contains(&name)
        && !KEYS.iter().any(|key| variable(key) == *name)
}

fn unknown_variable(name: &str) -> String {
    let names: Vec<_> = KEYS.iter().map(variable).collect();
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!(": did you mean {near}?"),
        None => String::new(),
    };
    format!("the environment's {name} is no key's and counts for nothing{hint}")
}

fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

fn unknown_section(name: &str) -> String {
    let hint = match nearest(name, KEYS.iter().map(|key| key.section)) {
        Some(near) => format!("did you mean [{near}]?"),
        None => "see btrfs-to-s3.toml(5)".to_owned(),
    };
    format!("unknown section [{name}]: {hint}")
}

/// A key that is right in another section was put into the wrong one; otherwise
/// it was most likely meant to be one of its own section.
fn unknown_key(section: Option<&str>, name: &str) -> String {
    let shown = section.map_or_else(|| name.to_owned(), |section| format!("{section}.{name}"));
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("unknown key {shown}: {name} belongs in section [{}]", key.section);
    }
    let own = KEYS.iter().filter(|key| section.is_none_or(|section| key.section == section));
    let hint = match nearest(name, own.map(|key| key.name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "see btrfs-to-s3.toml(5)".to_owned(),
    };
    format!("unknown key {shown}: {hint}")
}
