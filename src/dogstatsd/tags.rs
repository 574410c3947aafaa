//! Tags of a line: those of the call and those of the process, sorted, each once.

use super::clean;
use crate::identity::Identity;

/// Tags that every line carries, cleaned, as `(key, key:value)`.
#[derive(Clone, Debug, Default)]
pub(super) struct GlobalTags(Vec<(String, String)>);

impl GlobalTags {
    /// service, env, version, then DD_TAGS.
    pub(super) fn of(identity: &Identity) -> GlobalTags {
        let own = [
            ("service", &identity.service),
            ("env", &identity.env),
            ("version", &identity.version),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let given = identity
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value));
        let mut tags = Vec::new();
        for (key, value) in own.chain(given) {
            let text = clean::tag(key, value);
            tags.push((key_of(&text).to_string(), text));
        }
        GlobalTags(tags)
    }

    /// `a:1,b:2`: a tag of the call takes the place of a global one with the same key.
    pub(super) fn with(&self, of_call: &[(&str, &str)]) -> String {
        let own: Vec<String> = of_call
            .iter()
            .map(|(key, value)| clean::tag_of_call(key, value))
            .collect();
        let global = self
            .0
            .iter()
            .filter(|(key, _)| own.iter().all(|tag| key_of(tag) != key));
        let mut all: Vec<&str> = global.map(|(_, text)| text.as_str()).collect();
        all.extend(own.iter().map(String::as_str));
        all.retain(|text| !text.is_empty());
        all.sort_unstable();
        all.dedup();
        all.join(",")
    }
}

fn key_of(tag: &str) -> &str {
    tag.split_once(':').map_or(tag, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, of_call: &[(&str, &str)], expected: &str) {
        let identity = Identity {
            service: "shop".into(),
            env: "dev".into(),
            tags: vec![("team".into(), "a,b".into()), ("team".into(), "c".into())],
            ..Identity::default()
        };
        assert_eq!(GlobalTags::of(&identity).with(of_call), expected, "{rule}");
    }

    #[test]
    fn tags_are_merged() {
        check("global alone", &[], "env:dev,service:shop,team:a_b,team:c");
        check(
            "sorted",
            &[("z", "1"), ("a", "2")],
            "a:2,env:dev,service:shop,team:a_b,team:c,z:1",
        );
        check(
            "the call wins",
            &[("team", "x"), ("env", "")],
            "env,service:shop,team:x",
        );
        check(
            "each once",
            &[("team", "x"), ("team", "x"), ("team", "y")],
            "env:dev,service:shop,team:x,team:y",
        );
        check(
            "an empty tag is none",
            &[("", "")],
            "env:dev,service:shop,team:a_b,team:c",
        );
        assert_eq!(
            GlobalTags::of(&Identity::default()).with(&[]),
            "",
            "nothing at all"
        );
    }
}
