//! What is done to sound input.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// How many inputs: `PROPTEST_CASES`, or a few hundred. What fails belongs into
/// `tests/data/hostile`, and is not kept elsewhere.
pub fn plan() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// A sample, and what is done to it. Shown instead of the bytes that come of it.
#[derive(Clone, Debug)]
pub struct Recipe {
    sample: Index,
    other: Index,
    steps: Vec<Step>,
}

/// One thing that is done to it.
#[derive(Clone, Debug)]
enum Step {
    Flip {
        at: Index,
        bit: u8,
    },
    Set {
        at: Index,
        byte: u8,
    },
    Cut {
        at: Index,
    },
    Remove {
        at: Index,
        len: usize,
    },
    Copy {
        from: Index,
        len: usize,
        to: Index,
    },
    Insert {
        at: Index,
        token: &'static [u8],
    },
    /// From here on the other sample's bytes.
    Splice {
        at: Index,
        from: Index,
    },
    RemoveLine {
        at: Index,
    },
    CopyLine {
        from: Index,
        to: Index,
    },
    SwapLines {
        one: Index,
        other: Index,
    },
    /// Another number instead of one that is there.
    Number {
        at: Index,
        text: &'static str,
    },
    Nest {
        at: Index,
        open: &'static [u8],
        depth: usize,
    },
    Fill {
        at: Index,
        byte: u8,
        len: usize,
    },
}

/// Words that mean something to one parser or the other.
const TOKENS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\"",
    b"\\",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"..",
    b"/",
    b"../",
    b"=",
    b"#",
    b"'''",
    b"\"\"\"",
    b"\"len\":1,",
    b"\"len\":4294967296,",
    b"\"type\":\"error\",",
    b"\"type\":\"end\",",
    b"\"critical\":true,",
    b"\"version\":2,",
    b"\"filter\":[[]],",
    b"btrfs-stream\0",
    b"\x01\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x15\0\x50\x6c\xc9\x9d",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "00",
    "0.5",
    "255",
    "256",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e999",
    "1e-400",
    "99999999999999999999999999999999999999999",
    "0x7f",
    "1_000",
    "NaN",
];

/// What nests.
const OPENINGS: &[&[u8]] = &[b"[", b"{\"a\":", b"a.", b"[["];

fn step() -> impl Strategy<Value = Step> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), 0..8_u8).prop_map(|(at, bit)| Step::Flip { at, bit }),
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Step::Set { at, byte }),
        3 => at().prop_map(|at| Step::Cut { at }),
        4 => (at(), 1..64_usize).prop_map(|(at, len)| Step::Remove { at, len }),
        4 => (at(), 1..256_usize, at()).prop_map(|(from, len, to)| Step::Copy { from, len, to }),
        6 => (at(), select(TOKENS)).prop_map(|(at, token)| Step::Insert { at, token }),
        3 => (at(), at()).prop_map(|(at, from)| Step::Splice { at, from }),
        3 => at().prop_map(|at| Step::RemoveLine { at }),
        3 => (at(), at()).prop_map(|(from, to)| Step::CopyLine { from, to }),
        3 => (at(), at()).prop_map(|(one, other)| Step::SwapLines { one, other }),
        6 => (at(), select(NUMBERS)).prop_map(|(at, text)| Step::Number { at, text }),
        1 => (at(), select(OPENINGS), 1..20_000_usize)
            .prop_map(|(at, open, depth)| Step::Nest { at, open, depth }),
        1 => (at(), any::<u8>(), 1..1_usize << 20).prop_map(|(at, byte, len)| Step::Fill { at, byte, len }),
    ]
}

/// Samples with up to six things done to them; few of them untouched.
pub fn recipes() -> impl Strategy<Value = Recipe> {
    (any::<Index>(), any::<Index>(), prop::collection::vec(step(), 0..=6))
        .prop_map(|(sample, other, steps)| Recipe { sample, other, steps })
}

impl Recipe {
    /// The bytes that come of it.
    pub fn bytes(&self, samples: &[Vec<u8>]) -> Vec<u8> {
        let (sample, other) = (self.sample.get(samples), self.other.get(samples));
        self.steps.iter().fold(sample.clone(), |bytes, step| step.apply(bytes, other))
    }
}

impl Step {
    fn apply(&self, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let len = bytes.len();
        match *self {
            Self::Flip { at, bit } => bytes[at.index(len)] ^= 1 << bit,
            Self::Set { at, byte } => bytes[at.index(len)] = byte,
            Self::Cut { at } => bytes.truncate(at.index(len)),
            Self::Remove { at, len: few } => drop(bytes.drain(piece(at, few, len))),
            Self::Copy { from, len: few, to } => {
                let copy = bytes[piece(from, few, len)].to_vec();
                insert(&mut bytes, to, copy);
            }
            Self::Insert { at, token } => insert(&mut bytes, at, token.to_vec()),
            Self::Splice { at, from } => {
                bytes.truncate(at.index(len));
                if !other.is_empty() {
                    bytes.extend_from_slice(&other[from.index(other.len())..]);
                }
            }
            Self::RemoveLine { at } => {
                return lines(&bytes, |lines| {
                    lines.remove(at.index(lines.len()));
                });
            }
            Self::CopyLine { from, to } => {
                return lines(&bytes, |lines| {
                    lines.insert(to.index(lines.len()), lines[from.index(lines.len())])
                });
            }
            Self::SwapLines { one, other } => {
                return lines(&bytes, |lines| {
                    let len = lines.len();
                    lines.swap(one.index(len), other.index(len));
                });
            }
            Self::Number { at, text } => replace_number(&mut bytes, at.index(len), text),
            Self::Nest { at, open, depth } => insert(&mut bytes, at, open.repeat(depth)),
            Self::Fill { at, byte, len } => insert(&mut bytes, at, vec![byte; len]),
        }
        bytes
    }
}

fn piece(at: Index, few: usize, len: usize) -> std::ops::Range<usize> {
    let start = at.index(len);
    start..len.min(start + few)
}

fn insert(bytes: &mut Vec<u8>, at: Index, what: Vec<u8>) {
    let at = at.index(bytes.len());
    bytes.splice(at..at, what);
}

fn lines(bytes: &[u8], change: impl FnOnce(&mut Vec<&[u8]>)) -> Vec<u8> {
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    change(&mut lines);
    lines.concat()
}

/// Replaces the first run of digits at or after `at`, if there is one.
fn replace_number(bytes: &mut Vec<u8>, at: usize, text: &str) {
    let Some(skip) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + skip;
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + digits, text.bytes());
}
