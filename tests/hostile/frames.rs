//! Framed streams.

use bts::chunk::{decode, list};
use bts::cli::status_of;
use bts::record::{Crc32, Frames, Reader};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::mutate::{plan, recipes};
use crate::parser::{Parser, Refused};

/// A framed stream of `chunks`, each in payloads of up to 100 bytes.
fn framed(chunks: &[&[u8]], hash: &str) -> Vec<u8> {
    let size = chunks[0].len();
    let stream = json!({
        "type": "stream", "version": 1, "format": "raw", "send_version": null, "chunk_size": size,
        "hash": hash, "snapshot_name": null, "uuid": null, "ctransid": null, "parent_uuid": null,
        "parent_ctransid": null, "plan": null,
    });
    let mut out = line(&stream);
    let mut digests = Sha256::new();
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(line(&json!({ "type": "chunk", "index": index })));
        for payload in chunk.chunks(100) {
            let crc32 = Crc32(crc32fast::hash(payload));
            out.extend(line(&json!({ "type": "data", "len": payload.len(), "crc32": crc32 })));
            out.extend([payload, b"\n"].concat());
        }
        let digest = digest(hash, chunk);
        digests.update(digest);
        let (hex, size) = (hex(&digest), chunk.len());
        out.extend(line(&json!({ "type": "chunk_end", "index": index, "size": size, hash: hex })));
    }
    let size: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let digest = hex(&digests.finalize());
    out.extend(line(
        &json!({ "type": "end", "chunks": chunks.len(), "size": size, "stream_sha256": digest }),
    ));
    out
}

fn line(record: &Value) -> Vec<u8> {
    format!("{record}\n").into_bytes()
}

fn digest(hash: &str, bytes: &[u8]) -> [u8; 32] {
    if hash == "blake3" { *blake3::hash(bytes).as_bytes() } else { Sha256::digest(bytes).into() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn samples() -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (0..=255).cycle().take(450).collect();
    let chunks: Vec<&[u8]> = bytes.chunks(200).collect();
    vec![framed(&chunks, "sha256"), framed(&chunks, "blake3"), framed(&[b"one line\n"], "sha256")]
}

fn frames(input: &[u8]) -> Frames<&[u8]> {
    Frames::new(Reader::new(input, "stdin"))
}

/// Decodes a framed stream; what is accepted is read once more by hand.
pub fn read(input: &[u8]) -> Result<(), Refused> {
    let mut bytes = Vec::new();
    let decoded = decode(frames(input), &mut bytes);
    let listed = list(frames(input), std::io::sink());
    assert_eq!(decoded.is_ok(), listed.is_ok(), "two ways to read the same");
    let end = decoded.map_err(|error| Refused {
        status: status_of(&error).code(),
        text: format!("{error:#}"),
    })?;
    assert_eq!(end.size, bytes.len() as u64);
    let (chunks, digests) = by_hand(input);
    assert_eq!(chunks.concat(), bytes);
    assert_eq!(end.chunks, chunks.len() as u64);
    assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
    for (chunk, said) in chunks.iter().zip(&digests) {
        assert!([hex(&digest("sha256", chunk)), hex(&digest("blake3", chunk))].contains(said));
    }
    Ok(())
}

/// The chunks' bytes and digests, read without any of the library's rules.
fn by_hand(mut input: &[u8]) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut chunks, mut digests) = (Vec::new(), Vec::new());
    while let Some(at) = input.iter().position(|byte| *byte == b'\n') {
        let record: Value = serde_json::from_slice(&input[..at]).unwrap();
        let len = record["len"].as_u64().map_or(0, |len| len as usize);
        let payload = &input[at + 1..at + 1 + len];
        input = &input[at + 1 + len + usize::from(len > 0)..];
        match record["type"].as_str().unwrap() {
            "chunk" => chunks.push(Vec::new()),
            "data" => chunks.last_mut().unwrap().extend_from_slice(payload),
            "chunk_end" => {
                let said = record.get("sha256").filter(|said| said.is_string());
                digests.push(said.unwrap_or(&record["blake3"]).as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    (chunks, digests)
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        Parser::Frames.read(&sample).unwrap();
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn framed_streams_end_in_a_verdict(recipe in recipes()) {
        let _ = Parser::Frames.read(&recipe.bytes(&samples()));
    }
}
