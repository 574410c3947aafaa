//! The HTTP receiver: `/info`, the trace endpoints and that for profiles, as tracers of all languages ask for them.

mod profiles;
mod serve;
mod traces;

pub(super) use serve::Receiver;
