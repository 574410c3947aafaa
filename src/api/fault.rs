//! Why a handler did not answer as asked: the client's fault ([`Refusal`]) or ours ([`Fault`]).

use std::any::type_name;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt::Write;

use serde_json::json;

use super::frames;
use crate::server::Reply;
use crate::trace::ErrorTags;

/// A request that cannot be served as it is. No error of ours: it does not reach Error Tracking.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(Box<Reply>);

impl Refusal {
    /// 400 for a segment of the path or a value of the query, with what it got and what it takes.
    pub fn segment(name: &'static str, got: &str, takes: impl Into<String>) -> Refusal {
        let body = json!({
            "error": "bad request",
            "segment": name,
            "got": got,
            "takes": takes.into(),
        });
        Refusal(Box::new(Reply::json(400, &body)))
    }

    /// 400 for anything else.
    pub fn because(why: &str) -> Refusal {
        Refusal(Box::new(Reply::json(
            400,
            &json!({ "error": "bad request", "because": why }),
        )))
    }
}

/// A handler that failed, with all that Error Tracking needs, captured where it failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The client's.
    Refused(Refusal),
    /// Ours.
    Failed(Box<Failure>),
}

/// Sources of an error that are told.
const SOURCES_MAX: usize = 32;

/// What went wrong and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) stack: String,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

impl Fault {
    /// An error becomes a reply of this status; its type, its message and its sources, and the stack of
    /// this call, are kept for the span and the log line.
    pub fn failed<E: Error + 'static>(status: u16, error: &E) -> Fault {
        let kind = type_name::<E>().to_string();
        let mut message = error.to_string();
        let mut stack = format!("{kind}: {message}\n");
        let mut source = error.source();
        // A source may lead back to itself: there is an end all the same.
        for _ in 0..SOURCES_MAX {
            let Some(cause) = source else {
                break;
            };
            let _ = write!(message, ": {cause}");
            let _ = writeln!(stack, "caused by: {cause}");
            source = cause.source();
        }
        stack.push_str(&frames::render(&Backtrace::force_capture()));
        Fault::Failed(Box::new(Failure {
            status,
            kind,
            message,
            stack,
        }))
    }

    /// What a span says of it, where it is ours.
    pub(super) fn tags(&self) -> Option<ErrorTags<'_>> {
        match self {
            Fault::Refused(_) => None,
            Fault::Failed(failure) => Some(failure.tags()),
        }
    }

    /// What the client gets.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Fault::Refused(refusal) => (*refusal.0).clone(),
            Fault::Failed(failure) => failure.reply(),
        }
    }
}

impl Failure {
    /// A reply that counts as an error by its status alone: the handler's function, and where it made
    /// the reply, are all the stack there is.
    pub(super) fn of_status(reply: &Reply, handler: &str) -> Failure {
        let Reply {
            status, made_at, ..
        } = reply;
        let message = format!("answered {status}");
        Failure {
            status: *status,
            kind: "http.status".to_string(),
            stack: format!(
                "http.status: {message}\n0: {handler}\n    at {}\n",
                made_at.0
            ),
            message,
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({ "error": self.kind, "message": self.message });
        Reply::json(self.status, &body)
    }

    pub(super) fn tags(&self) -> ErrorTags<'_> {
        ErrorTags {
            kind: &self.kind,
            message: &self.message,
            stack: &self.stack,
        }
    }
}
