//! What a line says, borrowed from the caller.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// How bad it is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For the developer.
    Debug,
    /// As planned.
    Info,
    /// Not as planned, dealt with.
    Warn,
    /// Somebody did not get what they asked for.
    Error,
    /// The program cannot go on.
    Critical,
}

impl Level {
    /// All of them, ascending.
    pub const ALL: [Level; 5] = [
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Critical,
    ];

    /// The word of the `status` key. Datadog's intake knows these five; any other text is info
    /// (Datadog docs, "Log pipelines", status remapper).
    pub const fn status(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status())
    }
}

impl FromStr for Level {
    type Err = Error;

    /// Reads a status in any case; `warning` is `warn`.
    fn from_str(text: &str) -> Result<Level, Error> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Level::Debug),
            "info" => Ok(Level::Info),
            "warn" | "warning" => Ok(Level::Warn),
            "error" => Ok(Level::Error),
            "critical" => Ok(Level::Critical),
            _ => Err(Error::Level(text.to_string())),
        }
    }
}

/// A value of a further field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Str(&'a str),
    /// A count, a duration in nanoseconds.
    U64(u64),
    /// A number that may be negative.
    I64(i64),
    /// A float; what is not finite is written as null.
    F64(f64),
    /// True or false.
    Bool(bool),
}

/// One record. Empty texts, zero ids and missing errors leave their keys out.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// How bad it is.
    pub level: Level,
    /// What happened.
    pub message: &'a str,
    /// `logger.name`: which part of the program speaks.
    pub logger: &'a str,
    /// `logger.thread_name`.
    pub thread: &'a str,
    /// `dd.trace_id`; 0 is none.
    pub trace_id: u128,
    /// `dd.span_id`; 0 is none.
    pub span_id: u64,
    /// `error.kind`: the error's type.
    pub error_kind: Option<&'a str>,
    /// `error.message`.
    pub error_message: Option<&'a str>,
    /// `error.stack`: a frame a line.
    pub error_stack: Option<&'a str>,
    /// Further fields such as `http.method` or `duration`. Of two with the same name the first
    /// stands; one named like a key above is written with `extra.` before its name.
    pub fields: &'a [(&'a str, Value<'a>)],
}

impl<'a> Record<'a> {
    /// A record of a message alone.
    pub const fn new(level: Level, message: &'a str) -> Record<'a> {
        Record {
            level,
            message,
            logger: "",
            thread: "",
            trace_id: 0,
            span_id: 0,
            error_kind: None,
            error_message: None,
            error_stack: None,
            fields: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case_and_written_as_their_status() {
        let rows = [
            ("debug", Level::Debug),
            ("INFO", Level::Info),
            ("warn", Level::Warn),
            ("Warning", Level::Warn),
            ("error", Level::Error),
            ("critical", Level::Critical),
        ];
        for (text, level) in rows {
            assert_eq!(text.parse::<Level>().unwrap(), level, "{text}");
            assert_eq!(level.status().parse::<Level>().unwrap(), level, "{text}");
        }
        for text in ["", "warns", " info", "1", "ínfo"] {
            let error = text.parse::<Level>().unwrap_err();
            let said = format!("unknown level {text:?}: use debug, info, warn, error or critical");
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn levels_ascend() {
        assert!(Level::ALL.is_sorted());
    }
}
