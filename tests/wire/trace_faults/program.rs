//! Rows of the real program: 1, 14, 18, 19, 22, 23 and 25.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;

use testapi::agent::decode::Span;

use super::{chunks, nobody};
use crate::support::{Act, Actor, DEADLINE, Folder, Program, Until, ask, env_of, get, try_ask};

/// Settings that lead to this Agent, and a place where nobody reads metrics.
struct Surroundings {
    env: Vec<(String, String)>,
    _metrics: UdpSocket,
}

fn around(agent: SocketAddr, more: &[(&str, &str)]) -> Surroundings {
    let metrics = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut env = env_of((metrics.local_addr().unwrap(), agent));
    env.extend(
        more.iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    );
    Surroundings {
        env,
        _metrics: metrics,
    }
}

/// Only the end sends.
const RARELY: (&str, &str) = ("DD_TRACE_WRITER_INTERVAL_SECONDS", "60");
const OFTEN: (&str, &str) = ("DD_TRACE_WRITER_INTERVAL_SECONDS", "0.05");

fn signal(program: &Program, name: &str) {
    let id = program.id().to_string();
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(kill.unwrap().success());
}

fn spans(agent: &Actor) -> Vec<Span> {
    let payloads = agent.payloads();
    payloads
        .iter()
        .flat_map(|scene| chunks(&scene.request))
        .flatten()
        .collect()
}

/// It is told once, in the words that people search for, however many requests are served meanwhile.
#[test]
fn row_01_a_program_without_an_agent_serves_and_says_so_once() {
    let place = nobody("127.0.0.13");
    let around = around(place, &[OFTEN]);
    let program = Program::serve(&around.env);
    let to = program.address();
    for _ in 0..50 {
        assert_eq!(get(to, "/health").status, 200);
    }
    let start =
        format!("testapi: DATADOG TRACER DIAGNOSTICS Agent not reachable: http://{place}: ");
    program.wait_for(&start);
    let ended = program.terminate();
    let told = ended
        .stderr
        .iter()
        .filter(|line| line.contains("DIAGNOSTICS"));
    assert_eq!(told.count(), 1, "{:#?}", ended.stderr);
    let last = ended.stderr.last().unwrap();
    assert!(last.contains("traces: 0 spans sent, 50 not sent"), "{last}");
}

/// One thread serves, and goes on to serve.
#[test]
fn row_14_a_handler_that_panics_costs_neither_its_thread_nor_its_span() {
    let agent = Actor::start();
    let around = around(agent.address(), &[RARELY]);
    let args = ["--bind", "127.0.0.1:0", "--workers", "1"];
    let program = Program::start(&args, &around.env);
    let to = program.address();
    for _ in 0..10 {
        assert_eq!(get(to, "/panic/").status, 500);
        assert_eq!(get(to, "/health").status, 200);
    }
    assert_eq!(program.terminate().code, Some(0));
    let spans = spans(&agent);
    let of = |resource: &str| {
        let of = spans.iter().filter(|span| span.resource == resource);
        of.map(|span| (span.error, span.tag("error.type"), span.parent_id))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("GET /panic/"), [(1, "panic", 0); 10]);
    assert_eq!(of("GET /health"), [(0, "", 0); 10]);
}

/// `main` returns in the end. After `process::exit` nothing can be sent, by any tracer.
#[test]
fn row_18_a_signal_while_the_agent_hangs_ends_the_program_and_says_what_was_left() {
    for name in ["TERM", "INT"] {
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let around = around(hung.local_addr().unwrap(), &[RARELY]);
        let program = Program::serve(&around.env);
        let to = program.address();
        for _ in 0..3 {
            assert_eq!(get(to, "/trace/nested/2").status, 200);
        }
        signal(&program, name);
        let ended = program.end();
        assert_eq!(ended.code, Some(1), "{name}: {:#?}", ended.stderr);
        let last = ended.stderr.last().unwrap();
        let expected = "testapi: stopped, but traces: 0 spans sent, 9 not sent";
        assert!(last.starts_with(expected), "{name}: {last}");
    }
}

/// A request that takes its time holds the end up; nobody has to wait for it.
#[test]
fn row_18_a_second_signal_ends_the_program_at_once() {
    for [first, second] in [["TERM", "INT"], ["INT", "TERM"], ["INT", "INT"]] {
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let around = around(hung.local_addr().unwrap(), &[RARELY]);
        let program = Program::serve(&around.env);
        let to = program.address();
        assert_eq!(get(to, "/health").status, 200);
        let mut slow = TcpStream::connect(to).unwrap();
        slow.write_all(b"GET /slow/10000 HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        signal(&program, first);
        let gone = || TcpStream::connect(to).is_err().then_some(());
        Until::new(DEADLINE).some("a port that is closed", gone);
        signal(&program, second);
        let ended = program.end();
        assert_eq!(
            ended.code,
            Some(130),
            "{first}, {second}: {:#?}",
            ended.stderr
        );
        assert!(
            !ended.stderr.iter().any(|line| line.contains("stopped")),
            "{:#?}",
            ended.stderr
        );
    }
}

/// A process that is stopped and continued finds calls on its sockets interrupted (signal(7), EINTR), also
/// half way through an answer. It looks at its deadline and goes on: nothing is lost, nothing sent twice.
#[test]
fn row_19_a_program_that_is_interrupted_in_every_call_loses_nothing() {
    const REQUESTS: usize = 60;
    let agent = Actor::start();
    let answer = "HTTP/1.1 200 OK\r\nX-Slow: yes\r\nContent-Length: 2\r\n\r\n{}";
    (0..REQUESTS).for_each(|_| agent.play(Act::Drip(answer.into())));
    let patience = ("DD_TRACE_AGENT_TIMEOUT_SECONDS", "60");
    let around = around(agent.address(), &[OFTEN, patience]);
    let program = Program::serve(&around.env);
    let to = program.address();
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            for number in 0..REQUESTS {
                assert_eq!(get(to, &format!("/health?{number}")).status, 200);
            }
        });
        for stops in 0.. {
            if client.is_finished() && stops >= 40 && spans(&agent).len() >= REQUESTS {
                break;
            }
            assert!(
                stops < 2_000,
                "{} of {REQUESTS} arrived",
                spans(&agent).len()
            );
            signal(&program, "STOP");
            signal(&program, "CONT");
        }
    });
    let ended = program.terminate();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.stderr);
    let mut urls: Vec<String> = spans(&agent)
        .iter()
        .map(|s| s.tag("http.url").into())
        .collect();
    urls.sort_unstable();
    let mut expected: Vec<String> = (0..REQUESTS)
        .map(|number| format!("http://{to}/health?{number}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(urls, expected, "each once");
}

/// Bytes as they are; what comes back, if anything does.
fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // It may be refused before it is all there.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn row_22_row_23_a_program_that_is_sent_nonsense_serves_on_and_sends_texts() {
    let agent = Actor::start();
    let around = around(agent.address(), &[RARELY]);
    let program = Program::serve(&around.env);
    let to = program.address();
    let end = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for target in [
        &b"/health?\xff\xfe"[..],
        b"/health?\0",
        b"/\xf0\x9f\xa6",
        b"/status/%ff%00",
    ] {
        raw(to, &[b"GET ", target, b" ", end.as_bytes()].concat());
        assert_eq!(get(to, "/health").status, 200, "{}", target.escape_ascii());
    }
    for (name, value) in [
        ("traceparent", "0".repeat(1 << 20)),
        ("tracestate", "a=b,".repeat(1 << 18)),
        ("baggage", (0..1_000).map(|n| format!("k{n}=v,")).collect()),
        ("x-datadog-tags", "_dd.p.x=y,".repeat(1_000)),
    ] {
        raw(
            to,
            format!(
                "GET /health HTTP/1.1\r\n{name}: {value}\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            .as_bytes(),
        );
        assert_eq!(get(to, "/health").status, 200, "{name}");
    }
    let evil = [
        (
            "traceparent",
            "00-640cfd8d00000000abcdefab12345678-abcdefab12345678-01",
        ),
        ("baggage", "a=1%0d%0aX-Evil:%201"),
    ];
    let reply = ask(to, "GET /trace/downstream HTTP/1.1", &evil, b"");
    assert_eq!(reply.status, 200);
    assert_eq!(program.terminate().code, Some(0));
    let spans = spans(&agent);
    let ours = spans
        .iter()
        .filter(|span| span.trace_id == 0xabcd_efab_1234_5678);
    assert!(
        ours.count() >= 3,
        "the call, what it called, and the call of that"
    );
    let texts = spans
        .iter()
        .flat_map(|span| [span.tag("http.url"), &span.resource]);
    texts.for_each(|text| assert!(text.len() < 1 << 15, "{text:.80}"));
}

/// A full disk, a closed descriptor, a reader that has gone: what cannot be said is not said.
#[test]
fn row_25_a_program_whose_stdout_and_stderr_take_nothing_serves_and_traces() {
    let folder = Folder::new();
    for (number, (rule, streams)) in [
        ("full", "exec >/dev/full 2>/dev/full"),
        ("closed", "exec >&- 2>&-"),
        (
            "nobody reads",
            "mkfifo \"$2\"; exec 3<>\"$2\"; exec >\"$2\" 2>&1; exec 3<&-",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let agent = Actor::start();
        let place = nobody(&format!("127.0.0.{}", 14 + number));
        let around = around(agent.address(), &[RARELY, ("TESTAPI_LOG_STDOUT", "true")]);
        let mut command = Command::new("/bin/sh");
        let script = format!("{streams}; exec \"$0\" --bind \"$1\"");
        command.args(["-c", &script, Program::PATH, &place.to_string()]);
        command.arg(folder.file("fifo"));
        let program = Program::run(command, &around.env);
        let health = || try_ask(place, "GET /health HTTP/1.1", (&[], b""), DEADLINE).ok();
        let reply = Until::new(DEADLINE).some(rule, health);
        assert_eq!(reply.status, 200, "{rule}");
        for _ in 0..20 {
            assert_eq!(get(place, "/logging/critical").status, 200, "{rule}");
            assert_eq!(get(place, "/panic/").status, 500, "{rule}");
        }
        // Lines of the log that were lost are no clean end, but an end.
        let code = program.terminate().code;
        assert!(matches!(code, Some(0 | 1)), "{rule}: {code:?}");
        assert_eq!(spans(&agent).len(), 41, "{rule}");
    }
}
