//! What every span of a process says alike, encoded once.

use super::encode::AlikeTags;
use super::options::SpanOptions;
use super::web::ServiceMapping;
use crate::identity::Identity;

/// Who sends, in the words that spans have for it.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// DD_SERVICE, whatever it is called on spans.
    base_service: String,
    /// What its spans are called, after the mapping.
    service: String,
    mapping: ServiceMapping,
    own: AlikeSets,
    /// For spans of another service than DD_SERVICE.
    other: AlikeSets,
}

#[derive(Clone, Debug)]
struct AlikeSets {
    every: AlikeTags,
    first: AlikeTags,
}

impl Who {
    pub(super) fn new(identity: &Identity, options: &SpanOptions) -> Who {
        let mapping = options.service_mapping.clone();
        let base_service = identity.service.clone();
        let service = mapping
            .get(&base_service)
            .unwrap_or(&base_service)
            .to_string();
        let version = ("version", identity.version.as_str());
        let base = ("_dd.base_service", base_service.as_str());
        Who {
            own: AlikeSets::new(identity, options, version),
            // A version is one of DD_SERVICE, not of what it calls.
            other: AlikeSets::new(identity, options, base),
            base_service,
            service,
            mapping,
        }
    }

    /// The name that a span of this service is sent with; empty is our own.
    pub(super) fn service<'a>(&'a self, said: &'a str) -> &'a str {
        match said {
            "" => &self.service,
            said => self.mapping.get(said).unwrap_or(said),
        }
    }

    /// Tags of a span of this service, as [`Who::service`] gives it; the first of a chunk has more.
    pub(super) fn common(&self, service: &str, is_first: bool) -> &AlikeTags {
        let is_own = service == self.base_service;
        let AlikeSets { every, first } = if is_own { &self.own } else { &self.other };
        if is_first { first } else { every }
    }
}

impl AlikeSets {
    fn new(identity: &Identity, options: &SpanOptions, own: (&str, &str)) -> AlikeSets {
        let mut tags = vec![("env", identity.env.as_str()), own];
        // Tags for the Agent itself go with DogStatsD, where it takes them out.
        let global = identity
            .tags
            .iter()
            .filter(|(key, _)| !key.starts_with("dd.internal."));
        let is_git = |key: &str| key == "git.repository_url" || key == "git.commit.sha";
        let global = global.filter(|(key, _)| !is_git(key));
        let global = global.map(|(key, value)| (key.as_str(), value.as_str()));
        tags.retain(|(_, value)| !value.is_empty());
        let every: Vec<_> = tags.iter().copied().chain(global.clone()).collect();
        let every = AlikeTags::new(&every, &[]);
        tags.push(("language", "rust"));
        tags.push(("runtime-id", &identity.runtime_id));
        let found = [
            ("_dd.git.repository_url", options.repository_url.as_str()),
            ("_dd.git.commit.sha", &options.commit_sha),
            ("_dd.hostname", &options.hostname),
        ];
        tags.extend(found.into_iter().filter(|(_, value)| !value.is_empty()));
        let numbers = [("process_id", f64::from(identity.process_id))];
        // Last, should there be too many.
        tags.extend(global);
        let first = AlikeTags::new(&tags, &numbers);
        AlikeSets { every, first }
    }
}
