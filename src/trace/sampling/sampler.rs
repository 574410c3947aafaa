//! One a tracer: decides traces, and picks spans.

use super::agent_rates::AgentRates;
use super::counts::Counts;
use super::knuth::keeps;
use super::limiter::Limiter;
use super::span_rule::SpanRuleState;
use super::{Decision, Rule, SamplingCounts, SamplingOptions, Subject};
use crate::trace::Priority;

/// Shared by threads. What is asked for every request takes one shared lock and allocates nothing.
#[derive(Debug)]
pub(in crate::trace) struct Sampler {
    rate: Option<f64>,
    rules: Vec<Rule>,
    limiter: Limiter,
    agent: AgentRates,
    span_rules: Vec<SpanRuleState>,
    counts: Counts,
}

impl Sampler {
    pub(in crate::trace) fn new(options: SamplingOptions, service: &str, env: &str) -> Sampler {
        Sampler {
            rate: options.rate.filter(|rate| (0.0..=1.0).contains(rate)),
            rules: options.rules,
            limiter: Limiter::new(options.per_second_max),
            agent: AgentRates::new(service, env),
            span_rules: options
                .span_rules
                .into_iter()
                .map(SpanRuleState::new)
                .collect(),
            counts: Counts::default(),
        }
    }

    /// Our own decision, where no caller has made one; `subject` is the first span of the trace here. Asks
    /// the limiter, so it is called once a trace.
    pub(in crate::trace) fn decide(
        &self,
        trace_id: u128,
        now_ns: u64,
        subject: &Subject<'_>,
    ) -> Decision {
        let rule = self.rules.iter().find(|rule| rule.fits(subject));
        let rule = rule.map(|rule| (rule.rate(), rule.mechanism()));
        match rule.or(self.rate.map(|rate| (rate, "-3"))) {
            Some(rule) => self.by_rule(trace_id as u64, now_ns, rule),
            None => self.by_agent(trace_id as u64, subject.service),
        }
    }

    fn by_rule(&self, id: u64, now_ns: u64, (rate, mechanism): (f64, &'static str)) -> Decision {
        let limit = keeps(id, rate).then(|| self.limiter.ask(now_ns));
        let priority = match limit {
            Some((true, _)) => Priority::USER_KEEP,
            _ => Priority::USER_REJECT,
        };
        Decision {
            rule_rate: Some(rate),
            limit_rate: limit.map(|(_, share)| share),
            ..Decision::of(priority, mechanism)
        }
    }

    fn by_agent(&self, id: u64, service: &str) -> Decision {
        let (rate, mechanism) = match self.agent.rate(service) {
            Some(rate) => (rate, "-1"),
            None => (1.0, "-0"),
        };
        let priority = if keeps(id, rate) {
            Priority::AUTO_KEEP
        } else {
            Priority::AUTO_REJECT
        };
        Decision {
            agent_rate: Some(rate),
            ..Decision::of(priority, mechanism)
        }
    }

    /// Takes the rates of an Agent's answer, whatever else it says.
    pub(in crate::trace) fn learn(&self, body: &[u8], now_ns: u64) {
        self.agent.learn(body, now_ns);
    }

    pub(in crate::trace) fn has_span_rules(&self) -> bool {
        !self.span_rules.is_empty()
    }

    /// The first rule that fits this span, if it keeps it by its id; its place in the list. Whether it may
    /// is asked of [`Sampler::span_allowed`], once the trace is dropped.
    pub(in crate::trace) fn span_rule(&self, span_id: u64, subject: &Subject<'_>) -> Option<usize> {
        let at = self.span_rules.iter().position(|rule| rule.fits(subject))?;
        self.span_rules[at].keeps(span_id).then_some(at)
    }

    /// Asks that rule's limiter, and counts the span where it is kept.
    pub(in crate::trace) fn span_allowed(&self, rule: usize, now_ns: u64) -> bool {
        let allowed = self
            .span_rules
            .get(rule)
            .is_some_and(|rule| rule.allows(now_ns));
        if allowed {
            self.counts.count_span();
        }
        allowed
    }

    /// The numbers of a span that this rule keeps alone.
    pub(in crate::trace) fn say_alone(&self, rule: usize, put: impl FnMut(&'static str, f64)) {
        if let Some(rule) = self.span_rules.get(rule) {
            rule.say(put);
        }
    }

    /// Called once for each trace of this process, with what held in the end.
    pub(in crate::trace) fn count(&self, decision: &Decision) {
        self.counts.count(decision);
    }

    pub(in crate::trace) fn counts(&self) -> SamplingCounts {
        self.counts.read()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SpanRule, TagValue};
    use super::*;

    /// Kept at 0.5 and more, dropped below 0.06; see [`super::super::knuth`].
    const KEPT: u128 = 1;
    /// Dropped at 0.5.
    const DROPPED: u128 = 9_223_372_036_854_775_809;
    const SECOND: u64 = 1_000_000_000;

    fn sampler(rate: Option<f64>, rules: &str, per_second_max: f64) -> Sampler {
        let (rules, problems) = Rule::list(rules);
        assert!(problems.is_empty(), "{problems:?}");
        let options = SamplingOptions {
            rate,
            rules,
            per_second_max,
            ..SamplingOptions::default()
        };
        Sampler::new(options, "shop", "dev")
    }

    fn span_sampler(rules: &str) -> Sampler {
        let (span_rules, problems) = SpanRule::list(rules);
        assert!(problems.is_empty(), "{problems:?}");
        let options = SamplingOptions {
            span_rules,
            ..SamplingOptions::default()
        };
        Sampler::new(options, "shop", "dev")
    }

    fn team(key: &str) -> Option<TagValue<'static>> {
        (key == "team").then_some(TagValue::Text("a"))
    }

    fn request() -> Subject<'static> {
        Subject {
            tags: &team,
            ..Subject::bare("shop", "http.request", "GET /cart")
        }
    }

    fn by_rule(priority: i32, mechanism: &'static str, rate: f64, limit: Option<f64>) -> Decision {
        Decision {
            rule_rate: Some(rate),
            limit_rate: limit,
            ..Decision::of(Priority(priority), mechanism)
        }
    }

    fn by_agent(priority: i32, mechanism: &'static str, rate: f64) -> Decision {
        Decision {
            agent_rate: Some(rate),
            ..Decision::of(Priority(priority), mechanism)
        }
    }

    #[track_caller]
    fn check(rule: &str, sampler: &Sampler, id: u128, expected: Decision) {
        assert_eq!(sampler.decide(id, 0, &request()), expected, "{rule}");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_first_rule_that_fits_decides() {
        let rules = r#"[{"service":"other","sample_rate":0},{"name":"http.*","sample_rate":0.5},{"sample_rate":1}]"#;
        let of = |rules, rate| sampler(rate, rules, 100.0);
        check(
            "kept",
            &of(rules, None),
            KEPT,
            by_rule(2, "-3", 0.5, Some(1.0)),
        );
        check(
            "dropped, no limiter asked",
            &of(rules, None),
            DROPPED,
            by_rule(-1, "-3", 0.5, None),
        );
        check(
            "a rule beats the rate",
            &of(rules, Some(0.0)),
            KEPT,
            by_rule(2, "-3", 0.5, Some(1.0)),
        );
        let tag = r#"[{"tags":{"team":"A"},"sample_rate":0}]"#;
        check(
            "a tag",
            &of(tag, Some(1.0)),
            KEPT,
            by_rule(-1, "-3", 0.0, None),
        );
        let none = r#"[{"service":"other","sample_rate":0}]"#;
        check(
            "no rule fits",
            &of(none, Some(1.0)),
            KEPT,
            by_rule(2, "-3", 1.0, Some(1.0)),
        );
        check(
            "no rule fits, no rate",
            &of(none, None),
            KEPT,
            by_agent(1, "-0", 1.0),
        );
        let elsewhere = r#"[{"provenance":"customer"}]"#;
        check(
            "written elsewhere",
            &of(elsewhere, None),
            KEPT,
            by_rule(2, "-11", 1.0, Some(1.0)),
        );
        let dynamic = r#"[{"provenance":"dynamic","sample_rate":0}]"#;
        check(
            "written by a machine",
            &of(dynamic, None),
            KEPT,
            by_rule(-1, "-12", 0.0, None),
        );
        check(
            "a rate that is none",
            &of("[]", Some(7.0)),
            KEPT,
            by_agent(1, "-0", 1.0),
        );
        let tiny = of("[]", Some(0.000_001));
        check(
            "a tiny rate",
            &tiny,
            KEPT,
            by_rule(-1, "-3", 0.000_001, None),
        );
        let high = DROPPED | (u128::MAX << 64);
        check(
            "the upper half of an id does not count",
            &of(rules, None),
            high,
            by_rule(-1, "-3", 0.5, None),
        );
    }

    #[test]
    fn the_agents_rate_holds_where_no_rule_does() {
        let sampler = sampler(None, "[]", 0.0);
        check(
            "nothing told yet",
            &sampler,
            DROPPED,
            by_agent(1, "-0", 1.0),
        );
        sampler.learn(
            br#"{"rate_by_service":{"service:shop,env:dev":0.5,"service:,env:":0}}"#,
            0,
        );
        check("kept, and no limit", &sampler, KEPT, by_agent(1, "-1", 0.5));
        check("dropped", &sampler, DROPPED, by_agent(0, "-1", 0.5));
        let other = sampler.decide(KEPT, 0, &Subject::bare("db", "query", "SELECT"));
        assert_eq!(other, by_agent(0, "-1", 0.0), "another service");
    }

    #[test]
    fn what_is_over_the_limit_is_dropped_as_by_a_user() {
        let limited = sampler(Some(1.0), "[]", 1.0);
        check(
            "the first",
            &limited,
            KEPT,
            by_rule(2, "-3", 1.0, Some(1.0)),
        );
        check(
            "the second",
            &limited,
            KEPT,
            by_rule(-1, "-3", 1.0, Some(0.5)),
        );
        let later = limited.decide(KEPT, 2 * SECOND, &request());
        assert_eq!(later, by_rule(2, "-3", 1.0, Some(1.0)), "two seconds on");
        let none = sampler(None, "[{}]", 0.0);
        check(
            "none is kept",
            &none,
            KEPT,
            by_rule(-1, "-3", 1.0, Some(0.0)),
        );
    }

    #[test]
    fn the_first_span_rule_that_fits_decides_alone() {
        let rules = r#"[{"name":"a","sample_rate":0},{"name":"?"},{"service":"db","sample_rate":0.5,"max_per_second":1}]"#;
        let sampler = span_sampler(rules);
        assert!(sampler.has_span_rules() && !span_sampler("[]").has_span_rules());
        let find = |id: u128, service, name| {
            sampler.span_rule(id as u64, &Subject::bare(service, name, ""))
        };
        assert_eq!(
            find(KEPT, "shop", "a"),
            None,
            "the second rule is not asked"
        );
        assert_eq!(find(DROPPED, "shop", "b"), Some(1));
        assert_eq!(find(KEPT, "db", "query"), Some(2));
        assert_eq!(find(DROPPED, "db", "query"), None, "by the span's id");
        assert_eq!(find(KEPT, "shop", "query"), None, "no rule fits");
        let allowed = [2, 2, 1, 2].map(|rule| sampler.span_allowed(rule, 0));
        assert_eq!(
            allowed,
            [true, false, true, false],
            "each rule has a limiter of its own"
        );
        assert!(sampler.span_allowed(2, SECOND) && !sampler.span_allowed(3, SECOND));
        assert_eq!(sampler.counts().spans_kept, 3);
        assert_eq!(span_sampler("[]").span_rule(1, &request()), None);
    }

    #[test]
    fn a_span_kept_alone_says_by_what() {
        let sampler = span_sampler(r#"[{},{"sample_rate":0.5,"max_per_second":1}]"#);
        let said = |rule| {
            let mut said = Vec::new();
            sampler.say_alone(rule, |key, number| said.push((key, number)));
            said
        };
        let mechanism = ("_dd.span_sampling.mechanism", 8.0);
        let rate = |rate| ("_dd.span_sampling.rule_rate", rate);
        assert_eq!(said(0), [mechanism, rate(1.0)]);
        assert_eq!(
            said(1),
            [
                mechanism,
                rate(0.5),
                ("_dd.span_sampling.max_per_second", 1.0)
            ]
        );
        assert_eq!(said(2), []);
    }

    #[test]
    fn counts_follow_what_is_counted() {
        let sampler = sampler(Some(1.0), "[]", 1.0);
        for _ in 0..3 {
            sampler.count(&sampler.decide(KEPT, 0, &request()));
        }
        let counts = sampler.counts();
        assert_eq!(
            (counts.kept, counts.dropped, counts.dropped_by_limit),
            (1, 2, 2)
        );
    }
}
