//! SIGHUP: with a log file it is opened anew, without one the signal ends the program as ever.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::support::{DEADLINE, FakeAgent, Folder, Program, Until, get};

fn hang_up(id: u32) {
    let id = id.to_string();
    let kill = Command::new("kill").args(["-HUP", &id]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn a_log_that_was_moved_is_opened_anew_and_the_program_serves_on() {
    let (agent, folder) = (FakeAgent::start(), Folder::new());
    let (file, moved) = (folder.file("a.json"), folder.file("a.json.1"));
    let mut env = agent.env();
    let path = file.to_str().unwrap().to_string();
    env.push(("TESTAPI_LOG_FILE".to_string(), path));
    let program = Program::serve(&env);
    let to = program.address();
    let reopened = || {
        let health = get(to, "/health").json();
        health["log"]["file_reopened"].as_u64().unwrap()
    };
    assert_eq!(reopened(), 0);
    hang_up(program.id());
    // The file is where it was, so only the signal can be why.
    let until = Until::new(DEADLINE);
    until.some("the file opened anew", || (reopened() == 1).then_some(()));
    fs::rename(&file, &moved).unwrap();
    hang_up(program.id());
    until.some("a new file", || file.exists().then_some(()));
    assert_eq!(get(to, "/logging/error").status, 200);
    assert_eq!(program.terminate().code, Some(0));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("a record at level error"), "{text}");
    let before = fs::read_to_string(&moved).unwrap();
    assert!(before.contains("listening on"), "{before}");
}

#[test]
fn without_a_log_file_a_closed_terminal_ends_the_program() {
    let agent = FakeAgent::start();
    let mut command = Command::new(Program::PATH);
    command
        .args(["--bind", "127.0.0.1:0"])
        .env_clear()
        .envs(agent.env())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Its first line: it is up, and has set the handlers that it sets.
    let mut first = [0];
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut stdout, &mut first).unwrap();
    hang_up(child.id());
    assert_eq!(child.wait().unwrap().signal(), Some(1));
}
