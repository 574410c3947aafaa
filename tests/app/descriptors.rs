//! Out of file descriptors: the server comes back when clients go.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::{DEADLINE, FakeAgent, Program, Until, get, try_ask};

const LIMIT: usize = 48;

#[test]
fn a_server_that_ran_out_of_descriptors_answers_again() {
    let agent = FakeAgent::start();
    let mut command = Command::new("/bin/sh");
    let script = format!("ulimit -n {LIMIT}; exec \"$0\" --bind 127.0.0.1:0 --workers 4");
    command.args(["-c", &script, Program::PATH]);
    let program = Program::run(command, &agent.env());
    let to = program.address();
    assert_eq!(get(to, "/health").status, 200);
    let until = Until::new(DEADLINE);
    // Several times: which call is the first to find none left differs, and so does what breaks.
    for round in 1..=5 {
        fill_and_leave(&program, &until);
        let brief = Duration::from_millis(500);
        let ask = || try_ask(to, "GET /health HTTP/1.1", (&[], b""), brief).ok();
        let reply = until.some(&format!("an answer after crowd {round}"), ask);
        assert_eq!(reply.status, 200);
    }
    // And not by chance: it goes on as before.
    for _ in 0..LIMIT {
        assert_eq!(get(to, "/health").status, 200);
    }
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
}

/// Opens more connections than the program can take; the kernel keeps the rest waiting.
fn fill_and_leave(program: &Program, until: &Until) {
    let connect = || TcpStream::connect(program.address()).unwrap();
    let crowd: Vec<TcpStream> = (0..2 * LIMIT).map(|_| connect()).collect();
    let open = format!("/proc/{}/fd", program.id());
    until.some("no descriptor left", || {
        let open = fs::read_dir(&open).unwrap().count();
        (open >= LIMIT - 2).then_some(())
    });
    drop(crowd);
}
