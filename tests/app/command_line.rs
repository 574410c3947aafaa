//! The command line: help, mistakes, exit codes.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

use testapi::agent::decode::{LogLine, Status, log_line};
use testapi::config::VARS;

use crate::support::{DEADLINE, FakeAgent, Program, Until, for_a_person};

fn output(args: &[&str]) -> Output {
    let mut command = Command::new(Program::PATH);
    command.env_clear().args(args).output().unwrap()
}

#[test]
fn help_names_every_setting() {
    for args in [&["--help"][..], &["serve", "--help"]] {
        let Output { status, stdout, .. } = output(args);
        let text = String::from_utf8(stdout).unwrap();
        assert_eq!(status.code(), Some(0));
        for var in VARS {
            let line = text.lines().find(|line| line.trim() == var.name);
            assert!(line.is_some(), "{} is not in {text}", var.name);
        }
        for flag in [
            "--bind",
            "--workers",
            "--statsd-host",
            "--statsd-prefix",
            "--dogstatsd-tags",
            "--enable-backlog-metric",
        ] {
            assert!(text.contains(flag), "{flag} is not in {text}");
        }
    }
    let text = String::from_utf8(output(&["agent", "--help"]).stdout).unwrap();
    for flag in [
        "--receiver-bind",
        "--dogstatsd-bind",
        "--dogstatsd-socket",
        "--page-bind",
        "--host",
        "--tail",
        "--from-start",
        "--scrape",
        "--scrape-interval",
    ] {
        assert!(text.contains(flag), "{flag} is not in {text}");
    }
}

#[test]
fn what_is_not_a_flag_is_refused() {
    for args in [&["--bnid", "x"][..], &["--workers", "0"], &["fly"]] {
        let Output { status, stderr, .. } = output(args);
        let text = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}");
        assert!(text.contains(args[0]), "{args:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    }
}

/// Who collects a container's streams takes stderr for errors, a line each, unless a line says otherwise.
#[test]
fn all_that_stderr_is_told_is_lines_like_those_of_the_log() {
    #[track_caller]
    fn check(args: &[&str], env: &[(&str, &str)], expected: &[(Status, &str, &str, &str)]) {
        let mut command = Command::new(Program::PATH);
        command.env_clear().args(args).envs(env.iter().copied());
        let text = String::from_utf8(command.output().unwrap().stderr).unwrap();
        let lines: Vec<LogLine> = text.lines().map(log_line).collect();
        assert_eq!(lines.len(), expected.len(), "{args:?}: {text}");
        for (line, (status, message, kind, more)) in lines.iter().zip(expected) {
            assert!(line.json && line.time_unix_us.is_some(), "{text}");
            assert_eq!(
                (line.status, line.service.as_str()),
                (*status, "shop"),
                "{text}"
            );
            assert_eq!(
                (line.message.as_str(), line.logger.as_str()),
                (*message, "testapi")
            );
            assert_eq!(line.error_kind, *kind, "{text}");
            assert!(line.error_message.contains(more), "{text}");
            assert!(
                line.fields.contains(&("ddsource".into(), "rust".into())),
                "{text}"
            );
        }
    }
    let shop = ("DD_SERVICE", "shop");
    let unexpected = "unexpected argument '--bnid' found";
    for args in [&["--bnid"][..], &["serve", "--bnid"], &["agent", "--bnid"]] {
        let usage = (Status::Error, unexpected, "UsageError", "Usage: testapi");
        check(args, &[shop], &[usage]);
    }
    let takes = "--statsd-host \"x\": takes host:port or unix:///path";
    let start = (Status::Error, takes, "StartError", takes);
    check(&["--statsd-host", "x"], &[shop], &[start]);
    let wrong = "TESTAPI_LOG_FILES_KEPT=\"0\": takes a number from 1 to 100; kept 4";
    check(
        &["--statsd-host", "x"],
        &[shop, ("TESTAPI_LOG_FILES_KEPT", "0")],
        &[(Status::Warn, wrong, "", ""), start],
    );
    let folder = "cannot follow /: it is a folder (--tail)";
    let start = (Status::Error, folder, "StartError", folder);
    check(&["agent", "--tail", "/"], &[shop], &[start]);
}

#[test]
fn a_wrong_setting_is_told_and_the_api_serves_all_the_same() {
    let agent = FakeAgent::start();
    let mut env = agent.env();
    for (name, value) in [
        ("DD_TRACE_ENABLED", "maybe"),
        ("DD_DOGSTATSD_PROT", "8125"),
        ("DD_API_KEY", "the Agent's own, not ours"),
    ] {
        env.push((name.to_string(), value.to_string()));
    }
    let program = Program::serve(&env);
    let to = program.address();
    assert_eq!(crate::support::get(to, "/health").status, 200);
    let stderr = program.terminate().stderr;
    assert_eq!(
        stderr[..2],
        [
            "testapi: DD_TRACE_ENABLED=\"maybe\": takes true or false; kept true",
            "testapi: DD_DOGSTATSD_PROT is not read here; did you mean DD_DOGSTATSD_PORT?",
        ]
    );
}

#[test]
fn a_taken_port_ends_with_2_and_the_flag_to_change() {
    #[track_caller]
    fn check(args: &[&str], taken: &str, named: &str) {
        let ended = Program::start(args, &[]).end();
        let text = ended.stderr.join("\n");
        assert_eq!(ended.code, Some(2), "{text}");
        assert!(text.contains(taken) && text.contains(named), "{text}");
        assert_eq!(ended.stderr.len(), 1, "{text}");
    }
    let tcp_socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = tcp_socket.local_addr().unwrap().to_string();
    let udp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = udp_socket.local_addr().unwrap().to_string();
    check(&["--bind", &tcp], &tcp, "--bind or TESTAPI_BIND");
    let any = "127.0.0.1:0";
    for (flag, taken) in [
        ("--receiver-bind", &tcp),
        ("--dogstatsd-bind", &udp),
        ("--page-bind", &tcp),
    ] {
        let mut args = vec!["agent"];
        for other in ["--receiver-bind", "--dogstatsd-bind", "--page-bind"] {
            args.extend([other, if other == flag { taken } else { any }]);
        }
        check(&args, taken, flag);
    }
}

/// No room for the stack of any thread is what a process at its limit sees.
#[test]
fn a_system_without_another_thread_is_an_error_and_no_panic() {
    for args in [
        &["--bind", "127.0.0.1:0"][..],
        &["agent", "--receiver-bind", "127.0.0.1:0"],
    ] {
        let mut command = Command::new(Program::PATH);
        let stack = (1_u64 << 47).to_string();
        command.env_clear().env("RUST_MIN_STACK", stack).args(args);
        let Output { status, stderr, .. } = command.output().unwrap();
        let text = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("cannot start a thread"), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

/// A pipe that is full before the program starts, and that nobody reads.
#[test]
fn a_stderr_that_nobody_reads_keeps_no_signal_away() {
    let (_reader, mut full) = std::io::pipe().unwrap();
    let filler = full.try_clone().unwrap();
    full.write_all(&[b'x'; 64 << 10]).unwrap();
    let mut child = Command::new(Program::PATH)
        .args(["--bind", "127.0.0.1:0"])
        .env_clear()
        .env("TESTAPI_LOG_STDOUT", "false")
        .env("DD_TRACE_ENABLED", "false")
        .stderr(filler)
        .spawn()
        .unwrap();
    // It watches for signals from its first steps on; the line about its address comes after.
    Until::new(DEADLINE).some("the API listens", || listens(child.id()));
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let code = Until::new(DEADLINE).some("the end of the program", || child.try_wait().unwrap());
    assert_eq!(code.code(), Some(0));
}

/// Whether one of the process's sockets listens.
fn listens(id: u32) -> Option<()> {
    const LISTEN: &str = "0A";
    let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).ok()?;
    let listening = table.lines().filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        (fields.get(3) == Some(&LISTEN)).then(|| format!("socket:[{}]", fields[9]))
    });
    let listening: Vec<String> = listening.collect();
    let own = std::fs::read_dir(format!("/proc/{id}/fd")).ok()?;
    let own = own.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    own.into_iter().find_map(|link| {
        listening
            .contains(&link.to_str()?.to_string())
            .then_some(())
    })
}

#[test]
fn a_value_that_is_no_text_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let value = std::ffi::OsStr::from_bytes(b"/tmp/caf\xe9.json");
    let told = Command::new(Program::PATH)
        .args(["--bind", "no address"])
        .env_clear()
        .env("TESTAPI_LOG_FILE", value)
        .env("NOT_OURS", value)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    let lines: Vec<String> = told.lines().map(for_a_person).collect();
    assert_eq!(
        lines[0],
        "testapi: TESTAPI_LOG_FILE: its value is not UTF-8, and is not read"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
}
