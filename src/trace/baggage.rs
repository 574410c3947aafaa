//! Baggage: pairs that travel with a trace through every process. Not tags; see
//! [`SpanOptions::baggage_tag_keys`](super::SpanOptions::baggage_tag_keys) for those that become some.

use super::running;

/// Pairs that one trace carries here. How many are told to the next process is the propagation's affair.
const ITEMS_MAX: usize = 1_024;
/// Key and value together.
const ITEM_BYTES_MAX: usize = 8_192;

/// Adds a pair to the baggage of this thread's active trace; a key that is there gets the new value. False
/// where no trace is active, the key is empty, or the pair or the baggage would be too long.
pub fn set_baggage(key: &str, value: &str) -> bool {
    let taken = running::innermost(|local| {
        let baggage = &mut local.baggage;
        let fits = !key.is_empty() && key.len() + value.len() <= ITEM_BYTES_MAX;
        let at = baggage.iter().position(|(kept, _)| kept == key);
        match at {
            Some(at) if fits => baggage[at].1 = value.to_string(),
            None if fits && baggage.len() < ITEMS_MAX => {
                baggage.push((key.to_string(), value.to_string()));
            }
            _ => return false,
        }
        true
    });
    taken.unwrap_or(false)
}

/// Takes a pair out.
pub fn remove_baggage(key: &str) {
    running::innermost(|local| local.baggage.retain(|(kept, _)| kept != key));
}

/// Takes all pairs out.
pub fn clear_baggage() {
    running::innermost(|local| local.baggage.clear());
}

/// The baggage of this thread's active trace, in order.
pub fn baggage() -> Vec<(String, String)> {
    running::innermost(|local| local.baggage.clone()).unwrap_or_default()
}
