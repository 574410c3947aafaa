//! What users do: a weighted list of paths that reaches every route of the API.

use fastrand::Rng;

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The route it reaches; requests are counted under this name.
    pub route: &'static str,
    /// How often, in relation to the others.
    pub weight: u32,
    path: fn(&mut Rng) -> String,
}

const fn task(route: &'static str, weight: u32, path: fn(&mut Rng) -> String) -> Task {
    Task {
        route,
        weight,
        path,
    }
}

/// Visitors of the set: a small pool, so that its gauge moves and does not stay at 1.
const VISITORS: [&str; 12] = [
    "ana", "ben", "chi", "dov", "eva", "fay", "gus", "hal", "ida", "jon", "kim", "leo",
];

/// Every task of the demo. Slow and failing ones are rare, as in life.
pub const TASKS: &[Task] = &[
    task("/", 60, |_| "/".to_string()),
    task("/health", 20, |_| "/health".to_string()),
    task("/logging/{level}", 100, |rng| {
        let levels = [
            "debug", "info", "info", "info", "warning", "error", "critical",
        ];
        format!("/logging/{}", levels[rng.usize(..levels.len())])
    }),
    task("/server_error/", 10, |_| "/server_error/".to_string()),
    task("/panic/", 5, |_| "/panic/".to_string()),
    task("/status/{code}", 40, |rng| {
        let codes = [200, 200, 204, 302, 404, 418, 503];
        format!("/status/{}", codes[rng.usize(..codes.len())])
    }),
    task("/sdmetrics/increment/{value}", 80, |rng| {
        format!("/sdmetrics/increment/{}", rng.u8(1..5))
    }),
    task("/sdmetrics/decrement/{value}", 40, |rng| {
        format!("/sdmetrics/decrement/{}", rng.u8(1..3))
    }),
    task("/sdmetrics/gauge/{value}", 60, |rng| {
        format!("/sdmetrics/gauge/{:.1}", 20.0 + rng.f64() * 15.0)
    }),
    task("/sdmetrics/set/{member}", 60, |rng| {
        format!("/sdmetrics/set/{}", VISITORS[rng.usize(..VISITORS.len())])
    }),
    task("/sdmetrics/histogram/{value}", 60, |rng| {
        format!("/sdmetrics/histogram/{:.2}", skewed(rng))
    }),
    task("/sdmetrics/distribution/{value}", 60, |rng| {
        format!("/sdmetrics/distribution/{:.2}", skewed(rng))
    }),
    task("/sdmetrics/timer/{ms}", 60, |rng| {
        format!("/sdmetrics/timer/{:.2}", skewed(rng))
    }),
    task("/sdmetrics/event/{title}", 2, |_| {
        "/sdmetrics/event/deployed".to_string()
    }),
    task("/sdmetrics/check/{status}", 4, |rng| {
        let words = ["ok", "ok", "ok", "warning", "critical", "unknown"];
        format!("/sdmetrics/check/{}", words[rng.usize(..words.len())])
    }),
    task("/prometheus_counter_inc/{count_type}/{value}", 60, |rng| {
        let fruit = ["apples", "pears", "plums"];
        format!(
            "/prometheus_counter_inc/{}/{}",
            fruit[rng.usize(..fruit.len())],
            rng.u8(1..4)
        )
    }),
    task("/trace/nested/{depth}", 40, |rng| {
        format!("/trace/nested/{}", rng.u8(2..6))
    }),
    task("/trace/linked/{event}", 10, |_| {
        "/trace/linked/restocked".to_string()
    }),
    task("/trace/fanout/{n}", 40, |rng| {
        format!("/trace/fanout/{}", rng.u8(2..9))
    }),
    task(DOWNSTREAM, 20, |_| DOWNSTREAM.to_string()),
    task("/slow/{ms}", 8, |rng| format!("/slow/{}", rng.u8(2..20))),
    task("/cpu/{ms}", 8, |rng| format!("/cpu/{}", rng.u8(10..30))),
    task("/metrics", 2, |_| "/metrics".to_string()),
    task("/style.css", 2, |_| "/style.css".to_string()),
];

/// The route that makes the API call itself once more.
pub const DOWNSTREAM: &str = "/trace/downstream";

/// Many small values and a few large ones, as latencies are.
fn skewed(rng: &mut Rng) -> f64 {
    5.0 / (1.0 - rng.f64() * 0.98)
}

/// Draws the next task and its path.
pub fn draw(rng: &mut Rng) -> (&'static Task, String) {
    let total: u32 = TASKS.iter().map(|task| task.weight).sum();
    let mut at = rng.u32(..total);
    for task in TASKS {
        if at < task.weight {
            return (task, (task.path)(rng));
        }
        at -= task.weight;
    }
    unreachable!("the weights add up to the total")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_task_is_drawn_as_often_as_its_weight_says() {
        let mut rng = Rng::with_seed(1);
        let mut drawn: HashMap<&str, u32> = HashMap::new();
        for _ in 0..200_000 {
            let (task, path) = draw(&mut rng);
            *drawn.entry(task.route).or_default() += 1;
            assert!(
                path.starts_with('/') && !path.contains(['{', ' ']),
                "{path}"
            );
        }
        let total: u32 = TASKS.iter().map(|task| task.weight).sum();
        for task in TASKS {
            let share = f64::from(drawn[task.route]) / 200_000.0;
            let wanted = f64::from(task.weight) / f64::from(total);
            assert!(
                (share - wanted).abs() < 0.01,
                "{}: {share} for {wanted}",
                task.route
            );
        }
    }
}
