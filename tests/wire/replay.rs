//! The targets of `fuzz/` on stable: its corpus, every beginning of each input, and mutations of it, always the
//! same ones.

use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/checks/dogstatsd.rs"]
mod dogstatsd;
#[path = "../../fuzz/checks/exposition.rs"]
mod exposition;
#[path = "../../fuzz/checks/log_line.rs"]
mod log_line;
#[path = "../../fuzz/checks/log_record.rs"]
mod log_record;
#[path = "../../fuzz/checks/metrics_page.rs"]
mod metrics_page;
#[path = "../../fuzz/checks/multipart.rs"]
mod multipart;
#[path = "../../fuzz/checks/pprof.rs"]
mod pprof;
#[path = "../../fuzz/checks/traces_v04.rs"]
mod traces_v04;
#[path = "../../fuzz/checks/traces_v05.rs"]
mod traces_v05;

/// Beginnings and mutations of each input: a test of seconds, not a search.
const BEGINNINGS_MAX: usize = 200;
const MUTATIONS: usize = 1_000;
const MUTATED_BYTES_MAX: usize = 20_000;
const SEED: u64 = 8_125;

/// What the formats give a meaning to.
const WORDS: [&[u8]; 38] = [
    b"|",
    b":",
    b",",
    b"\n",
    b"\r\n",
    b"@",
    b"#",
    b"T",
    b"_e{1,1}:",
    b"_sc|",
    b"0x1p-2",
    b"NaN",
    b"1e400",
    b"c:",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"\\n",
    b"\\u0000",
    b"# TYPE a counter\n",
    b"\x01",
    b"\xe2\x80\xa8",
    b"# EOF\n",
    b";q=0.5,",
    b"\xff",
    b"\xc3",
    b"\x00",
    b"\x93",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\x00\x01\x00\x00",
    b"\xdb\x7f\xff\xff\xff",
    b"\r\n\r\n",
    b"--",
    b"\x12\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x1f\x8b\x08",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

type Check = fn(&[u8]) -> bool;

/// The inputs of one target, by name, in an order that never changes.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    };
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(read).collect();
    all.sort();
    all
}

/// Runs the check; where it panics, says with what.
#[track_caller]
fn run(check: Check, what: &str, bytes: &[u8]) -> bool {
    let outcome = catch_unwind(|| check(bytes));
    outcome.unwrap_or_else(|_| panic!("{what}: {}", bytes.escape_ascii()))
}

#[track_caller]
fn replay(target: &str, check: Check, captures: &[&[u8]]) {
    let mut inputs = corpus(target);
    let (mut good, mut bad) = (0, 0);
    for (name, bytes) in &inputs {
        let read = run(check, name, bytes);
        let expected = !name.starts_with("bad_");
        if expected == name.starts_with("good_") {
            assert_eq!(read, expected, "{target}/{name}");
            good += u32::from(expected);
            bad += u32::from(!expected);
        }
    }
    assert!(good >= 5 && bad >= 5, "{target}: {good} good, {bad} bad");
    for capture in captures {
        assert!(run(check, "a capture", capture), "{target}: a capture");
        inputs.push(("capture".into(), capture.to_vec()));
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    for (name, bytes) in &inputs {
        let step = bytes.len().div_ceil(BEGINNINGS_MAX).max(1);
        for end in (0..bytes.len()).step_by(step) {
            run(check, name, &bytes[..end]);
        }
        for _ in 0..MUTATIONS {
            let (_, other) = &inputs[random.usize(..inputs.len())];
            let mut mutated = bytes.clone();
            for _ in 0..random.usize(1..5) {
                mutate(&mut mutated, other, &mut random);
            }
            run(check, name, &mutated);
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut fastrand::Rng) {
    let mut range = |length: usize| {
        let (a, b) = (random.usize(..=length), random.usize(..=length));
        a.min(b)..a.max(b)
    };
    let (own, others) = (range(bytes.len()), range(other.len()));
    match random.u8(..7) {
        0 => drop(bytes.drain(own)),
        1 => drop(bytes.splice(own, other[others].iter().copied())),
        2 => {
            let again = bytes[own.clone()].to_vec();
            bytes.splice(own.start..own.start, again);
        }
        3 => {
            let word = WORDS[random.usize(..WORDS.len())];
            bytes.splice(own.start..own.start, word.iter().copied());
        }
        4 => bytes.insert(own.start, random.u8(..)),
        _ if own.start < bytes.len() => bytes[own.start] = random.u8(..),
        _ => {}
    }
    bytes.truncate(MUTATED_BYTES_MAX);
}

#[test]
fn dogstatsd_decoder() {
    let capture = include_bytes!("../corpus/dogstatsd.txt");
    replay("dogstatsd", dogstatsd::check, &[capture]);
}

#[test]
fn traces_v04_decoder() {
    let capture = include_bytes!("../corpus/traces_v04.bin");
    replay("traces_v04", traces_v04::check, &[capture]);
}

#[test]
fn traces_v05_decoder() {
    let capture = include_bytes!("../corpus/traces_v05.bin");
    replay("traces_v05", traces_v05::check, &[capture]);
}

#[test]
fn exposition_decoder() {
    replay("exposition", exposition::check, &[]);
}

#[test]
fn log_line_decoder() {
    let capture = include_bytes!("../corpus/log_lines.jsonl");
    replay("log_line", log_line::check, &[capture]);
}

#[test]
fn multipart_decoder() {
    replay("multipart", multipart::check, &[]);
}

#[test]
fn pprof_decoder() {
    replay("pprof", pprof::check, &[]);
}

#[test]
fn metrics_page_encoder() {
    replay("metrics_page", metrics_page::check, &[]);
}

#[test]
fn log_record_encoder() {
    replay("log_record", log_record::check, &[]);
}

/// A target without its corpus would be replayed by nobody.
#[test]
fn every_target_has_its_check_its_program_and_its_corpus() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let names = |folder: &str| {
        let entries = std::fs::read_dir(fuzz.join(folder)).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.trim_end_matches(".rs").to_string()
        };
        let mut all: Vec<_> = entries.map(name).collect();
        all.sort();
        all
    };
    let targets = [
        "dogstatsd",
        "exposition",
        "log_line",
        "log_record",
        "metrics_page",
        "multipart",
        "pprof",
        "traces_v04",
        "traces_v05",
    ];
    for folder in ["checks", "fuzz_targets", "corpus"] {
        assert_eq!(names(folder), targets, "{folder}");
    }
    for target in targets {
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
    }
}
