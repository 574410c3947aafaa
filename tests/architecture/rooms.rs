//! Who may name whom, where threads start, who reads the environment, what a file looks like.

use super::source::{Mention, Named, Source, sources};

/// A room, the rooms it may name beside itself, and the crates it may name beside std.
type Room = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const ROOMS: &[Room] = &[
    ("clock", &[], &[]),
    ("identity", &[], &["fastrand"]),
    ("threads", &[], &[]),
    ("worker", &["clock", "threads"], &["crossbeam_channel"]),
    ("http", &["clock"], &["httparse"]),
    (
        "dogstatsd",
        &["worker", "clock", "identity"],
        &["fastrand", "foldhash", "hashbrown"],
    ),
    (
        "trace",
        &["worker", "http", "clock", "identity"],
        &["rmp_serde", "serde", "serde_json", "fastrand"],
    ),
    (
        "prometheus",
        &["worker", "clock"],
        &["foldhash", "itoa", "zmij"],
    ),
    // serde beside serde_json: the bound of its generic functions is `serde::Serialize`.
    (
        "log",
        &["worker", "clock", "identity"],
        &["serde", "serde_json", "chrono", "memchr", "log_facade"],
    ),
    (
        "profile",
        &["worker", "http", "clock", "identity", "threads"],
        &["addr2line", "flate2", "foldhash", "libc", "serde_json"],
    ),
    (
        "gunicorn",
        &["dogstatsd", "worker", "clock", "identity"],
        &[],
    ),
    (
        "server",
        &["clock", "threads"],
        &["tiny_http", "serde", "serde_json", "httpdate", "flate2"],
    ),
    (
        "api",
        &[
            "server",
            "clock",
            "worker",
            "http",
            "dogstatsd",
            "gunicorn",
            "trace",
            "prometheus",
            "log",
            "profile",
        ],
        &["serde", "serde_json"],
    ),
    (
        "agent",
        &["server", "worker", "http", "clock"],
        &["serde", "serde_json", "rmp_serde", "flate2", "ruzstd"],
    ),
    (
        "config",
        &[
            "dogstatsd",
            "gunicorn",
            "trace",
            "log",
            "profile",
            "server",
            "http",
            "identity",
        ],
        &[],
    ),
    (
        "app",
        &[
            "clock",
            "identity",
            "worker",
            "http",
            "dogstatsd",
            "gunicorn",
            "trace",
            "prometheus",
            "log",
            "profile",
            "threads",
            "server",
            "api",
            "agent",
            "config",
        ],
        &[],
    ),
    ("process", &[], &["signal_hook"]),
    ("lib", &[], &[]),
    (
        "main",
        &["app", "clock", "config", "log", "process", "profile"],
        &["clap"],
    ),
    (
        "loadgen",
        &["http", "server", "worker", "clock"],
        &["fastrand", "hdrhistogram"],
    ),
    (
        "demo",
        &[
            "http", "server", "worker", "clock", "app", "process", "loadgen",
        ],
        &["clap"],
    ),
];

const EXPORTERS: [&str; 5] = ["dogstatsd", "trace", "prometheus", "log", "profile"];

/// Threads are counted on one hand, so that each has a name and somebody who joins it.
const THREADS_START_IN: &[&str] = &[
    "src/worker/handle.rs",
    "src/server/pool.rs",
    "src/server/roles.rs",
    "src/agent/listener.rs",
    "loadgen/src/user.rs",
];

const ENVIRONMENT_IS_READ_IN: &[&str] = &["src/process.rs"];

const UNSAFE_IS_IN: &str = "src/profile/stack/";

const LINES_MAX: usize = 400;

#[test]
fn no_room_names_what_its_row_does_not_allow() {
    let mut wrong = Vec::new();
    for file in sources() {
        let room = ROOMS.iter().find(|(name, ..)| *name == file.room);
        let Some((_, rooms, crates)) = room else {
            wrong.push(format!("{}: {} has no row", file.path, file.room));
            continue;
        };
        for named in file.names() {
            let allowed = match named.what {
                Named::Room(ref name) => *name == file.room || rooms.contains(&&**name),
                Named::Crate(ref name) => crates.contains(&&**name),
            };
            if !allowed {
                wrong.push(format!("{}:{}: {:?}", file.path, named.line, named.what));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table: {wrong:#?}");
}

/// The table could be made to allow anything; these rows it must never have.
#[test]
fn the_table_itself_keeps_the_walls() {
    for (room, rooms, crates) in ROOMS {
        for exporter in EXPORTERS {
            let apart = EXPORTERS.contains(room) || *room == "agent";
            assert!(!(apart && rooms.contains(&exporter)), "{room}: {exporter}");
        }
        let over_all = ["app", "main"].contains(room);
        assert!(over_all || !rooms.contains(&"config"), "{room}: config");
        for (name, owners) in [
            ("tiny_http", &["server"][..]),
            ("crossbeam_channel", &["worker"]),
            ("chrono", &["log"]),
            ("log_facade", &["log"]),
            ("hashbrown", &["dogstatsd"]),
            ("httparse", &["http"]),
            ("rmp_serde", &["trace", "agent"]),
        ] {
            assert!(
                !crates.contains(&name) || owners.contains(room),
                "{room}: {name}"
            );
        }
    }
}

#[test]
fn msgpack_is_read_in_decode_alone() {
    check("rmp_serde in the agent", |file| {
        let outside = file.room == "agent" && !file.path.starts_with("src/agent/decode/");
        let named = |n: &Mention| n.what == Named::Crate("rmp_serde".to_string());
        lines(file.names().into_iter().filter(|n| outside && named(n)))
    });
}

#[test]
fn threads_start_in_five_files() {
    check("starts a thread", |file| {
        let allowed = THREADS_START_IN.contains(&&*file.path);
        let calls = ["spawn", "scope", "Builder"];
        let mut found = file.calls_of("thread", &calls);
        found.retain(|_| !allowed);
        found
    });
}

#[test]
fn the_environment_is_read_in_one_file_and_set_in_none() {
    check("reads the environment", |file| {
        let allowed = ENVIRONMENT_IS_READ_IN.contains(&&*file.path);
        let mut found = file.calls_of("env", &["var", "vars", "var_os", "vars_os"]);
        found.retain(|_| !allowed);
        found
    });
    check("sets the environment", |file| file.words("set_var"));
    check("unsets the environment", |file| file.words("remove_var"));
}

#[test]
fn what_is_unsafe_is_in_one_place() {
    check("unsafe", |file| {
        let allowed = file.path.starts_with(UNSAFE_IS_IN);
        if allowed {
            Vec::new()
        } else {
            file.words("unsafe")
        }
    });
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    check("does not open with //!", |file| {
        let opens = file.text.starts_with("//! ");
        if opens { Vec::new() } else { vec![1] }
    });
    check("is too long before its tests", |file| {
        let lines = file.lines_before_tests();
        if lines <= LINES_MAX {
            Vec::new()
        } else {
            vec![lines]
        }
    });
}

#[test]
fn front_doors_hold_no_logic() {
    check("a fn in mod.rs", |file| {
        let door = file.path.ends_with("/mod.rs");
        if door { file.words("fn") } else { Vec::new() }
    });
}

/// Fails with `file:line` of all that `find` gives.
#[track_caller]
fn check(what: &str, find: impl Fn(&Source) -> Vec<usize>) {
    let files = sources();
    assert!(
        files.len() > 80,
        "the scan has lost its way: {}",
        files.len()
    );
    let found: Vec<String> = files
        .iter()
        .flat_map(|file| {
            find(file)
                .into_iter()
                .map(|line| format!("{}:{line}", file.path))
        })
        .collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}

fn lines(mentions: impl Iterator<Item = Mention>) -> Vec<usize> {
    mentions.map(|named| named.line).collect()
}
