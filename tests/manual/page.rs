//! Reads man pages: just enough of mdoc(7) to know what a page documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A man page's source.
pub struct Page {
    /// Its file name, as in `bts-put.1`.
    pub file: String,
    /// Its path.
    pub path: PathBuf,
    lines: Vec<Line>,
}

/// A line of a page and where it stands.
struct Line {
    section: String,
    subsection: Option<String>,
    text: String,
}

/// A list item.
pub struct Item {
    /// The section that it stands in.
    pub section: String,
    /// The subsection that it stands in.
    pub subsection: Option<String>,
    /// What follows `.It`.
    pub words: Vec<String>,
    /// The source lines up to the next item or the end of the list.
    pub body: Vec<String>,
}

/// The folder `man`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../man")
}

/// All pages, in the order of their names.
pub fn all() -> Vec<Page> {
    let entries = fs::read_dir(folder()).expect("there is a folder man");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// The page with this file name.
pub fn page(file: &str) -> Page {
    Page::read(&folder().join(file))
}

/// The words of a line of mdoc: blanks part them, quotes join them.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.replace("\\&", ""));
        rest = after.trim_start();
    }
    words
}

/// The word behind each occurrence of `wanted` ("Fl", "Va", "Cm").
pub fn behind<'a>(wanted: &str, words: &'a [String]) -> impl Iterator<Item = &'a str> {
    words.windows(2).filter(move |pair| pair[0] == wanted).map(|pair| pair[1].as_str())
}

/// What `Fl` names in these words: `-c`, `--config`. A bare `--` is no option.
pub fn flags(words: &[String]) -> BTreeSet<String> {
    behind("Fl", words).filter(|name| *name != "-").map(|name| format!("-{name}")).collect()
}

impl Page {
    fn read(path: &Path) -> Self {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (mut section, mut subsection) = (String::new(), None);
        let mut lines = Vec::new();
        for text in text.lines() {
            if let Some(title) = text.strip_prefix(".Sh ") {
                (section, subsection) = (title.to_owned(), None);
            } else if let Some(title) = text.strip_prefix(".Ss ") {
                subsection = Some(title.to_owned());
            }
            let (section, subsection) = (section.clone(), subsection.clone());
            lines.push(Line { section, subsection, text: text.to_owned() });
        }
        Self { file, path: path.to_owned(), lines }
    }

    /// The page's name and section: `("bts-put", "1")`.
    pub fn name(&self) -> (&str, &str) {
        self.file.rsplit_once('.').expect("a page's file name ends with its section")
    }

    /// The titles of its sections, in order.
    pub fn sections(&self) -> Vec<&str> {
        let mut titles: Vec<_> = self.lines.iter().map(|line| line.section.as_str()).collect();
        titles.dedup();
        titles
    }

    /// The titles of a section's subsections, in order.
    pub fn subsections<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.lines.iter().filter(move |line| line.section == section);
        lines.filter_map(|line| line.text.strip_prefix(".Ss "))
    }

    /// The source lines of a section.
    pub fn section(&self, title: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.section == title);
        lines.map(|line| line.text.as_str()).collect()
    }

    /// All list items.
    pub fn items(&self) -> Vec<Item> {
        let heads = self.lines.iter().enumerate().filter_map(|(at, line)| {
            let words = words(line.text.strip_prefix(".It ")?);
            let (section, subsection) = (line.section.clone(), line.subsection.clone());
            let body = self.lines[at + 1..].iter().map(|line| line.text.clone());
            let body = body.take_while(|text| !text.starts_with(".It ") && text != ".El");
            Some(Item { section, subsection, words, body: body.collect() })
        });
        heads.collect()
    }

    /// The pages that `lines` refer to: `("bts-put", "1")`.
    pub fn references(lines: &[&str]) -> BTreeSet<(String, String)> {
        let references = lines.iter().filter_map(|line| {
            let words = words(line.strip_prefix(".Xr ")?);
            Some((words[0].clone(), words[1].clone()))
        });
        references.collect()
    }

    /// All source lines.
    pub fn lines(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// The command lines that the page shows, one each, continued lines joined.
    pub fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut literal = false;
        let mut open = String::new();
        for Line { text, .. } in &self.lines {
            match text.as_str() {
                ".Ed" => literal = false,
                text if text.starts_with(".Bd -literal") => literal = true,
                text => {
                    let shown = if literal { Some(text) } else { text.strip_prefix(".Dl ") };
                    let Some(shown) = shown else { continue };
                    let shown = shown.replace("\\e", "\\");
                    open.push_str(shown.trim_end_matches('\\'));
                    if !shown.ends_with('\\') {
                        commands.push(std::mem::take(&mut open));
                    }
                }
            }
        }
        commands
    }
}
