//! Framed streams are made as text, so that each test sees what it breaks.

use super::super::Hash;
use super::*;

const STREAM: &str = r#"{"type":"stream","version":1,"format":"raw","send_version":null,"chunk_size":4,"snapshot_name":null,"uuid":null,"ctransid":null,"parent_uuid":null,"parent_ctransid":null,"plan":null}"#;

fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn data(payload: &str) -> String {
    let crc32 = Crc32(crc32fast::hash(payload.as_bytes()));
    format!("{{\"type\":\"data\",\"len\":{},\"crc32\":\"{crc32}\"}}\n{payload}\n", payload.len())
}

fn chunk_end(index: u64, bytes: &str) -> String {
    let digest = sha256(bytes.as_bytes());
    let size = bytes.len();
    format!(
        "{{\"type\":\"chunk_end\",\"index\":{index},\"size\":{size},\"sha256\":\"{digest}\"}}\n"
    )
}

fn end(chunks: &[&str]) -> String {
    let digests: Vec<u8> = chunks.iter().flat_map(|c| sha256(c.as_bytes()).0).collect();
    let (count, size) = (chunks.len(), chunks.concat().len());
    let digest = sha256(&digests);
    format!(
        "{{\"type\":\"end\",\"chunks\":{count},\"size\":{size},\"stream_sha256\":\"{digest}\"}}\n"
    )
}

/// `abcdef` in two chunks, the first of which comes in two payloads.
fn good() -> Vec<String> {
    vec![
        format!("{STREAM}\n"),
        "{\"type\":\"chunk\",\"index\":0}\n".to_owned(),
        data("abc"),
        data("d"),
        chunk_end(0, "abcd"),
        "{\"type\":\"chunk\",\"index\":1}\n".to_owned(),
        data("ef"),
        chunk_end(1, "ef"),
        end(&["abcd", "ef"]),
    ]
}

fn bytes_of(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut frames = Frames::new(Reader::new(text, "stdin"));
    let mut bytes = Vec::new();
    loop {
        match frames.next()? {
            Frame::Data { payload, .. } => bytes.extend_from_slice(&payload),
            Frame::Chunk(_) | Frame::ChunkEnd(_) => {}
            Frame::End(end) => {
                assert_eq!(end.size, bytes.len() as u64);
                return Ok(bytes);
            }
        }
    }
}

fn refusal(lines: &[String]) -> String {
    bytes_of(lines.concat().as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_sound_stream_is_handed_out_to_its_end() {
    assert_eq!(bytes_of(good().concat().as_bytes()).unwrap(), b"abcdef");
}

#[test]
fn the_stream_record_can_be_asked_for_more_than_once() {
    let text = good().concat();
    let mut frames = Frames::new(Reader::new(text.as_bytes(), "stdin"));
    assert_eq!(frames.stream().unwrap().hash, Hash::Sha256);
    assert_eq!(frames.stream().unwrap().chunk_size, 4);
    assert_eq!(frames.next().unwrap(), Frame::Chunk(Chunk { index: 0 }));
}

#[test]
fn records_that_nobody_knows_may_stand_anywhere() {
    let mut lines = good();
    for place in (0..=lines.len()).rev() {
        lines.insert(place, "{\"type\":\"note\",\"len\":2}\n\n\n\n".to_owned());
    }
    assert_eq!(bytes_of(lines.concat().as_bytes()).unwrap(), b"abcdef");
}

#[test]
fn every_prefix_is_refused() {
    let whole = good().concat();
    for len in 0..whole.len() {
        let error = bytes_of(&whole.as_bytes()[..len]).expect_err("a prefix passed for the whole");
        assert_eq!(crate::exit::HasStatus::status(&error), crate::exit::Status::Data, "{len}");
    }
}

#[test]
fn a_stream_without_end_is_refused_with_what_it_held() {
    let lines = good();
    let said = refusal(&lines[..3]);
    assert!(said.contains("ends without an end record, after 3 bytes"), "{said}");
    let said = refusal(&lines[..8]);
    assert!(said.contains("ends without an end record, after 6 bytes"), "{said}");
    let said = refusal(&[]);
    assert_eq!(said, "stdin, line 1: the input is empty, a framed stream should come");
}

#[test]
fn no_record_may_be_left_out_doubled_or_swapped() {
    let lines = good();
    for place in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(place);
        refusal(&without);
        let mut doubled = lines.clone();
        doubled.insert(place, lines[place].clone());
        refusal(&doubled);
        // Two payloads of one chunk changing places is for the chunk's digest to tell.
        let next = (place + 1) % lines.len();
        if !(lines[place].contains("\"data\"") && lines[next].contains("\"data\"")) {
            let mut swapped = lines.clone();
            swapped.swap(place, next);
            refusal(&swapped);
        }
    }
}

#[test]
fn what_contradicts_the_bytes_is_named() {
    let with = |place: usize, line: String| {
        let mut lines = good();
        lines[place] = line;
        refusal(&lines)
    };
    let abd = data("abc").replace("abc\n", "abd\n");
    for (place, line, expected) in [
        (2, abd, "line 3: the payload's CRC-32 is "),
        (1, "{\"type\":\"chunk\",\"index\":1}\n".to_owned(), "line 2: chunk 1 where chunk 0"),
        (3, data("de"), "line 4: chunk 0 is larger than 4 bytes"),
        (3, String::new(), "line 4: chunk 0 ends after 3 bytes, its end says 4"),
        (4, chunk_end(1, "abcd"), "line 5: the end of chunk 1 within chunk 0"),
        (4, chunk_end(0, "abc"), "line 5: chunk 0 ends after 4 bytes, its end says 3"),
        (4, chunk_end(0, "abcd").replace("sha256", "blake3"), "line 5: the end of chunk 0 does"),
        (8, end(&["abcd", "eg"]), "line 9: stream_sha256 is "),
        (8, end(&["abcd"]), "line 9: the end counts 1 chunks of 4 bytes, 2 of 6 bytes came"),
        (0, STREAM.replace(":4,", ":0,") + "\n", "line 1: chunk_size is 0"),
        (0, STREAM.replace("\"raw\"", "\"btrfs-send\"") + "\n", "line 1: a stream of format"),
        (0, STREAM.replace("name\":null", "name\":\"x\"") + "\n", "line 1: a stream of format raw"),
    ] {
        let said = with(place, line);
        assert!(said.contains(expected), "{said:?} for {expected:?}");
    }
}

#[test]
fn a_short_chunk_in_the_middle_is_refused() {
    let mut lines = good();
    lines.remove(3);
    lines[3] = chunk_end(0, "abc");
    let said = refusal(&lines);
    assert!(said.contains("chunk 1 follows a chunk of 3 bytes, all but the last have 4"), "{said}");
}

#[test]
fn an_empty_chunk_and_an_empty_stream_are_refused() {
    let start = &good()[..2];
    let said = refusal(&[start, &[chunk_end(0, "")]].concat());
    assert!(said.contains("chunk 0 ends after 0 bytes"), "{said}");
    let said = refusal(&[&start[..1], &[end(&[])]].concat());
    assert!(said.contains("the end counts 0 chunks"), "{said}");
}

#[test]
fn a_failure_of_the_stage_before_is_handed_on_even_after_the_end() {
    let error =
        "{\"type\":\"error\",\"program\":\"x\",\"status\":76,\"code\":\"\",\"message\":\"\"}\n";
    for place in 0..=good().len() {
        let mut lines = good();
        lines.insert(place, error.to_owned());
        let refused = bytes_of(lines.concat().as_bytes()).unwrap_err();
        assert!(matches!(refused, Error::Upstream(_)), "{refused}");
    }
}
