//! Errors, panics and statuses.

use std::error::Error;
use std::fmt;
use std::num::ParseIntError;

use serde_json::json;

use crate::api::segment::whole;
use crate::api::{Fault, Services};
use crate::server::{Params, Reply, Request};

/// An order that cannot be read: an error with a source, as real ones have.
#[derive(Debug)]
struct OrderError {
    order: &'static str,
    source: ParseIntError,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot price order {:?}", self.order)
    }
}

impl Error for OrderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A status from 500 on that was asked for.
#[derive(Debug)]
struct AskedStatus(u16);

impl fmt::Display for AskedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asked to answer {}", self.0)
    }
}

impl Error for AskedStatus {}

// Kept whole by the optimiser, so that an error's stack names the function that a reader looks for.
#[inline(never)]
pub(in crate::api) fn server_error(_: &Services, _: &Request, _: &Params) -> Result<Reply, Fault> {
    let price = price_of("three apples").map_err(|error| Fault::failed(500, &error))?;
    Ok(Reply::json(200, &json!({ "price": price })))
}

#[inline(never)]
fn price_of(order: &'static str) -> Result<u32, OrderError> {
    let count: u32 = order
        .parse()
        .map_err(|source| OrderError { order, source })?;
    Ok(count * 30)
}

#[inline(never)]
pub(in crate::api) fn panic(_: &Services, _: &Request, _: &Params) -> Result<Reply, Fault> {
    panic!("a panic, asked for by /panic/");
}

#[inline(never)]
pub(in crate::api) fn status(_: &Services, _: &Request, params: &Params) -> Result<Reply, Fault> {
    // 1xx are interim: HTTP allows none of them as the final answer.
    let code = whole(params, "code", 200, 599)? as u16;
    if code >= 500 {
        return Err(Fault::failed(code, &AskedStatus(code)));
    }
    Ok(Reply::json(
        code,
        &json!({ "emitted": "status", "status": code }),
    ))
}
