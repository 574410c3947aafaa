//! What rules look at.

/// A span, in the words that are sent.
#[derive(Clone, Copy)]
pub(in crate::trace) struct Subject<'a> {
    pub(in crate::trace) service: &'a str,
    pub(in crate::trace) name: &'a str,
    pub(in crate::trace) resource: &'a str,
    /// The value of a tag, where it is set.
    pub(in crate::trace) tags: &'a dyn Fn(&str) -> Option<TagValue<'a>>,
}

/// A tag is a text in `meta` or a number in `metrics`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::trace) enum TagValue<'a> {
    Text(&'a str),
    Number(f64),
}

#[cfg(test)]
impl<'a> Subject<'a> {
    /// A span without tags.
    pub(super) fn bare(service: &'a str, name: &'a str, resource: &'a str) -> Subject<'a> {
        Subject {
            service,
            name,
            resource,
            tags: &|_| None,
        }
    }
}
