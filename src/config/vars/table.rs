//! All names in one list.

use std::fmt::Write;

use super::{dogstatsd, identity, log, profile, prometheus, server, spans, traces};
use crate::config::Settings;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// Its name in the environment.
    pub name: &'static str,
    /// What holds where nothing is said, as a user would write it.
    pub default: &'static str,
    /// What a value looks like.
    pub takes: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Reads a value; false where it is not one.
    pub(in crate::config) read: fn(&mut Settings, &str) -> bool,
}

/// A setting for which an empty value is one. For all others it is as though nothing were said.
pub(in crate::config) const MAY_BE_EMPTY: [&str; 2] = [
    "DD_TRACE_BAGGAGE_TAG_KEYS",
    "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP",
];

const ROOMS: [&[Var]; 8] = [
    identity::VARS,
    traces::VARS,
    spans::VARS,
    dogstatsd::VARS,
    prometheus::VARS,
    log::VARS,
    profile::VARS,
    server::VARS,
];

const COUNT: usize = {
    let (mut count, mut room) = (0, 0);
    while room < ROOMS.len() {
        count += ROOMS[room].len();
        room += 1;
    }
    count
};

/// Every name that is read. Where two concern one value, the later wins.
pub const VARS: &[Var] = &{
    let mut all = [identity::VARS[0]; COUNT];
    let (mut at, mut room) = (0, 0);
    while room < ROOMS.len() {
        let mut var = 0;
        while var < ROOMS[room].len() {
            all[at] = ROOMS[room][var];
            at += 1;
            var += 1;
        }
        room += 1;
    }
    all
};

/// The table as text for `--help`.
pub fn help() -> String {
    let mut text = String::from("Environment:\n");
    for Var {
        name,
        default,
        takes,
        help,
        ..
    } in VARS
    {
        let default = if default.is_empty() { "unset" } else { default };
        let _ = writeln!(
            text,
            "  {name}\n          {help} ({takes}) [default: {default}]"
        );
    }
    text
}
