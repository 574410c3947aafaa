//! The rates by which the Agent holds down what it must keep.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Rates held at most; an answer with more is cut there.
const RATES_MAX: usize = 10_000;
/// Time between two rises; see [`Rate::step`].
const RISE_INTERVAL_NS: u64 = 1_000_000_000;
/// The rate of all that has none of its own.
const DEFAULT_KEY: &str = "service:,env:";

/// `rate_by_service` of the Agent's answers, as far as it concerns this environment.
#[derive(Debug)]
pub(super) struct AgentRates {
    own_service: String,
    /// What keys of this environment end with.
    key_end: String,
    /// Nothing until an Agent has told any.
    rates: RwLock<Option<Rates>>,
}

#[derive(Debug)]
struct Rates {
    default: Rate,
    /// As `services` or `default` has it for our own service: spares most traces the search.
    own: f64,
    services: HashMap<String, Rate>,
    rose_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    in_force: f64,
    told: f64,
}

impl AgentRates {
    pub(super) fn new(service: &str, env: &str) -> AgentRates {
        AgentRates {
            own_service: service.to_string(),
            key_end: format!(",env:{env}"),
            rates: RwLock::default(),
        }
    }

    /// The rate of this service; nothing before the Agent has told any.
    pub(super) fn rate(&self, service: &str) -> Option<f64> {
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        let rates = rates.as_ref()?;
        if service == self.own_service {
            return Some(rates.own);
        }
        Some(
            rates
                .services
                .get(service)
                .unwrap_or(&rates.default)
                .in_force,
        )
    }

    /// Takes the rates of an answer. `{}`, which says that nothing has changed, and what is no rate leave
    /// the old ones as they are, but for a rise that is still under way.
    pub(super) fn learn(&self, body: &[u8], now_ns: u64) {
        let told = serde_json::from_slice::<Answer>(body).ok();
        let told = told
            .and_then(|answer| answer.rate_by_service)
            .map(|Told(pairs)| pairs);
        let told = told.filter(|pairs| !pairs.is_empty());
        let held = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        let next = match (&*held, told) {
            (None, None) => None,
            (Some(rates), None) => rates.risen(now_ns),
            (rates, Some(pairs)) => Some(self.taken(rates.as_ref(), pairs)),
        };
        drop(held);
        let Some(mut next) = next else {
            return;
        };
        next.step(now_ns);
        let own = next
            .services
            .get(&self.own_service)
            .unwrap_or(&next.default);
        next.own = own.in_force;
        // Whoever decides waits for the exchange alone.
        let mut held = self.rates.write().unwrap_or_else(PoisonError::into_inner);
        let before = held.replace(next);
        drop(held);
        drop(before);
    }

    /// What was told now, on top of what is in force.
    fn taken(&self, before: Option<&Rates>, pairs: Vec<(String, f64)>) -> Rates {
        let mut default = before.map_or(Rate::ALL, |before| before.default);
        let usual = default.in_force;
        let mut services = HashMap::new();
        for (key, told) in pairs {
            if key == DEFAULT_KEY {
                default.told = told;
            } else if let Some(service) = self.service_of(&key) {
                let old = before.and_then(|before| before.services.get(service));
                let in_force = old.map_or(usual, |old| old.in_force);
                services.insert(service.to_string(), Rate { in_force, told });
            }
        }
        // A service that is told no more falls to the default, which may be a rise too: an Agent that has
        // just started knows no service yet.
        for (service, old) in before.into_iter().flat_map(|before| &before.services) {
            if services.len() < RATES_MAX && old.in_force < default.told {
                let fallen = Rate {
                    told: default.told,
                    ..*old
                };
                services.entry(service.clone()).or_insert(fallen);
            }
        }
        Rates {
            default,
            own: usual,
            services,
            rose_ns: before.and_then(|before| before.rose_ns),
        }
    }

    /// Of `service:S,env:E`, where E is ours.
    fn service_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix("service:")?.strip_suffix(&self.key_end)
    }
}

impl Rates {
    /// A copy to go on with, where a rate has yet to rise and may.
    fn risen(&self, now_ns: u64) -> Option<Rates> {
        let rates = || self.services.values().chain([&self.default]);
        let rises = self.may_rise(now_ns) && rates().any(|rate| rate.in_force < rate.told);
        rises.then(|| Rates {
            services: self.services.clone(),
            ..*self
        })
    }

    fn may_rise(&self, now_ns: u64) -> bool {
        let waited = |rose_ns| now_ns.saturating_sub(rose_ns) >= RISE_INTERVAL_NS;
        self.rose_ns.is_none_or(waited)
    }

    fn step(&mut self, now_ns: u64) {
        let may_rise = self.may_rise(now_ns);
        let mut rose = self.default.step(may_rise);
        for rate in self.services.values_mut() {
            rose |= rate.step(may_rise);
        }
        if rose {
            self.rose_ns = Some(now_ns);
        }
    }
}

impl Rate {
    const ALL: Rate = Rate {
        in_force: 1.0,
        told: 1.0,
    };

    /// Falls at once and rises to twice itself at most, or an Agent that starts anew, which tells 1 until it
    /// knows better, would be flooded (dd-trace-go, `ddtrace/tracer/sampler.go`). True where it rose.
    fn step(&mut self, may_rise: bool) -> bool {
        let falls = self.told <= self.in_force || self.in_force == 0.0;
        self.in_force = match falls {
            true => self.told,
            false if may_rise => self.told.min(self.in_force * 2.0),
            false => self.in_force,
        };
        may_rise && !falls
    }
}

#[derive(Deserialize)]
struct Answer {
    rate_by_service: Option<Told>,
}

/// Keys with what is a rate; a value that is none does not spoil the others.
struct Told(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Told, D::Error> {
        deserializer.deserialize_map(TellVisitor)
    }
}

struct TellVisitor;

impl<'de> Visitor<'de> for TellVisitor {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of rates")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let rate = value.as_f64().filter(|rate| (0.0..=1.0).contains(rate));
            if let Some(rate) = rate
                && (pairs.len() < RATES_MAX || key == DEFAULT_KEY)
            {
                pairs.push((key, rate));
            }
        }
        Ok(Told(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn answer(pairs: &[(&str, f64)]) -> Vec<u8> {
        let pairs = pairs.iter().map(|(key, rate)| format!("{key:?}:{rate}"));
        let pairs = pairs.collect::<Vec<_>>().join(",");
        format!("{{\"rate_by_service\":{{{pairs}}}}}").into_bytes()
    }

    #[track_caller]
    fn check(rule: &str, rates: &AgentRates, services: &[(&str, f64)]) {
        for (service, rate) in services {
            assert_eq!(rates.rate(service), Some(*rate), "{rule}: {service}");
        }
    }

    #[test]
    fn a_key_names_service_and_environment() {
        let rates = AgentRates::new("shop", "dev");
        assert_eq!(rates.rate("shop"), None, "before any answer");
        rates.learn(
            &answer(&[
                ("service:,env:", 0.5),
                ("service:shop,env:dev", 0.25),
                ("service:shop,env:prod", 0.1),
                ("service:db,env:dev", 0.0),
                ("service:odd,env:prod,env:dev", 0.2),
                ("shop", 0.3),
                ("service:cache", 0.3),
            ]),
            0,
        );
        let expected = [
            ("shop", 0.25),
            ("db", 0.0),
            ("odd,env:prod", 0.2),
            ("cache", 0.5),
            ("", 0.5),
        ];
        check("keys", &rates, &expected);
        let nameless = AgentRates::new("shop", "");
        nameless.learn(
            &answer(&[("service:shop,env:dev", 0.1), ("service:shop,env:", 0.2)]),
            0,
        );
        check("no environment", &nameless, &[("shop", 0.2), ("db", 1.0)]);
    }

    #[test]
    fn nonsense_leaves_the_old_rates() {
        let rates = AgentRates::new("shop", "dev");
        for nonsense in [
            &b"{}"[..],
            b"",
            b"OK\n",
            b"[1]",
            b"null",
            b"\xff",
            br#"{"rate_by_service":[]}"#,
            br#"{"rate_by_service":null}"#,
            br#"{"rate_by_service":{}}"#,
            br#"{"rate_by_service":{"service:,env:":NaN}}"#,
            br#"{"rate_by_service":{"service:,env:":-1,"service:shop,env:dev":2}}"#,
            br#"{"rate_by_service":{"service:,env:":"0.1","service:shop,env:dev":[0.1]}}"#,
            br#"{"rate_by_service":{"service:,env:":0.1}"#,
            br#"{"rates":{"service:,env:":0.1}}"#,
        ] {
            rates.learn(nonsense, 0);
            assert_eq!(rates.rate("shop"), None, "{}", nonsense.escape_ascii());
        }
        rates.learn(
            br#"{"rate_by_service":{"service:shop,env:dev":0.25,"service:,env:":0.5},"more":[{}]}"#,
            0,
        );
        for nonsense in [
            &b"{}"[..],
            b"OK\n",
            br#"{"rate_by_service":{"service:,env:":7}}"#,
        ] {
            rates.learn(nonsense, 0);
            check("kept", &rates, &[("shop", 0.25), ("db", 0.5)]);
        }
        let mixed = br#"{"rate_by_service":{"service:a,env:dev":"x","service:shop,env:dev":0.125,"service:b,env:dev":{"c":[1]}}}"#;
        rates.learn(mixed, 0);
        check(
            "what is a rate holds, the default stays",
            &rates,
            &[("shop", 0.125), ("a", 0.5), ("b", 0.5)],
        );
    }

    #[test]
    fn a_fall_is_taken_at_once_and_a_rise_in_steps() {
        let rates = AgentRates::new("shop", "dev");
        let tell = |shop: f64, default: f64, at_ns| {
            rates.learn(
                &answer(&[("service:shop,env:dev", shop), ("service:,env:", default)]),
                at_ns,
            );
        };
        tell(0.1, 0.5, 0);
        check(
            "a first answer below 1",
            &rates,
            &[("shop", 0.1), ("db", 0.5)],
        );
        tell(1.0, 1.0, 0);
        check("twice at most", &rates, &[("shop", 0.2), ("db", 1.0)]);
        tell(1.0, 1.0, SECOND - 1);
        check("not twice in a second", &rates, &[("shop", 0.2)]);
        tell(0.05, 0.01, SECOND - 1);
        check(
            "a fall does not wait",
            &rates,
            &[("shop", 0.05), ("db", 0.01)],
        );
        tell(0.06, 1.0, SECOND);
        check(
            "a small rise is one too",
            &rates,
            &[("shop", 0.06), ("db", 0.02)],
        );
        tell(0.0, 1.0, SECOND);
        tell(1.0, 1.0, SECOND);
        check("from nothing it has no steps", &rates, &[("shop", 1.0)]);
    }

    #[test]
    fn a_rise_goes_on_while_the_agent_says_that_nothing_changed() {
        let rates = AgentRates::new("shop", "dev");
        rates.learn(
            &answer(&[("service:shop,env:dev", 0.2), ("service:,env:", 1.0)]),
            0,
        );
        rates.learn(&answer(&[("service:,env:", 1.0)]), 0);
        check(
            "a service that is told no more rises too",
            &rates,
            &[("shop", 0.4)],
        );
        for (at_ns, rate) in [
            (SECOND / 2, 0.4),
            (SECOND, 0.8),
            (2 * SECOND, 1.0),
            (3 * SECOND, 1.0),
        ] {
            rates.learn(b"{}", at_ns);
            check("with every answer", &rates, &[("shop", rate)]);
        }
        rates.learn(&answer(&[("service:,env:", 0.5)]), 3 * SECOND);
        check(
            "and is then as all others",
            &rates,
            &[("shop", 0.5), ("db", 0.5)],
        );
    }

    #[test]
    fn an_answer_without_end_has_one() {
        let key = |n: usize| format!("service:s{n:06},env:dev");
        let pairs: Vec<String> = (0..RATES_MAX + 500)
            .map(|n| format!("{:?}:0.5", key(n)))
            .collect();
        let body = format!(
            "{{\"rate_by_service\":{{{},\"service:,env:\":0.25}}}}",
            pairs.join(",")
        );
        let rates = AgentRates::new("shop", "dev");
        rates.learn(body.as_bytes(), 0);
        rates.learn(body.replace("service:s", "service:t").as_bytes(), 0);
        let held = rates.rates.read().unwrap();
        assert_eq!(held.as_ref().unwrap().services.len(), RATES_MAX);
        drop(held);
        check(
            "the first, and the default",
            &rates,
            &[("t000000", 0.5), ("t010499", 0.25), ("shop", 0.25)],
        );
    }

    #[test]
    fn a_thread_that_panicked_stops_nobody() {
        let rates = AgentRates::new("shop", "dev");
        rates.learn(&answer(&[("service:,env:", 0.5)]), 0);
        let poisoned = std::thread::scope(|scope| {
            let held = || {
                let _held = rates.rates.write().unwrap();
                std::panic::resume_unwind(Box::new("no message on stderr"));
            };
            scope.spawn(held).join().is_err()
        });
        assert!(poisoned);
        rates.learn(&answer(&[("service:,env:", 0.25)]), 0);
        check("goes on", &rates, &[("shop", 0.25)]);
    }
}
