//! Reads the `current` records that `bts-manifest` writes.

use std::io::BufRead;

use crate::record::{Current, Error, ListEnd, Reader, Typed};

/// Reads current records up to their `end`.
///
/// # Errors
/// Those of [`Reader::next`]; [`Error::Broken`] when there is no `end`, when it
/// counts other than what came, when something follows it, or when a subvolume
/// comes twice: what is missing from such a list would pass for never backed up.
pub fn read_currents<R: BufRead>(mut reader: Reader<R>) -> Result<Vec<Current>, Error> {
    const KNOWN: &[&str] = &[Current::TYPE, ListEnd::TYPE];
    let mut currents: Vec<Current> = Vec::new();
    loop {
        let Some(raw) = reader.next(KNOWN)? else {
            return Err(reader.broken("no end record: pipe all of bts-manifest's output in"));
        };
        if raw.kind() == ListEnd::TYPE {
            let ListEnd { backups } = raw.clone().decode()?;
            if backups != currents.len() as u64 {
                let count = currents.len();
                return Err(raw.broken(format!("{count} current records came, not {backups}")));
            }
            break;
        }
        let current: Current = raw.clone().decode()?;
        if currents.iter().any(|other| other.subvolume == current.subvolume) {
            return Err(raw.broken(format!("{} is there twice", current.subvolume)));
        }
        currents.push(current);
    }
    match reader.next(KNOWN)? {
        Some(raw) => Err(raw.broken("a record after the end")),
        None => Ok(currents),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::current;
    use super::*;
    use crate::record::to_line;

    fn read(lines: &[String]) -> Result<Vec<Current>, String> {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        read_currents(Reader::new(text.as_bytes(), "stdin")).map_err(|error| error.to_string())
    }

    fn line(name: &str) -> String {
        to_line(&current(name)).unwrap()
    }

    fn end(backups: u64) -> String {
        to_line(&ListEnd { backups }).unwrap()
    }

    #[test]
    fn a_whole_list_is_read() {
        assert_eq!(read(&[end(0)]), Ok(Vec::new()));
        let both = read(&[line("data"), line("home"), end(2)]).unwrap();
        assert_eq!(both, [current("data"), current("home")]);
    }

    #[test]
    fn a_list_that_may_be_short_is_refused() {
        for (lines, said) in [
            (vec![], "stdin, line 1: no end record: pipe all of bts-manifest's output in"),
            (
                vec![line("data")],
                "stdin, line 2: no end record: pipe all of bts-manifest's output in",
            ),
            (vec![line("data"), end(2)], "stdin, line 2: 1 current records came, not 2"),
            (vec![line("data"), line("data"), end(2)], "stdin, line 2: data is there twice"),
            (vec![end(0), line("data")], "stdin, line 2: a record after the end"),
        ] {
            assert_eq!(read(&lines).unwrap_err(), said);
        }
    }
}
