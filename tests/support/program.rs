//! The real program as a child process: its environment is what the test says, its stderr is read.
//!
//! Nobody sits at a terminal here, so stderr is lines of JSON; a test sees what a person would: `testapi: `
//! and the message.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::{DEADLINE, Until};

pub(crate) struct Program {
    child: Child,
    told: Arc<Told>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: Vec<String>,
    /// The lines as they came.
    pub(crate) raw: Vec<String>,
}

/// What a person would be told by this line.
#[track_caller]
pub(crate) fn for_a_person(line: &str) -> String {
    let json: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    let message = json["message"].as_str().expect("every line has a message");
    format!("testapi: {message}")
}

#[derive(Default)]
struct Told {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<String>,
    raw: Vec<String>,
    closed: bool,
}

impl Program {
    /// The path of the program under test.
    pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_testapi");

    pub(crate) fn start(args: &[&str], env: &[(String, String)]) -> Program {
        let mut command = Command::new(Program::PATH);
        command.args(args);
        Program::run(command, env)
    }

    /// The API on a port of the system's choice, silent on stdout.
    pub(crate) fn serve(env: &[(String, String)]) -> Program {
        Program::start(&["--bind", "127.0.0.1:0"], env)
    }

    pub(crate) fn run(mut command: Command, env: &[(String, String)]) -> Program {
        command
            .env_clear()
            .env("TESTAPI_LOG_STDOUT", "false")
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let told = Arc::new(Told::default());
        let (stderr, to) = (child.stderr.take().unwrap(), told.clone());
        let reader = thread::Builder::new().name("stderr".to_string());
        reader
            .spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut lines = to.lines.lock().unwrap();
                    // What is no line of ours is seen as it is, by the test that must fail of it.
                    let seen = match line.starts_with('{') {
                        true => for_a_person(&line),
                        false => line.clone(),
                    };
                    lines.all.push(seen);
                    lines.raw.push(line);
                    drop(lines);
                    to.changed.notify_all();
                }
                to.lines.lock().unwrap().closed = true;
                to.changed.notify_all();
            })
            .unwrap();
        Program { child, told }
    }

    /// What follows `prefix` in the first line of stderr that begins so.
    #[track_caller]
    pub(crate) fn wait_for(&self, prefix: &str) -> String {
        self.wait(prefix, |lines| {
            let mut rests = lines
                .all
                .iter()
                .filter_map(|line| line.strip_prefix(prefix));
            rests.next().map(str::to_string)
        })
    }

    /// Where the API listens.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.wait_for("testapi: listening on http://");
        url.parse().unwrap()
    }

    pub(crate) fn stderr(&self) -> Vec<String> {
        self.told.lines.lock().unwrap().all.clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, then the end.
    #[track_caller]
    pub(crate) fn terminate(self) -> Ended {
        let id = self.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(kill.success());
        self.end()
    }

    /// Waits for the end; a closed stderr announces it.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        self.wait("the end of the program", |lines| lines.closed.then_some(()));
        Ended {
            code: self.child.wait().unwrap().code(),
            stderr: self.stderr(),
            raw: self.told.lines.lock().unwrap().raw.clone(),
        }
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, look: impl Fn(&Lines) -> Option<T>) -> T {
        let until = Until::new(DEADLINE);
        let mut lines = self.told.lines.lock().unwrap();
        loop {
            if let Some(found) = look(&lines) {
                return found;
            }
            let left = until.left();
            let vain = left.is_zero() || lines.closed;
            assert!(!vain, "in vain: {what}; stderr: {:#?}", lines.all);
            lines = self.told.changed.wait_timeout(lines, left).unwrap().0;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
