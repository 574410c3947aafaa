//! README's tables, against the tables of the program.

use testapi::api::ROUTES;
use testapi::config::VARS;

const README: &str = include_str!("../README.md");

#[test]
fn every_route_stands_in_its_table_with_what_it_emits() {
    for route in ROUTES {
        let start = format!(
            "| [`{}`](http://127.0.0.1:5000{}) | ",
            route.pattern, route.example
        );
        let row = README.lines().find(|line| line.starts_with(&start));
        assert_eq!(row, Some(&*format!("{start}{} |", route.purpose)));
    }
    let rows = README
        .lines()
        .filter(|line| line.starts_with("| [`/"))
        .count();
    assert_eq!(
        rows,
        ROUTES.len(),
        "a route in README is gone from the program"
    );
}

#[test]
fn every_setting_stands_in_its_table_with_its_default() {
    for var in VARS {
        let default = if var.default.is_empty() {
            "unset"
        } else {
            var.default
        };
        let row = format!(
            "| `{}` | {default} | {}; takes {} |",
            var.name, var.help, var.takes
        );
        assert!(
            README.lines().any(|line| line == row),
            "README lacks: {row}"
        );
    }
    let names = ["| `DD_", "| `DATADOG_", "| `TESTAPI_", "| `OTEL_"];
    let is_row = |line: &&str| names.iter().any(|name| line.starts_with(name));
    assert_eq!(README.lines().filter(is_row).count(), VARS.len());
}
