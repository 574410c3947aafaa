//! Without an Agent: the API serves, says so once, and loses nothing that it can hold.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use testapi::agent::decode::traces_v04;

use crate::support::{FakeAgent, Program, Seen, env_of, get};

/// Addresses that were free a moment ago. A loopback address of this test's own, so that no other
/// socket of the machine is given one of these ports meanwhile.
fn nobody(host: &str) -> (SocketAddr, SocketAddr) {
    let udp = UdpSocket::bind((host, 0)).unwrap();
    let http = TcpListener::bind((host, 0)).unwrap();
    (udp.local_addr().unwrap(), http.local_addr().unwrap())
}

fn env(agent: (SocketAddr, SocketAddr)) -> Vec<(String, String)> {
    let mut env = env_of(agent);
    env.push(("DD_TRACE_WRITER_INTERVAL_SECONDS".into(), "0.05".into()));
    env
}

fn unreachable(stderr: &[String]) -> Vec<&String> {
    let told = stderr.iter().filter(|l| l.contains("agent unreachable"));
    told.collect()
}

fn urls(seen: &Seen) -> Vec<String> {
    let chunks = seen.payloads().flat_map(|p| traces_v04(&p.body).unwrap());
    let urls = chunks.map(|chunk| chunk[0].tag("http.url").to_string());
    urls.collect()
}

#[test]
fn spans_wait_for_an_agent_that_comes_later() {
    let free = nobody("127.0.0.2");
    let program = Program::serve(&env(free));
    let to = program.address();
    program.wait_for("testapi: agent unreachable");
    for number in 0..20 {
        assert_eq!(get(to, &format!("/health?before={number}")).status, 200);
    }
    let agent = FakeAgent::at(free);
    assert_eq!(get(to, "/health?after").status, 200);
    program.wait_for("testapi: agent reachable");
    let last = format!("http://{to}/health?after");
    let arrived = agent.wait_for("both sorts of spans", |seen| {
        let urls = urls(seen);
        (urls.len() >= 21).then_some(urls)
    });
    for number in 0..20 {
        let url = format!("http://{to}/health?before={number}");
        assert_eq!(arrived.iter().filter(|u| **u == url).count(), 1, "{url}");
    }
    assert_eq!(arrived.iter().filter(|u| **u == last).count(), 1);
    let stderr = program.terminate().stderr;
    assert_eq!(unreachable(&stderr).len(), 1, "{stderr:#?}");
    assert_eq!(urls(&agent.seen()).len(), 21, "none twice");
}

#[test]
fn who_never_finds_an_agent_says_what_was_left() {
    let free = nobody("127.0.0.3");
    let program = Program::serve(&env(free));
    let to = program.address();
    let told = program.wait_for("testapi: agent unreachable: ");
    assert!(told.contains(&free.1.to_string()), "{told}");
    assert!(told.contains("DD_AGENT_HOST"), "{told}");
    for _ in 0..3 {
        assert_eq!(get(to, "/trace/nested/2").status, 200);
    }
    let health = get(to, "/health").json();
    assert_eq!(health["status"], "ok", "telemetry is not the service");
    let ended = program.terminate();
    assert_eq!(ended.code, Some(1));
    assert_eq!(unreachable(&ended.stderr).len(), 1, "{:#?}", ended.stderr);
    let last = ended.stderr.last().unwrap();
    assert!(
        last.starts_with("testapi: stopped, but traces: 0 spans sent, 10 not sent"),
        "{last}"
    );
}
