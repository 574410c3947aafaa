//! The page of metrics.

use super::Var;
use crate::config::values::{set, whole};

pub(super) const VARS: &[Var] = &[Var {
    name: "TESTAPI_METRICS_SERIES_MAX",
    default: "2000",
    takes: "1 to 100000",
    help: "label sets that one family on /metrics may hold; further ones count as overflow",
    read: |s, v| set(&mut s.series_max, whole(v, 1, 100_000)),
}];
