//! Reads records and their payloads, and holds the rules that all pipes share.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::exit::shortened;

use super::{Error, ErrorRecord, LINE_MAX, PAYLOAD_MAX, Typed, VERSION};

/// Reads records from any source.
///
/// A record's payload must be taken ([`Reader::payload`]) before the next record
/// is asked for; one that is not taken is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    input: String,
    line: u64,
    pending: u64,
    buffer: Vec<u8>,
}

/// A record whose type is known to the caller, not yet turned into fields.
#[derive(Debug, Clone)]
pub struct Raw {
    fields: Map<String, Value>,
    kind: String,
    line: u64,
    input: String,
}

impl Raw {
    /// The record's type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The record's line, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// All fields, `type` included, as they were read.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The record's fields as `T`.
    ///
    /// # Errors
    /// [`Error::Broken`] when a field is missing or of the wrong shape.
    pub fn decode<T: DeserializeOwned + Typed>(self) -> Result<T, Error> {
        let Self { fields, kind, line, input } = self;
        serde_json::from_value(Value::Object(fields)).map_err(|cause| Error::Broken {
            input,
            line,
            what: shortened(format!("record {kind}: {cause}")),
        })
    }

    /// The error that says what is wrong with this record.
    pub fn broken(&self, what: impl Into<String>) -> Error {
        Error::Broken { input: self.input.clone(), line: self.line, what: shortened(what.into()) }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from `source`; errors call it `input` ("stdin", a path).
    pub fn new(source: R, input: impl Into<String>) -> Self {
        Self { source, input: input.into(), line: 0, pending: 0, buffer: Vec::new() }
    }

    /// The next record whose type is one of `known`, or `None` at a clean end of
    /// file. What else comes is handled by the rules of [`super`].
    ///
    /// # Errors
    /// [`Error::Read`] when the source fails; [`Error::Broken`] when the line is
    /// no record, is cut short, is too long, has a higher version or is critical
    /// and unknown; [`Error::Upstream`] when an earlier stage said it failed.
    pub fn next(&mut self, known: &[&str]) -> Result<Option<Raw>, Error> {
        loop {
            self.skip_payload()?;
            let Some(raw) = self.read_line()? else { return Ok(None) };
            self.pending = self.payload_len(&raw)?;
            if raw.kind == ErrorRecord::TYPE {
                return Err(Error::Upstream(raw.decode()?));
            }
            if !known.contains(&raw.kind.as_str()) {
                if raw.fields.get("critical") == Some(&Value::Bool(true)) {
                    let kind = &raw.kind;
                    return Err(raw.broken(format!(
                        "a critical record of type {kind:?}, which this version does not know"
                    )));
                }
                continue;
            }
            if let Some(version) = raw.fields.get("version")
                && version.as_u64().is_none_or(|version| version > u64::from(VERSION))
            {
                return Err(raw.broken(format!(
                    "record {} has version {version}, this program reads up to {VERSION}",
                    raw.kind
                )));
            }
            return Ok(Some(raw));
        }
    }

    /// The payload of the record that was just read.
    ///
    /// # Errors
    /// [`Error::Broken`] when it is longer than [`PAYLOAD_MAX`] or cut short.
    pub fn payload(&mut self) -> Result<Bytes, Error> {
        let len = std::mem::take(&mut self.pending);
        if len > PAYLOAD_MAX {
            return Err(self.broken(format!(
                "a payload of {len} bytes, more than the {PAYLOAD_MAX} that a reader takes"
            )));
        }
        // Within PAYLOAD_MAX, so it fits a usize.
        let mut payload = Vec::with_capacity(len as usize);
        let read = (&mut self.source).take(len).read_to_end(&mut payload);
        read.map_err(|cause| self.failed(cause))?;
        if payload.len() as u64 != len {
            return Err(self.broken("the payload is cut short"));
        }
        self.payload_newline()?;
        Ok(payload.into())
    }

    /// An [`Error::Broken`] for the line that was just read.
    pub fn broken(&self, what: impl Into<String>) -> Error {
        Error::Broken { input: self.input.clone(), line: self.line, what: shortened(what.into()) }
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::Read { input: self.input.clone(), cause }
    }

    fn read_line(&mut self) -> Result<Option<Raw>, Error> {
        self.buffer.clear();
        self.line += 1;
        let mut limited = (&mut self.source).take(LINE_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer);
        read.map_err(|cause| self.failed(cause))?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if self.buffer.pop() != Some(b'\n') {
            return Err(self.broken(if self.buffer.len() < LINE_MAX {
                "the input ends in the middle of a record".to_owned()
            } else {
                format!("no record ends within {LINE_MAX} bytes: is this a stream of records?")
            }));
        }
        let fields: Map<String, Value> = serde_json::from_slice(&self.buffer)
            .map_err(|cause| self.broken(format!("not a record: {cause}")))?;
        let Some(Value::String(kind)) = fields.get("type") else {
            return Err(self.broken("a record without a type"));
        };
        let kind = kind.clone();
        Ok(Some(Raw { fields, kind, line: self.line, input: self.input.clone() }))
    }

    fn payload_len(&self, raw: &Raw) -> Result<u64, Error> {
        match raw.fields.get("len") {
            None => Ok(0),
            Some(len) => match len.as_u64() {
                Some(len) if len > 0 => Ok(len),
                _ => Err(raw.broken(format!("len is {len}, not a number of bytes above 0"))),
            },
        }
    }

    fn skip_payload(&mut self) -> Result<(), Error> {
        let len = std::mem::take(&mut self.pending);
        if len == 0 {
            return Ok(());
        }
        let skipped = io::copy(&mut (&mut self.source).take(len), &mut io::sink());
        if skipped.map_err(|cause| self.failed(cause))? != len {
            return Err(self.broken("the payload is cut short"));
        }
        self.payload_newline()
    }

    fn payload_newline(&mut self) -> Result<(), Error> {
        let mut newline = [0];
        match self.source.read_exact(&mut newline) {
            Ok(()) if newline == *b"\n" => Ok(()),
            Ok(()) => Err(self.broken("no newline where the payload should end")),
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.broken("the input ends before the payload's newline"))
            }
            Err(cause) => Err(self.failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, ListEnd};
    use super::*;

    fn read(text: &[u8]) -> Reader<&[u8]> {
        Reader::new(text, "stdin")
    }

    fn message(text: &[u8]) -> String {
        let mut reader = read(text);
        loop {
            match reader.next(&["chunk", "data", "end"]) {
                Ok(Some(raw)) if raw.kind() == "data" => match reader.payload() {
                    Ok(_) => {}
                    Err(error) => return error.to_string(),
                },
                Ok(Some(_)) => {}
                Ok(None) => return "clean end".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn unknown_records_and_their_payloads_are_skipped() {
        let text = b"{\"type\":\"novel\",\"len\":3}\n\n{}\n{\"type\":\"chunk\",\"index\":7}\n";
        let raw = read(text).next(&["chunk"]).unwrap().unwrap();
        assert_eq!(raw.line(), 2);
        assert_eq!(raw.decode::<Chunk>().unwrap(), Chunk { index: 7 });
    }

    #[test]
    fn a_known_payload_that_nobody_took_is_skipped() {
        let text = b"{\"type\":\"data\",\"len\":2,\"crc32\":\"00000000\"}\n\n\n\n{\"type\":\"end\",\"backups\":1}\n";
        let mut reader = read(text);
        assert_eq!(reader.next(&["data", "end"]).unwrap().unwrap().kind(), "data");
        let end = reader.next(&["data", "end"]).unwrap().unwrap();
        assert_eq!(end.decode::<ListEnd>().unwrap(), ListEnd { backups: 1 });
        assert!(reader.next(&["end"]).unwrap().is_none());
    }

    #[test]
    fn an_unknown_critical_record_is_refused() {
        let text = b"{\"type\":\"filter\",\"critical\":true}\n";
        assert_eq!(
            message(text),
            "stdin, line 1: a critical record of type \"filter\", which this version does not know"
        );
    }

    #[test]
    fn a_higher_version_is_refused() {
        let said = message(b"{\"type\":\"chunk\",\"version\":2,\"index\":0}\n");
        assert_eq!(said, "stdin, line 1: record chunk has version 2, this program reads up to 1");
    }

    #[test]
    fn an_error_record_hands_its_status_on() {
        use crate::exit::{HasStatus, Status};
        let text = b"{\"type\":\"error\",\"program\":\"bts-chunk\",\"status\":76,\"code\":\"send_restarted\",\"message\":\"m\"}\n";
        let error = read(text).next(&[]).unwrap_err();
        assert_eq!(error.status(), Status::SendRestarted);
        assert_eq!(error.to_string(), "bts-chunk: m");
        let text = b"{\"type\":\"error\",\"program\":\"x\",\"status\":0,\"code\":\"\",\"message\":\"m\"}\n";
        assert_eq!(read(text).next(&[]).unwrap_err().status(), Status::Data);
    }

    #[test]
    fn broken_input_names_its_line() {
        for (text, expected) in [
            (&b"{\"type\":\"chunk\",\"index\":0}\nnonsense\n"[..], "stdin, line 2: not a record"),
            (b"[1]\n", "stdin, line 1: not a record"),
            (b"{}\n", "stdin, line 1: a record without a type"),
            (b"{\"type\":\"chunk\"", "stdin, line 1: the input ends in the middle"),
            (b"{\"type\":\"data\",\"len\":-1}\n", "stdin, line 1: len is -1"),
            (b"{\"type\":\"data\",\"len\":0}\n", "stdin, line 1: len is 0"),
            (b"{\"type\":\"data\",\"len\":5}\nabc", "stdin, line 1: the payload is cut short"),
            (b"{\"type\":\"data\",\"len\":3}\nabc", "stdin, line 1: the input ends before"),
            (b"{\"type\":\"data\",\"len\":3}\nabcd", "stdin, line 1: no newline where"),
            (b"{\"type\":\"new\",\"len\":5}\nabc", "stdin, line 1: the payload is cut short"),
            (
                b"{\"type\":\"data\",\"len\":99999999999}\n",
                "stdin, line 1: a payload of 99999999999",
            ),
        ] {
            let said = message(text);
            assert!(said.starts_with(expected), "{said:?} for {expected:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_memory_fills() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = Reader::new(endless, "stdin").next(&[]).unwrap_err();
        assert!(error.to_string().contains("is this a stream of records?"), "{error}");
    }
}
