//! What the HTTP crate says while the real program serves is in its log; what the program itself says
//! there is no echo of it.

use std::fs;

use testapi::agent::decode::{LogLine, Status, log_line};

use crate::support::{FakeAgent, Folder, Program, get};

#[test]
fn records_of_libraries_are_lines_of_the_log_from_its_level_on() {
    for (level, expected) in [
        (
            "debug",
            &["Server listening on ", "Running accept thread"][..],
        ),
        ("info", &[]),
    ] {
        let (agent, folder) = (FakeAgent::start(), Folder::new());
        let file = folder.file("a.json");
        let mut env = agent.env();
        for (name, value) in [
            ("TESTAPI_LOG_LEVEL", level),
            ("TESTAPI_LOG_FILE", file.to_str().unwrap()),
        ] {
            env.push((name.into(), value.into()));
        }
        let program = Program::serve(&env);
        assert_eq!(get(program.address(), "/health").status, 200);
        assert_eq!(program.terminate().code, Some(0));
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().map(log_line);
        let theirs: Vec<LogLine> = lines
            .filter(|line| line.logger.starts_with("tiny_http"))
            .collect();
        assert_eq!(theirs.len(), expected.len(), "{theirs:#?}");
        for (line, start) in theirs.iter().zip(expected) {
            assert!(line.json && line.message.starts_with(start), "{line:#?}");
            assert_eq!(line.status, Status::Debug);
        }
    }
}
