//! A panic outside of every request: the HTTP crate's, when a connection finds one descriptor left of the two it
//! takes.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use testapi::agent::decode::{LogLine, Status, log_line};

use crate::support::{DEADLINE, Ended, FakeAgent, Folder, Program, Until, get};

/// Which of an even and an odd number leads there depends on what else is open.
const LIMITS: [usize; 2] = [48, 49];

#[test]
fn it_is_a_critical_record_and_on_stderr_only_where_there_is_no_log() {
    for has_log in [true, false] {
        let until = Until::new(DEADLINE);
        let mut limits = LIMITS.into_iter().cycle();
        let attempt = || panics(limits.next().unwrap(), has_log);
        let (in_log, on_stderr) = until.some("a panic of the HTTP crate", attempt);
        let (told, not_told) = match has_log {
            true => (in_log, on_stderr),
            false => (on_stderr, in_log),
        };
        assert_eq!(not_told, []);
        for line in told {
            assert_eq!(
                (line.status, line.logger.as_str()),
                (Status::Critical, "testapi")
            );
            assert!(line.message.contains(" panicked at "), "{line:#?}");
            assert!(line.error_message.contains(".rs:"), "{line:#?}");
            let thread = |(key, _): &&(String, String)| key == "logger.thread_name";
            let thread = &line.fields.iter().find(thread).unwrap().1;
            assert!(
                line.message.starts_with(&format!("thread {thread} ")),
                "{line:#?}"
            );
        }
    }
}

/// What the log and what stderr said of panics, where there was one.
fn panics(limit: usize, has_log: bool) -> Option<(Vec<LogLine>, Vec<LogLine>)> {
    let (agent, folder) = (FakeAgent::start(), Folder::new());
    let file = folder.file("a.json");
    let mut env = agent.env();
    if has_log {
        let file = file.to_str().unwrap().to_string();
        env.push(("TESTAPI_LOG_FILE".to_string(), file));
    }
    let mut command = Command::new("/bin/sh");
    let script = format!("ulimit -n {limit}; exec \"$0\" --bind 127.0.0.1:0 --workers 4");
    command.args(["-c", &script, Program::PATH]);
    let program = Program::run(command, &env);
    let to = program.address();
    assert_eq!(get(to, "/health").status, 200);
    let connect = || TcpStream::connect(to).unwrap();
    let crowd: Vec<TcpStream> = (0..2 * limit).map(|_| connect()).collect();
    let open = format!("/proc/{}/fd", program.id());
    Until::new(DEADLINE).some("no descriptor left", || {
        let open = fs::read_dir(&open).unwrap().count();
        (open >= limit - 2).then_some(())
    });
    drop(crowd);
    let Ended { code, raw, .. } = program.terminate();
    assert!(matches!(code, Some(0 | 1)), "{raw:#?}");
    let of_panics = |text: &str| {
        let lines = text
            .lines()
            .map(log_line)
            .inspect(|line| assert!(line.json));
        lines
            .filter(|line| line.error_kind == "panic")
            .collect::<Vec<_>>()
    };
    let in_log = of_panics(&fs::read_to_string(&file).unwrap_or_default());
    let on_stderr = of_panics(&raw.join("\n"));
    (in_log.len() + on_stderr.len() > 0).then_some((in_log, on_stderr))
}
