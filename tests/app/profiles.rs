//! Profiles from outside: what the program says of itself while it works, read back by the agent's decoders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use testapi::agent::decode::{
    Profile, ProfileEvent, ProfileSample, multipart, pprof, profile_event, traces_v04,
};
use testapi::agent::lint::{ProfileUpload, lint_profile};

use crate::support::{DEADLINE, FakeAgent, Folder, Program, Received, Seen, Until, get};

const ROUTE: &str = "GET /cpu/{ms}";

/// One upload, decoded.
struct Upload {
    event: ProfileEvent,
    profile: Profile,
    /// The attachment as it came.
    bytes: Vec<u8>,
}

/// One sample in words.
#[derive(Clone, Debug, Default)]
struct Look {
    thread: String,
    span_id: u64,
    root_id: u64,
    endpoint: Option<String>,
    cpu_ns: i64,
    wall_ns: i64,
    /// Functions and their files, innermost first.
    frames: Vec<(String, String)>,
}

impl Look {
    fn is_of_api(&self) -> bool {
        self.thread.starts_with("api-")
    }

    fn stands_in(&self, function: &str) -> bool {
        self.frames.iter().any(|(name, _)| name.contains(function))
    }
}

fn is_upload(request: &&Received) -> bool {
    request.head.starts_with("POST /profiling/v1/input ")
}

/// Takes an upload apart; whatever is wrong with it fails the test.
#[track_caller]
fn read(request: &Received) -> Upload {
    let content_type = request.header("Content-Type").unwrap();
    let parts = multipart(content_type, &request.body).unwrap();
    let names: Vec<&str> = parts.iter().map(|part| &*part.filename).collect();
    assert_eq!(names, ["event.json", "profile.pprof"]);
    let [event, profile] = [0, 1].map(|at| &request.body[parts[at].range.clone()]);
    let upload = Upload {
        event: profile_event(event).unwrap(),
        profile: pprof(profile).unwrap(),
        bytes: profile.to_vec(),
    };
    let findings = lint_profile(&ProfileUpload {
        event: &upload.event,
        attached: &names[1..],
        profiles: &[(names[1], &upload.profile)],
    });
    assert_eq!(findings, [""; 0]);
    upload
}

/// Each once: one that was under way when the program was told to end is sent again with the last, whether or not the
/// agent has had it.
fn uploads(seen: &Seen) -> Vec<Upload> {
    let mut bodies = BTreeSet::new();
    let requests = seen.requests.iter().filter(is_upload);
    let once = requests.filter(|request| bodies.insert(&request.body));
    once.map(read).collect()
}

fn looks(uploads: &[Upload]) -> Vec<Look> {
    let all = uploads
        .iter()
        .flat_map(|Upload { profile, .. }| profile.samples().map(|sample| look(profile, sample)));
    all.collect()
}

fn look(profile: &Profile, sample: ProfileSample<'_>) -> Look {
    let text = |at| profile.text(at).to_string();
    let types = profile.sample_types.iter().map(|kind| text(kind.name));
    assert!(types.eq(["cpu-samples", "cpu-time", "wall-time"]));
    let mut look = Look {
        cpu_ns: sample.values[1],
        wall_ns: sample.values[2],
        ..Look::default()
    };
    for label in sample.labels {
        // An id over 2^63 is a negative number there.
        let number = label.number.cast_unsigned();
        match profile.text(label.key) {
            "thread name" => look.thread = text(label.text),
            "span id" => look.span_id = number,
            "local root span id" => look.root_id = number,
            "trace endpoint" => look.endpoint = Some(text(label.text)),
            key => assert_eq!(key, "thread id"),
        }
    }
    for at in sample.stack {
        for line in profile.lines_of(&profile.locations[*at as usize]) {
            let function = &profile.functions[line.function as usize];
            look.frames.push((text(function.name), text(function.file)));
        }
    }
    look
}

/// Profiles go to this agent too, a few a second.
fn env(agent: &FakeAgent, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let usual = [
        ("DD_PROFILING_ENABLED", "true"),
        ("DD_PROFILING_UPLOAD_INTERVAL", "0.3"),
        ("DD_TRACE_WRITER_INTERVAL_SECONDS", "0.05"),
    ];
    let mut env = agent.env();
    let said = usual.iter().chain(more);
    env.extend(said.map(|(name, value)| (name.to_string(), value.to_string())));
    env
}

#[track_caller]
fn burn(program: &Program, ms: u32) {
    let reply = get(program.address(), &format!("/cpu/{ms}"));
    assert_eq!(reply.status, 200);
}

/// Waits for a sample of a request's own work with its name.
#[track_caller]
fn wait_for_work(agent: &FakeAgent) {
    agent.wait_for("a sample of work by name", |seen| {
        let looks = looks(&uploads(seen));
        let named = |look: &Look| look.stands_in("burn_cpu") && look.endpoint.is_some();
        looks.iter().any(named).then_some(())
    });
}

#[track_caller]
fn ends_well(program: Program) {
    let ended = program.terminate();
    let last = ended.stderr.last().map(String::as_str);
    let all_was_sent = "testapi: stopped: everything was sent";
    assert_eq!(
        (ended.code, last),
        (Some(0), Some(all_was_sent)),
        "{:#?}",
        ended.stderr
    );
}

/// Every span that arrived, with the local root of its trace.
fn roots_of_spans(seen: &Seen) -> HashMap<u64, u64> {
    let chunks = seen
        .payloads()
        .filter(|request| request.head.contains("/v0.4/traces "))
        .flat_map(|request| traces_v04(&request.body).unwrap());
    let pairs = chunks.flat_map(|chunk| {
        let root = chunk[0].span_id;
        chunk.into_iter().map(move |span| (span.span_id, root))
    });
    pairs.collect()
}

#[test]
fn work_is_found_by_function_thread_span_and_route() {
    let agent = FakeAgent::start();
    let program = Program::serve(&env(&agent, &[("DD_SERVICE", "shop"), ("DD_ENV", "dev")]));
    program.wait_for("testapi: agent reachable");
    for _ in 0..3 {
        burn(&program, 150);
    }
    wait_for_work(&agent);
    assert_eq!(get(program.address(), "/status/404").status, 404);
    ends_well(program);

    let seen = agent.seen();
    let (uploads, roots) = (uploads(&seen), roots_of_spans(&seen));
    let looks = looks(&uploads);
    let work: Vec<&Look> = looks
        .iter()
        .filter(|look| look.stands_in("burn_cpu") && look.endpoint.is_some())
        .collect();
    assert!(work.iter().any(|look| look.cpu_ns > 0), "{work:#?}");
    for look in &work {
        assert!(look.is_of_api(), "{look:#?}");
        assert_eq!(look.endpoint.as_deref(), Some(ROUTE), "{look:#?}");
        let (_, file) = look
            .frames
            .iter()
            .find(|(name, _)| name.ends_with("burn_cpu"))
            .unwrap();
        assert!(file.ends_with("src/api/handlers/load.rs"), "{file}");
    }
    let tied = looks.iter().filter(|look| look.span_id != 0);
    for look in tied {
        assert_eq!(roots.get(&look.span_id), Some(&look.root_id), "{look:#?}");
    }
    let mut endpoints: BTreeMap<&str, u64> = BTreeMap::new();
    for (endpoint, count) in uploads.iter().flat_map(|upload| &upload.event.endpoints) {
        *endpoints.entry(endpoint).or_default() += count;
    }
    let expected = BTreeMap::from([(ROUTE, 3), ("GET /status/{code}", 1)]);
    assert_eq!(endpoints, expected, "as many as were asked for");
    let event = &uploads[0].event;
    assert_eq!((event.tag("service"), event.tag("env")), ("shop", "dev"));
}

#[test]
fn threads_that_wait_have_wall_time_and_no_cpu_time() {
    let agent = FakeAgent::start();
    let mut env = env(&agent, &[]);
    env.push(("TESTAPI_WORKERS".into(), "4".into()));
    let program = Program::serve(&env);
    let waiting = |seen: &Seen| {
        let looks = looks(&uploads(seen)).into_iter();
        let idle = looks.filter(|look| look.is_of_api() && look.wall_ns > 0 && look.cpu_ns == 0);
        let idle: BTreeSet<String> = idle.map(|look| look.thread).collect();
        let pool = ["api-0", "api-1", "api-2", "api-3"];
        pool.iter().all(|name| idle.contains(*name)).then_some(())
    };
    agent.wait_for("a pool that waits", waiting);
    ends_well(program);
}

#[test]
fn the_last_profile_leaves_with_the_program() {
    let agent = FakeAgent::start();
    let program = Program::serve(&env(&agent, &[("DD_PROFILING_UPLOAD_INTERVAL", "3600")]));
    burn(&program, 200);
    ends_well(program);
    let uploads = uploads(&agent.seen());
    let [upload] = &uploads[..] else {
        panic!("{} uploads", uploads.len());
    };
    assert_eq!(upload.event.endpoints, [(ROUTE.to_string(), 1)]);
    let looks = looks(&uploads);
    let is_work = |look: &&Look| look.is_of_api() && look.cpu_ns > 0;
    let work: i64 = looks.iter().filter(is_work).map(|look| look.cpu_ns).sum();
    assert!(work > 0, "{looks:#?}");
}

#[test]
fn files_are_what_was_sent() {
    let (agent, folder) = (FakeAgent::start(), Folder::new());
    let folder = folder.file("profiles");
    let to = ("DD_PROFILING_OUTPUT_DIR", folder.to_str().unwrap());
    let program = Program::serve(&env(&agent, &[to, ("DD_SERVICE", "a/b")]));
    let process_id = program.id();
    agent.wait_for("two profiles", |seen| {
        (seen.requests.iter().filter(is_upload).count() >= 2).then_some(())
    });
    ends_well(program);
    let sent = uploads(&agent.seen());
    let count = sent.len();
    let written = |at: usize| folder.join(format!("a_b-{process_id}-{at}.pprof"));
    let files: BTreeSet<Vec<u8>> = (0..count)
        .map(|at| fs::read(written(at)).unwrap())
        .collect();
    let sent: BTreeSet<Vec<u8>> = sent.into_iter().map(|upload| upload.bytes).collect();
    assert!(files == sent, "not the same bytes");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), count);
}

/// What `/health` says of the exporter of profiles.
#[track_caller]
fn ledger(program: &Program) -> Value {
    let health = get(program.address(), "/health").json();
    health["exporters"]["profiles"].clone()
}

#[test]
fn without_an_agent_requests_are_served_and_profiles_counted() {
    let agent = FakeAgent::start();
    // Free a moment ago, on a loopback address of this test's own.
    let nobody = TcpListener::bind("127.0.0.3:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let program = Program::serve(&env(
        &agent,
        &[
            ("DD_PROFILING_URL", &url),
            ("DD_PROFILING_UPLOAD_INTERVAL", "0.1"),
        ],
    ));
    let until = Until::new(DEADLINE);
    let told = until.some("profiles given up", || {
        burn(&program, 1);
        let told = ledger(&program);
        told["dropped"]["unreachable"].as_u64().map(|_| told)
    });
    assert_eq!(told["sent"], 0);
    let error = told["error"].as_str().unwrap();
    assert!(error.contains(url.trim_start_matches("http://")), "{error}");
    let ended = program.terminate();
    let last = ended.stderr.last().unwrap();
    assert_eq!(ended.code, Some(1), "{:#?}", ended.stderr);
    let lost = "testapi: stopped, but profiles: 0 samples sent, ";
    assert!(
        last.starts_with(lost) && last.contains(" unreachable"),
        "{last}"
    );
}

#[test]
fn what_the_agent_refuses_is_told_and_counted() {
    #[track_caller]
    fn check(rule: &str, answer: &str, told: &str) {
        let (agent, profiles) = (FakeAgent::start(), FakeAgent::start());
        let url = format!("http://{}", profiles.addresses().1);
        profiles.answer_next(answer);
        let program = Program::serve(&env(&agent, &[("DD_PROFILING_URL", &url)]));
        let said = program.wait_for(&format!("testapi: profiles: the agent at {url} "));
        assert_eq!(said, told, "{rule}");
        // The next one is taken all the same.
        profiles.wait_for("another profile", |seen| {
            (seen.requests.len() >= 2).then_some(())
        });
        assert_eq!(get(program.address(), "/status/200").status, 200, "{rule}");
        let dropped = &ledger(&program)["dropped"];
        assert!(dropped["refused"].as_u64() > Some(0), "{rule}: {dropped}");
        assert_eq!(dropped["unreachable"], Value::Null, "{rule}");
        let ended = program.terminate();
        let last = ended.stderr.last().unwrap();
        assert_eq!(ended.code, Some(1), "{rule}: {:#?}", ended.stderr);
        assert!(last.contains(" refused"), "{rule}: {last}");
    }
    check(
        "too old",
        "404 Not Found\r\n\r\n404 page not found\n",
        "takes no profiles at /profiling/v1/input: it answered 404; agents do from version 7.20 on",
    );
    check(
        "too large",
        "413 Too Large\r\n\r\ntoo\nlarge",
        "refused a profile with 413: \"too large\"",
    );
}

#[test]
fn what_the_agent_was_not_well_for_is_sent_once_more() {
    let (agent, profiles) = (FakeAgent::start(), FakeAgent::start());
    let url = format!("http://{}", profiles.addresses().1);
    profiles.answer_next("500 Oh\r\n\r\n");
    let program = Program::serve(&env(&agent, &[("DD_PROFILING_URL", &url)]));
    let seen = profiles.wait_for("the same profile again", |seen| {
        let first = seen.requests.first()?;
        let same = seen
            .requests
            .iter()
            .filter(|other| other.body == first.body);
        (same.count() == 2).then(|| seen.clone())
    });
    assert!(!uploads(&seen).is_empty());
    ends_well(program);
}

#[test]
fn nothing_is_profiled_unasked() {
    #[track_caller]
    fn threads(env: &[(String, String)]) -> BTreeSet<String> {
        let program = Program::serve(env);
        burn(&program, 20);
        let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap();
        let names = tasks.map(|task| name(task.unwrap()).trim_end().to_string());
        let names = names.collect();
        ends_well(program);
        names
    }
    let agent = FakeAgent::start();
    let own =
        |names: &BTreeSet<String>| ["dd-stacks", "dd-profile"].map(|name| names.contains(name));
    for env in [
        agent.env(),
        env(&agent, &[("DD_PROFILING_ENABLED", "false")]),
    ] {
        let names = threads(&env);
        assert!(names.contains("dd-trace"), "{names:?}");
        assert_eq!(own(&names), [false, false], "{names:?}");
    }
    assert_eq!(agent.seen().requests.iter().filter(is_upload).count(), 0);
    let names = threads(&env(&agent, &[]));
    assert_eq!(own(&names), [true, true], "{names:?}");
}

#[test]
fn labels_that_nobody_wants_are_left_out() {
    #[track_caller]
    fn check(rule: &str, off: &[&str], (ids, endpoints): (bool, bool)) {
        let agent = FakeAgent::start();
        let off: Vec<(&str, &str)> = off.iter().map(|name| (*name, "false")).collect();
        let mut more = off.clone();
        more.push(("DD_PROFILING_UPLOAD_INTERVAL", "3600"));
        let program = Program::serve(&env(&agent, &more));
        burn(&program, 200);
        ends_well(program);
        let uploads = uploads(&agent.seen());
        let looks = looks(&uploads);
        let work: Vec<&Look> = looks
            .iter()
            .filter(|look| look.is_of_api() && look.cpu_ns > 0)
            .collect();
        assert!(!work.is_empty(), "{rule}");
        let any = |is: fn(&Look) -> bool| looks.iter().any(is);
        assert_eq!(any(|look| look.span_id != 0), ids, "{rule}");
        assert_eq!(any(|look| look.root_id != 0), ids, "{rule}");
        assert_eq!(any(|look| look.endpoint.is_some()), endpoints, "{rule}");
        let counts = &uploads[0].event.endpoints;
        assert_eq!(!counts.is_empty(), endpoints, "{rule}: {counts:?}");
    }
    const IDS: &str = "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED";
    const ENDPOINTS: &str = "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED";
    check("both", &[], (true, true));
    check("no ids", &[IDS], (false, true));
    check("no endpoints", &[ENDPOINTS], (true, false));
    check("neither", &[IDS, ENDPOINTS], (false, false));
}

#[test]
fn signals_of_others_do_nothing() {
    let agent = FakeAgent::start();
    let program = Program::serve(&env(&agent, &[]));
    let to = program.address();
    let id = program.id().to_string();
    // The shell's own `kill`, so that they come close upon one another.
    let many = "n=0; while [ $n -lt 5000 ]; do kill -PROF $0 || exit 1; n=$((n + 1)); done";
    let mut sender = Command::new("/bin/sh")
        .args(["-c", many, &id])
        .spawn()
        .unwrap();
    while sender.try_wait().unwrap().is_none() {
        assert_eq!(get(to, "/cpu/5").status, 200);
    }
    assert!(sender.wait().unwrap().success(), "all were sent");
    burn(&program, 150);
    wait_for_work(&agent);
    ends_well(program);
}
