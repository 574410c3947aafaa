//! One upload of profiles: decoded, and as it came.

use std::ops::Range;

use crate::agent::decode::{Profile, ProfileEvent, ProfileSample, ValueType};
use crate::agent::view::{ProfileRow, ValueTotal};

/// What the allocator adds to each piece of memory.
const PIECE_BYTES: usize = 16;

/// An upload that was read.
#[derive(Debug)]
pub(crate) struct Upload {
    /// What is shown of it; its id is 0 until it is kept.
    pub(crate) row: ProfileRow,
    /// Those of its attachments that are pprof.
    pub(crate) profiles: Vec<Profile>,
    /// The whole body.
    body: Box<[u8]>,
    attachments: Vec<(String, Range<usize>)>,
    /// Local root spans and the samples of each, by id.
    roots: Vec<(u64, u64)>,
}

/// What was sent, besides the profiles in it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) time_unix_us: u64,
    pub(crate) event: ProfileEvent,
    pub(crate) body: Vec<u8>,
    /// Names, and where their bytes stand in the body.
    pub(crate) attachments: Vec<(String, Range<usize>)>,
    pub(crate) findings: Vec<String>,
}

impl Upload {
    pub(crate) fn new(sent: Sent, profiles: Vec<Profile>) -> Upload {
        let event = sent.event;
        let tag = |key| event.tag(key).to_string();
        let attached = sent.attachments.iter();
        let row = ProfileRow {
            id: 0,
            time_unix_us: sent.time_unix_us,
            start_unix_us: event.start_unix_us,
            end_unix_us: event.end_unix_us,
            service: tag("service"),
            env: tag("env"),
            version: tag("version"),
            language: tag("language"),
            host: tag("host"),
            process_id: tag("process_id"),
            attachments: attached
                .map(|(name, range)| (name.clone(), range.len() as u64))
                .collect(),
            bytes: sent.body.len() as u64,
            samples: profiles.iter().map(|p| p.samples().len() as u64).sum(),
            values: profiles.iter().flat_map(totals).collect(),
            findings: sent.findings,
            family: event.family,
            tags: event.tags,
            endpoints: event.endpoints,
        };
        Upload {
            row,
            roots: roots(&profiles),
            profiles,
            body: sent.body.into(),
            attachments: sent.attachments,
        }
    }

    /// The bytes of an attachment, as they came.
    pub(crate) fn attachment(&self, name: &str) -> Option<&[u8]> {
        let (_, range) = self.attachments.iter().find(|(known, _)| known == name)?;
        self.body.get(range.clone())
    }

    /// Samples that were taken while one of these spans was the local root.
    pub(crate) fn samples_of(&self, span_ids: &std::collections::HashSet<u64>) -> u64 {
        if span_ids.len() < self.roots.len() {
            let of = |id| self.roots.binary_search_by_key(id, |(root, _)| *root).ok();
            let found = span_ids.iter().filter_map(of);
            return found.map(|at| self.roots[at].1).sum();
        }
        let held = self
            .roots
            .iter()
            .filter(|(root, _)| span_ids.contains(root));
        held.map(|(_, samples)| samples).sum()
    }

    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let row = &self.row;
        let words = [
            &row.service,
            &row.env,
            &row.version,
            &row.language,
            &row.host,
            &row.process_id,
            &row.family,
        ];
        let words = words.into_iter().map(String::len).sum::<usize>();
        let tags = row.tags.iter().map(|(key, value)| key.len() + value.len());
        let endpoints = row.endpoints.iter().map(|(name, _)| name.len());
        let values = row.values.iter().map(|v| v.name.len() + v.unit.len());
        // Each name stands in the row and beside its range.
        let attachments = row.attachments.iter().map(|(name, _)| 2 * name.len());
        let findings = row.findings.iter().map(String::len);
        let texts = tags.chain(endpoints).chain(values).chain(attachments);
        let texts = texts.chain(findings);
        let (mut pieces, mut bytes) = (16, words);
        for text in texts {
            pieces += 2;
            bytes += text;
        }
        // A pair of texts is the largest of the entries that these pieces stand in.
        let entries = pieces * (size_of::<(String, String)>() / 2 + PIECE_BYTES);
        let profiles = self.profiles.iter().map(Profile::bytes).sum::<usize>();
        let roots = self.roots.capacity() * size_of::<(u64, u64)>();
        size_of::<Upload>() + bytes + entries + profiles + roots + self.body.len()
    }
}

/// What the labels of a sample say, as far as it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Labels<'p> {
    pub(super) thread: &'p str,
    pub(super) route: &'p str,
    /// 0 where it is not said.
    pub(super) root: u64,
}

impl<'p> Labels<'p> {
    pub(super) fn of(profile: &'p Profile, sample: &ProfileSample<'p>) -> Labels<'p> {
        let mut labels = Labels::default();
        for label in sample.labels {
            match profile.text(label.key) {
                "thread name" => labels.thread = profile.text(label.text),
                "trace endpoint" => labels.route = profile.text(label.text),
                // Go's profiler has no numbers in its labels: it writes ids as text.
                "local root span id" => {
                    labels.root = match profile.text(label.text) {
                        "" => label.number as u64,
                        text => text.parse().unwrap_or(0),
                    };
                }
                _ => {}
            }
        }
        labels
    }
}

fn totals(profile: &Profile) -> Vec<ValueTotal> {
    let mut sums = vec![0_i64; profile.sample_types.len()];
    for sample in profile.samples() {
        for (sum, value) in sums.iter_mut().zip(sample.values) {
            *sum = sum.saturating_add(*value);
        }
    }
    let types = profile.sample_types.iter().zip(sums);
    let value_total = |(value, total): (&ValueType, i64)| ValueTotal {
        name: profile.text(value.name).to_string(),
        unit: profile.text(value.unit).to_string(),
        total,
    };
    types.map(value_total).collect()
}

fn roots(profiles: &[Profile]) -> Vec<(u64, u64)> {
    let ids = profiles.iter().flat_map(|profile| {
        let ids = profile.samples().map(|s| Labels::of(profile, &s).root);
        ids.filter(|root| *root != 0)
    });
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable();
    let mut roots: Vec<(u64, u64)> = ids
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], same.len() as u64))
        .collect();
    roots.shrink_to_fit();
    roots
}
