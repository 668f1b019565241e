//! `bts-chunk` as its callers meet it: statuses, stderr, and what is on stdout.

#![expect(clippy::unwrap_used, reason = "in tests, helpers too may panic")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const FULL: &[u8] = include_bytes!("../../../tests/data/full.btrfs");
const INC: &[u8] = include_bytes!("../../../tests/data/inc.btrfs");
const NO_DATA: &[u8] = include_bytes!("../../../tests/data/full-no-data.btrfs");

fn bts_chunk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bts-chunk"));
    // The tests depend on no setting of the machine that runs them; only what
    // measures their coverage is told where to write.
    let coverage = std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE");
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(coverage).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `bts-chunk` with `input` on stdin.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = bts_chunk(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The program may refuse before it has read all: then the pipe breaks.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The JSON objects in a stdout without data.
fn records(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const CUT: [&str; 2] = ["--chunk-size", "2000"];

#[test]
fn a_send_stream_goes_round() {
    for stream in [FULL, INC] {
        let framed = run(&CUT, stream);
        assert_eq!((framed.status.code(), stderr(&framed)), (Some(0), String::new()));
        let raw = run(&["--decode"], &framed.stdout);
        assert_eq!((raw.status.code(), stderr(&raw)), (Some(0), String::new()));
        assert!(raw.stdout == stream, "the stream came back changed");
    }
}

#[test]
fn bad_send_streams_end_with_their_status_and_say_why() {
    let mut damaged = INC.to_vec();
    damaged[300] ^= 1;
    let restarted = [&INC[..1000], INC].concat();
    let twice = [FULL, INC].concat();
    for (input, status, said) in [
        (&b""[..], 65, "send stream, byte 0: the input is empty, a send stream should come\n"),
        (b"a tar archive, perhaps", 65, "send stream, byte 0: this is not a Btrfs send stream"),
        (b"btrfs", 65, "send stream, byte 5: the input ends in the middle of the header"),
        (&INC[..1000], 65, "send stream, byte 1000, command "),
        (&INC[..INC.len() - 10], 65, ": the input ends before the END command"),
        (&damaged, 65, ": its CRC-32C is "),
        (&twice, 65, "send stream, byte 73653: bytes follow the end of the stream"),
        (&restarted, 76, "send stream, byte 1000: `btrfs send` started its stream again here"),
        (NO_DATA, 65, "command 22 (UPDATE_EXTENT): the stream leaves out what files hold"),
    ] {
        let output = run(&CUT, input);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(stderr(&output).starts_with("bts-chunk: error: "), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{:?} for {said:?}", stderr(&output));
    }
}

#[test]
fn a_failure_is_handed_on_and_said_once() {
    let framed = run(&CUT, &[&INC[..1000], INC].concat());
    let last = framed.stdout.split(|byte| *byte == b'\n').rev().nth(1).unwrap();
    let record: serde_json::Value = serde_json::from_slice(last).unwrap();
    assert_eq!((&record["type"], &record["code"]), (&"error".into(), &"send_restarted".into()));
    let decoded = run(&["--decode"], &framed.stdout);
    assert_eq!((decoded.status.code(), stderr(&decoded)), (Some(76), String::new()));
}

#[test]
fn a_framed_stream_that_is_cut_anywhere_is_refused() {
    let framed = run(&["--chunk-size", "4000"], INC).stdout;
    for len in (0..framed.len()).step_by(211) {
        let output = run(&["--decode"], &framed[..len]);
        assert_eq!(output.status.code(), Some(65), "{len}: {}", stderr(&output));
        assert!(stderr(&output).contains("error: stdin, line "), "{}", stderr(&output));
    }
}

#[test]
fn records_show_a_stream_without_its_data() {
    let output = run(&["--chunk-size", "4000", "--records"], INC);
    assert_eq!(output.status.code(), Some(0));
    let cut = records(&output);
    let types: Vec<&str> = cut.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["stream", "chunk", "chunk_end", "chunk", "chunk_end", "end"]);
    assert_eq!(cut[0]["snapshot_name"], "data__20260124T220511Z__inc");
    assert_eq!(cut[5]["size"], INC.len());

    let framed = run(&["--chunk-size", "4000"], INC);
    let listed = run(&["--decode", "--records"], &framed.stdout);
    assert_eq!(listed.status.code(), Some(0));
    assert_eq!(records(&listed), cut);
}

#[test]
fn raw_takes_any_bytes_but_not_none() {
    let framed = run(&["--raw", "--chunk-size", "5", "--hash", "blake3"], b"any bytes");
    assert_eq!(framed.status.code(), Some(0));
    assert_eq!(run(&["--decode"], &framed.stdout).stdout, b"any bytes");
    let output = run(&["--raw", "--chunk-size", "5"], b"");
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(stderr(&output), "bts-chunk: error: the input is empty\n");
}

#[test]
fn a_producer_must_exit_0() {
    let sh = |script: &str| {
        run(&["--raw", "--chunk-size", "1M", "--", "sh", "-c", script], b"this is not read")
    };
    let output = sh("cat; printf bytes");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert_eq!(run(&["--decode"], &output.stdout).stdout, b"bytes");

    for (script, said) in [
        ("printf bytes; exit 3", "sh exited with status 3: what it wrote is not taken"),
        ("printf bytes; kill -9 $$", "sh was ended by signal 9: what it wrote is not taken"),
        ("exit 1", "sh exited with status 1"),
    ] {
        let output = sh(script);
        assert_eq!(output.status.code(), Some(74));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(run(&["--decode"], &output.stdout).status.code(), Some(74));
    }
}

#[test]
fn a_producer_that_cannot_be_run_is_a_usage_error() {
    let output = run(&["--chunk-size", "1M", "--", "/nonexistent/program"], b"");
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("cannot run /nonexistent/program: "), "{}", stderr(&output));
}

#[test]
fn a_producer_is_ended_when_its_stream_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let script = format!(
        "echo $$ >{}; head -c 2000000 /dev/zero; exec sleep 1000",
        pid_file.to_str().unwrap()
    );
    let begun = Instant::now();
    let output = run(&["--chunk-size", "1M", "--", "sh", "-c", &script], b"");
    assert_eq!(output.status.code(), Some(65));
    assert!(begun.elapsed() < Duration::from_secs(500), "the producer was waited for");
    let pid = fs::read_to_string(pid_file).unwrap();
    assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap(), "the producer lives on");
}

#[test]
fn a_plan_that_is_not_carried_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan");
    let plan = serde_json::json!({
        "type": "plan", "version": 1, "subvolume": "data", "path": "/data", "action": "full",
        "reason": "due", "backup": "subvol/data/full/20260117T220511Z-0a1b2c3d", "kind": "full",
        "created_at": "2026-01-17T22:05:11Z",
        "snapshot": { "name": "data__20260117T220511Z__full", "path": "/snapshots/data__20260117T220511Z__full" },
        "parent": null,
    });
    fs::write(&path, format!("{plan}\n")).unwrap();
    let by_plan = ["--plan", path.to_str().unwrap(), "--chunk-size", "1M", "--records"];
    let output = run(&by_plan, FULL);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(records(&output)[0]["plan"]["backup"], plan["backup"]);
    let output = run(&by_plan, INC);
    assert_eq!(output.status.code(), Some(65));
    assert!(stderr(&output).contains("the plan asks for \"data__20260117T220511Z__full\""));
    let output = run(&["--plan", "/nonexistent", "--chunk-size", "1M"], FULL);
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains("cannot open the plan /nonexistent: "));
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    for (arguments, said) in [
        (&["--chunk-size", "0"][..], "a chunk has between 1 byte and 5 TiB"),
        (&["--chunk-size", "6TiB"], "a chunk has between 1 byte and 5 TiB"),
        (&["--chunk-size", "many"], "\"many\" is not a size"),
        (&["--hash", "md5"], "write sha256 or blake3"),
        (&["--decode", "--raw"], "cannot be used with"),
        (&["--decode", "--", "cat"], "cannot be used with"),
        (&["cat"], "unexpected argument 'cat'"),
    ] {
        let output = run(arguments, FULL);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

/// A terminal: the master side of a new pseudo-terminal is one, too.
fn terminal() -> File {
    File::options().read(true).write(true).open("/dev/ptmx").unwrap()
}

#[test]
fn a_terminal_on_stdin_is_refused_unless_a_producer_gives_the_data() {
    for arguments in [&CUT[..], &["--decode"], &["--raw", "--chunk-size", "1M"]] {
        let output = bts_chunk(arguments).stdin(terminal()).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(stderr(&output).contains("stdin is a terminal"), "{}", stderr(&output));
    }
    let arguments = ["--raw", "--chunk-size", "1M", "--", "echo", "hello"];
    let output = bts_chunk(&arguments).stdin(terminal()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_terminal_on_stdout_is_refused_unless_only_records_are_written() {
    for arguments in [&CUT[..], &["--decode"]] {
        let mut command = bts_chunk(arguments);
        let output = command.stdin(Stdio::null()).stdout(terminal()).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(stderr(&output).contains("stdout is a terminal"), "{}", stderr(&output));
    }
    let arguments = ["--raw", "--records", "--chunk-size", "1M", "--", "echo", "hello"];
    let output = bts_chunk(&arguments).stdout(terminal()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn it_ends_by_sigpipe_when_its_reader_leaves() {
    let endless = File::open("/dev/zero").unwrap();
    let mut command = bts_chunk(&["--raw", "--chunk-size", "1G"]);
    let mut child = command.stdin(endless).spawn().unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.signal(), stderr(&output)), (Some(13), String::new()));
}
