//! Events and verdicts of checks, as the caller says them.

/// Something that happened, for the event stream.
///
/// ```
/// use testapi::dogstatsd::{Alert, Event};
///
/// let event = Event { alert: Some(Alert::Error), ..Event::new("deploy failed", "see the log") };
/// assert_eq!(event.title, "deploy failed");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Must not be empty.
    pub title: &'a str,
    /// May hold newlines.
    pub text: &'a str,
    /// When it happened; the Agent's time of arrival if none.
    pub unix_s: Option<u64>,
    /// The host, if another than the Agent's; empty for none.
    pub hostname: &'a str,
    /// Groups events; empty for none.
    pub aggregation_key: &'a str,
    /// `normal` if none.
    pub priority: Option<Priority>,
    /// Kind of source; empty for none.
    pub source_type: &'a str,
    /// `info` if none.
    pub alert: Option<Alert>,
    /// Tags beside the global ones.
    pub tags: &'a [(&'a str, &'a str)],
}

impl<'a> Event<'a> {
    /// An event with nothing but a title and a text.
    pub fn new(title: &'a str, text: &'a str) -> Event<'a> {
        Event {
            title,
            text,
            ..Event::default()
        }
    }
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The default.
    Normal,
    /// Hidden at first.
    Low,
}

/// Colour of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// Red.
    Error,
    /// Yellow.
    Warning,
    /// Blue, the default.
    Info,
    /// Green.
    Success,
}

/// Whether something works, for monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceCheck<'a> {
    /// Must not be empty.
    pub name: &'a str,
    /// The verdict.
    pub status: Status,
    /// When it was looked at; the Agent's time of arrival if none.
    pub unix_s: Option<u64>,
    /// The host, if another than the Agent's; empty for none.
    pub hostname: &'a str,
    /// Why; empty for none.
    pub message: &'a str,
    /// Tags beside the global ones.
    pub tags: &'a [(&'a str, &'a str)],
}

impl<'a> ServiceCheck<'a> {
    /// A check with nothing but a name and a status.
    pub fn new(name: &'a str, status: Status) -> ServiceCheck<'a> {
        ServiceCheck {
            name,
            status,
            unix_s: None,
            hostname: "",
            message: "",
            tags: &[],
        }
    }
}

/// Verdict of a check, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0
    Ok = 0,
    /// 1
    Warning = 1,
    /// 2
    Critical = 2,
    /// 3
    Unknown = 3,
}
