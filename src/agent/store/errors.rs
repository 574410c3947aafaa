//! Errors in groups, as Error Tracking would make them.

use std::collections::HashMap;

use super::fingerprint::{ErrorSeen, top_frame};
use crate::agent::view::ErrorGroup;

/// Bytes kept of a group's longest texts.
const STACK_BYTES_MAX: usize = 16 << 10;
const TEXT_BYTES_MAX: usize = 2 << 10;

/// Groups, bounded; the one that was quiet longest goes first.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    groups: HashMap<u64, Group>,
    groups_max: usize,
}

/// One error mostly comes twice, on a span and on a log line: the larger of the two counts is how often it
/// happened.
#[derive(Debug, Default)]
struct Group {
    shown: ErrorGroup,
    spans: u64,
    lines: u64,
}

impl Errors {
    pub(crate) fn new(groups_max: usize) -> Errors {
        Errors {
            groups: HashMap::new(),
            groups_max: groups_max.max(1),
        }
    }

    pub(crate) fn see(&mut self, time_unix_us: u64, seen: &ErrorSeen<'_>) {
        let key = seen.fingerprint();
        if !self.groups.contains_key(&key) {
            self.make_room();
        }
        let Group {
            shown: group,
            spans,
            lines,
        } = self
            .groups
            .entry(key)
            .or_insert_with(|| Group::new(key, time_unix_us, seen));
        *if seen.is_log {
            &mut *lines
        } else {
            &mut *spans
        } += 1;
        group.count = (*spans).max(*lines);
        group.last_seen_unix_us = time_unix_us;
        rewrite(&mut group.message, seen.message, TEXT_BYTES_MAX);
        rewrite(&mut group.stack, seen.stack, STACK_BYTES_MAX);
        if !seen.resource.is_empty() {
            rewrite(&mut group.resource, seen.resource, TEXT_BYTES_MAX);
        }
        if seen.trace_id != 0 {
            group.trace_id = seen.trace_id.to_string();
        }
    }

    /// Groups that Error Tracking would show.
    pub(crate) fn issues(&self) -> u64 {
        let shown = |group: &&Group| group.shown.ignored_because.is_empty();
        self.groups.values().filter(shown).count() as u64
    }

    /// Those that count first, most frequent first.
    pub(crate) fn list(&self) -> Vec<ErrorGroup> {
        let mut groups: Vec<ErrorGroup> = self
            .groups
            .values()
            .map(|group| group.shown.clone())
            .collect();
        groups.sort_by(|a, b| {
            let key = |g: &ErrorGroup| (!g.ignored_because.is_empty(), std::cmp::Reverse(g.count));
            key(a)
                .cmp(&key(b))
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        groups
    }

    fn make_room(&mut self) {
        while self.groups.len() >= self.groups_max {
            let quietest = self
                .groups
                .iter()
                .min_by_key(|(_, group)| group.shown.last_seen_unix_us);
            let Some(key) = quietest.map(|(key, _)| *key) else {
                return;
            };
            self.groups.remove(&key);
        }
    }
}

impl Group {
    fn new(key: u64, time_unix_us: u64, seen: &ErrorSeen<'_>) -> Group {
        let shown = ErrorGroup {
            fingerprint: format!("{key:016x}"),
            service: cut(seen.service, TEXT_BYTES_MAX),
            error_type: cut(seen.error_type, TEXT_BYTES_MAX),
            culprit: cut(top_frame(seen.stack), TEXT_BYTES_MAX),
            first_seen_unix_us: time_unix_us,
            ignored_because: seen.ignored_because.to_string(),
            ..ErrorGroup::default()
        };
        Group {
            shown,
            ..Group::default()
        }
    }
}

fn rewrite(kept: &mut String, text: &str, bytes_max: usize) {
    let text = &text[..text.floor_char_boundary(bytes_max)];
    if kept != text {
        kept.clear();
        kept.push_str(text);
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_gather_in_groups_and_the_quietest_goes_first() {
        let mut errors = Errors::new(2);
        let seen = |error_type, message, trace_id| ErrorSeen {
            service: "a",
            error_type,
            message,
            trace_id,
            stack: "  0: app::f",
            ..ErrorSeen::default()
        };
        errors.see(1, &seen("E", "user 1", 7));
        errors.see(2, &seen("E", "user 2", 0));
        errors.see(
            2,
            &ErrorSeen {
                is_log: true,
                ..seen("E", "user 2", 0)
            },
        );
        errors.see(
            3,
            &ErrorSeen {
                ignored_because: "no error.type",
                ..seen("", "x", 1)
            },
        );
        let list = errors.list();
        assert_eq!(
            (list[0].count, &*list[0].message, &*list[0].trace_id),
            (2, "user 2", "7")
        );
        assert_eq!(
            (list[0].first_seen_unix_us, list[0].last_seen_unix_us),
            (1, 2)
        );
        assert_eq!(
            (&*list[0].culprit, &*list[1].ignored_because),
            ("0: app::f", "no error.type")
        );
        errors.see(4, &seen("F", "y", 1));
        let types: Vec<String> = errors
            .list()
            .into_iter()
            .map(|group| group.error_type)
            .collect();
        assert_eq!((types.len(), types.contains(&"E".to_string())), (2, false));
        errors.see(5, &seen("F", &"\u{e9}".repeat(5_000), 1));
        assert!(
            errors
                .list()
                .iter()
                .all(|group| group.message.len() <= TEXT_BYTES_MAX)
        );
    }
}
