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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{Made, made};
    use crate::agent::decode::{ProfileEvent, pprof};
    use crate::agent::store::profile::Sent;

    fn upload(samples: usize) -> Upload {
        let sample = Made {
            stack: &["main:1"],
            values: &[1],
            labels: &[("local root span id", "#7")],
        };
        let body = made(&[("cpu-time", "nanoseconds")], &vec![sample; samples]);
        let sent = Sent {
            time_unix_us: 1,
            event: ProfileEvent::default(),
            attachments: vec![("a.pprof".to_string(), 0..body.len())],
            findings: Vec::new(),
            body: body.clone(),
        };
        Upload::new(sent, vec![pprof(&body).unwrap()])
    }

    fn ids(profiles: &Profiles) -> Vec<u64> {
        profiles.list().rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let one = upload(10).bytes();
        let mut profiles = Profiles::new(3 * one);
        for _ in 0..3 {
            assert_eq!(profiles.take(upload(10)), None);
        }
        assert_eq!(
            (ids(&profiles), profiles.list().held_bytes),
            (vec![3, 2, 1], 3 * one as u64)
        );
        assert_eq!(profiles.list().evicted, 0);
        profiles.take(upload(10));
        assert_eq!(
            (ids(&profiles), profiles.evicted_samples()),
            (vec![4, 3, 2], 10)
        );
        assert!(profiles.get(1).is_none() && profiles.get(5).is_none());
        assert_eq!(profiles.get(3).map(|upload| upload.row.id), Some(3));
        profiles.take(upload(20));
        let list = profiles.list();
        assert!(list.held_bytes <= 3 * one as u64);
        assert_eq!(
            (ids(&profiles), list.evicted, profiles.held()),
            (vec![5, 4], 3, 2)
        );
    }

    #[test]
    fn one_that_is_too_large_drives_nobody_out() {
        let one = upload(10).bytes();
        let mut profiles = Profiles::new(2 * one);
        profiles.take(upload(10));
        let told = profiles.take(upload(100)).unwrap();
        let large = upload(100).bytes();
        assert_eq!(
            told,
            format!("takes {large} bytes, over the {} that are held", 2 * one)
        );
        assert_eq!((ids(&profiles), profiles.evicted_samples()), (vec![1], 100));
        let mut none = Profiles::new(0);
        assert!(none.take(upload(0)).is_some());
        assert_eq!((none.held(), none.list().evicted), (0, 1));
    }

    #[test]
    fn samples_of_spans_are_counted_over_all_uploads() {
        let mut profiles = Profiles::new(1 << 20);
        profiles.take(upload(10));
        profiles.take(upload(5));
        let of = |ids: &[u64]| profiles.samples_of(&ids.iter().copied().collect());
        assert_eq!(
            (of(&[]), of(&[8]), of(&[7]), of(&[1, 7, 9])),
            (0, 0, 15, 15)
        );
    }

    #[test]
    fn an_attachment_is_given_as_it_came() {
        let upload = upload(1);
        let body = made(
            &[("cpu-time", "nanoseconds")],
            &[Made {
                stack: &["main:1"],
                values: &[1],
                labels: &[("local root span id", "#7")],
            }],
        );
        assert_eq!(upload.attachment("a.pprof"), Some(&*body));
        assert_eq!(upload.attachment("b.pprof"), None);
    }
}
