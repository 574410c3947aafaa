//! Uploads of profiles, oldest let go first.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::profile::Upload;
use crate::agent::view::{self, ProfileQuery};

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    held: VecDeque<(Arc<Upload>, usize)>,
    bytes: usize,
    bytes_max: usize,
    last_id: u64,
    evicted: u64,
    evicted_samples: u64,
}

/// The uploads of a question.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Oldest first.
    pub(crate) uploads: Vec<Arc<Upload>>,
    pub(crate) base: Option<Arc<Upload>>,
}

impl Profiles {
    pub(crate) fn new(bytes_max: usize) -> Profiles {
        Profiles {
            bytes_max,
            ..Profiles::default()
        }
    }

    /// Keeps an upload, or says why it cannot: one that is over the bound alone would only drive out all others.
    pub(crate) fn take(&mut self, mut upload: Upload) -> Option<String> {
        self.last_id += 1;
        upload.row.id = self.last_id;
        let bytes = upload.bytes();
        if bytes > self.bytes_max {
            self.count_evicted(&upload);
            let max = self.bytes_max;
            return Some(format!("takes {bytes} bytes, over the {max} that are held"));
        }
        self.bytes += bytes;
        self.held.push_back((Arc::new(upload), bytes));
        while self.bytes > self.bytes_max {
            let Some((gone, bytes)) = self.held.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            self.count_evicted(&gone);
        }
        None
    }

    fn count_evicted(&mut self, upload: &Upload) {
        self.evicted += 1;
        self.evicted_samples += upload.row.samples;
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.len() as u64
    }

    pub(crate) fn evicted_samples(&self) -> u64 {
        self.evicted_samples
    }

    pub(crate) fn list(&self) -> view::Profiles {
        let newest = self.held.iter().rev();
        view::Profiles {
            rows: newest.map(|(upload, _)| upload.row.clone()).collect(),
            held_bytes: self.bytes as u64,
            evicted: self.evicted,
        }
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Upload>> {
        let at = self
            .held
            .binary_search_by_key(&id, |(upload, _)| upload.row.id);
        at.ok().map(|at| self.held[at].0.clone())
    }

    /// Nothing where an upload that is named is not held.
    pub(crate) fn asked(&self, query: &ProfileQuery) -> Option<Asked> {
        let uploads = match query.upload {
            0 => self.held.iter().map(|(upload, _)| upload.clone()).collect(),
            id => vec![self.get(id)?],
        };
        let base = match query.base {
            0 => None,
            id => Some(self.get(id)?),
        };
        Some(Asked { uploads, base })
    }

    pub(crate) fn samples_of(&self, span_ids: &HashSet<u64>) -> u64 {
        let uploads = self.held.iter();
        uploads.map(|(upload, _)| upload.samples_of(span_ids)).sum()
    }
}
