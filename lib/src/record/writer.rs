//! Writes records, one JSON object a line, and their payloads.

use std::io::{self, Write};

use serde::Serialize;

use super::{Crc32, Data, Typed};

/// Writes records to any sink. It does not buffer: give it a sink that does, or
/// one (like a pipe fed by large payloads) that need not.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    line: Vec<u8>,
}

/// A record with its `type` in front, as the line shows it.
#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    record: &'a T,
}

/// `record` as one line of JSON, without the newline.
///
/// # Errors
/// When a field cannot be said in JSON, which no record of this crate has.
pub fn to_line<T: Serialize + Typed>(record: &T) -> io::Result<String> {
    serde_json::to_string(&Line { r#type: T::TYPE, record }).map_err(io::Error::other)
}

impl<W: Write> Writer<W> {
    /// Writes to `sink`.
    pub fn new(sink: W) -> Self {
        Self { sink, line: Vec::new() }
    }

    /// Writes a record that has no payload.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write<T: Serialize + Typed>(&mut self, record: &T) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Line { r#type: T::TYPE, record })
            .map_err(io::Error::other)?;
        self.line.push(b'\n');
        self.sink.write_all(&self.line)
    }

    /// Writes `payload` as a `data` record; `crc32` is the payload's.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write_data(&mut self, payload: &[u8], crc32: u32) -> io::Result<()> {
        self.write(&Data { len: payload.len() as u64, crc32: Crc32(crc32) })?;
        self.sink.write_all(payload)?;
        self.sink.write_all(b"\n")
    }

    /// Flushes the sink.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
