//! A checksum on each line of a journal.
//!
//! What it says of parts and chunks ends up in manifests, and not all of it can be
//! computed once more when a run is published: a bit that flipped on the disk must
//! be damage, and no fact.

/// What stands between a record and its checksum.
const MARK: &str = ",\"sum\":\"";
/// Eight hex digits, a quote, a brace.
const TAIL: usize = 10;

/// A record's line with the CRC-32 (IEEE) of it as its last field.
pub(super) fn seal(line: &str) -> String {
    let sum = crc32fast::hash(line.as_bytes());
    let open = line.strip_suffix('}').unwrap_or(line);
    format!("{open}{MARK}{sum:08x}\"}}")
}

/// Whether a line, without its newline, is as it was sealed. One without a
/// checksum is somebody else's, and for the reader to judge.
pub(super) fn is_whole(line: &[u8]) -> bool {
    let Some(at) = line.len().checked_sub(MARK.len() + TAIL) else { return true };
    let (open, tail) = line.split_at(at);
    let Some(sum) = tail.strip_prefix(MARK.as_bytes()) else { return true };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(open);
    hasher.update(b"}");
    sum == format!("{:08x}\"}}", hasher.finalize()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_in_a_sealed_line_breaks_it_or_its_json() {
        let sealed = seal("{\"type\":\"part\",\"etag\":\"abc\"}");
        assert_eq!(sealed, "{\"type\":\"part\",\"etag\":\"abc\",\"sum\":\"c32f7a1a\"}");
        assert!(is_whole(sealed.as_bytes()));
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone().into_bytes();
                flipped[at] ^= 1 << bit;
                let json: Option<serde_json::Value> = serde_json::from_slice(&flipped).ok();
                let kept = json.is_some_and(|json| json["etag"] == "abc");
                assert!(!is_whole(&flipped) || json_is_broken(&flipped) || kept, "{at} {bit}");
            }
        }
    }

    fn json_is_broken(line: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(line).is_err()
    }
}
