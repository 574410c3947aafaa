//! A thread's turns: whether it has to be looked at, or is known to be where it was.
//!
//! A thread whose CPU clock stands still has not moved, so it is not woken to say where it is: an idle pool costs
//! nothing but reading clocks. A look itself takes CPU time, on the way back to sleep too, so the first turn after one
//! allows for that.

/// CPU time that going back to sleep may cost a thread that was woken by a look.
const SETTLE_NS: u64 = 100_000;

/// What is kept about a thread from one turn to the next.
#[derive(Debug)]
pub(super) struct Turns {
    since_ns: u64,
    /// Time that the next look speaks for.
    due_ns: u64,
    last: Option<Found>,
    /// Whether it slept again when its clock was last read.
    is_settled: bool,
}

/// Where a thread was found, in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addresses: Vec<u64>,
    pub(super) span_id: u64,
    pub(super) root_id: u64,
    /// Its CPU time then.
    pub(super) cpu_ns: u64,
}

/// How a thread stands when its turn has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) now_ns: u64,
    pub(super) cpu_ns: u64,
    pub(super) span_id: u64,
}

impl Turns {
    pub(super) fn since(now_ns: u64) -> Turns {
        Turns {
            since_ns: now_ns,
            due_ns: 0,
            last: None,
            is_settled: false,
        }
    }

    /// Its turn. Gives where it still is, and the time that this speaks for; nothing where it has to be looked at.
    pub(super) fn take(&mut self, standing: Standing) -> Option<(&Found, u64)> {
        self.due_ns += standing.now_ns.saturating_sub(self.since_ns);
        self.since_ns = standing.now_ns;
        let allowed_ns = if self.is_settled { 0 } else { SETTLE_NS };
        let is_there = |found: &Found| {
            let moved_ns = standing.cpu_ns.saturating_sub(found.cpu_ns);
            moved_ns <= allowed_ns && found.span_id == standing.span_id
        };
        let mut found = self.last.take().filter(is_there)?;
        found.cpu_ns = standing.cpu_ns;
        self.is_settled = true;
        Some((self.last.insert(found), std::mem::take(&mut self.due_ns)))
    }

    /// It was looked at. Gives the time that this speaks for.
    pub(super) fn found(&mut self, found: Found) -> u64 {
        self.last = Some(found);
        self.is_settled = false;
        std::mem::take(&mut self.due_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cpu_ns: u64, span_id: u64) -> Found {
        Found {
            addresses: vec![1, 2],
            span_id,
            root_id: span_id,
            cpu_ns,
        }
    }

    /// What one thread's turns give, one after the other: time, CPU clock and span; 0 is a look that has to be taken,
    /// and is.
    #[track_caller]
    fn check(rule: &str, turns: &[(u64, u64, u64)], expected: &[u64]) {
        let mut kept = Turns::since(1_000);
        let mut looked_ns = 0;
        let seen: Vec<u64> = turns
            .iter()
            .map(|&(now_ns, cpu_ns, span_id)| {
                let standing = Standing {
                    now_ns,
                    cpu_ns,
                    span_id,
                };
                let again = kept.take(standing).map(|(_, ns)| ns);
                if again.is_none() {
                    looked_ns += kept.found(found(cpu_ns, span_id));
                }
                again.unwrap_or(0)
            })
            .collect();
        assert_eq!(seen, expected, "{rule}");
        let last_ns = turns.last().map_or(1_000, |turn| turn.0);
        let told_ns = looked_ns + seen.iter().sum::<u64>();
        assert_eq!(told_ns, last_ns - 1_000, "{rule}: all time is told");
    }

    #[test]
    fn a_thread_that_has_not_moved_is_not_looked_at() {
        check("no turn", &[], &[]);
        check("the first turn", &[(1_050, 7, 0)], &[0]);
        check(
            "the clock stands",
            &[(1_050, 7, 0), (1_100, 7, 0)],
            &[0, 50],
        );
        check(
            "back to sleep after the look, and no further",
            &[
                (1_050, 7, 0),
                (1_100, 90_000, 0),
                (1_150, 90_000, 0),
                (1_200, 90_001, 0),
            ],
            &[0, 50, 50, 0],
        );
        check(
            "it worked",
            &[(1_050, 7, 0), (1_100, 100_008, 0), (1_150, 300_000, 0)],
            &[0, 0, 0],
        );
        check(
            "just what is allowed",
            &[(1_050, 7, 0), (1_100, 100_007, 0)],
            &[0, 50],
        );
        check(
            "in another span",
            &[(1_050, 7, 5), (1_100, 7, 5), (1_150, 7, 6), (1_200, 7, 6)],
            &[0, 50, 0, 50],
        );
        check(
            "its clock is gone",
            &[(1_050, 7, 0), (1_100, 0, 0)],
            &[0, 50],
        );
    }

    #[test]
    fn a_look_that_never_came_leaves_its_time_to_the_next() {
        let mut turns = Turns::since(1_000);
        let standing = |now_ns| Standing {
            now_ns,
            cpu_ns: 7,
            span_id: 0,
        };
        assert_eq!(turns.take(standing(1_050)), None);
        assert_eq!(turns.take(standing(1_100)), None, "nothing was found yet");
        assert_eq!(turns.found(found(7, 0)), 100);
        assert_eq!(turns.found(found(7, 0)), 0, "a second look in one turn");
        assert_eq!(turns.take(standing(1_150)), Some((&found(7, 0), 50)));
    }
}
