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
        let mut stack = frames::render(&Backtrace::force_capture());
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = write!(message, ": {cause}");
            let _ = writeln!(stack, "caused by: {cause}");
            source = cause.source();
        }
        let kind = type_name::<E>().to_string();
        Fault::Failed(Box::new(Failure {
            status,
            kind,
            message,
            stack,
        }))
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
    /// A reply of 500 or more that no error explains.
    pub(super) fn of_status(status: u16) -> Failure {
        Failure {
            status,
            kind: "http.status".to_string(),
            message: format!("answered {status}"),
            stack: frames::render(&Backtrace::force_capture()),
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
