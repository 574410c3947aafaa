//! Calls of the public client against a UDP socket: exact bytes, then the agent's reading of them.
//!
//! Source of the lines: Datadog docs, "DogStatsD datagram format and shell usage", and the names and
//! order of fields that datadog-go writes.

use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use testapi::agent::decode::{
    CheckStatus, Event as ReadEvent, Kind, Message, Metric, ServiceCheck as ReadCheck, Values,
    datagram,
};
use testapi::clock::Clock;
use testapi::dogstatsd::{
    self, Address, Alert, Cardinality, Client, Error, Event, Options, Priority, Sample,
    ServiceCheck, Status,
};
use testapi::identity::Identity;
use testapi::worker::Guard;

use crate::support::DEADLINE;

/// A client and the socket it sends to.
struct Pair {
    client: Client,
    agent: UdpSocket,
    _guard: Guard,
}

impl Pair {
    fn new(identity: &Identity, options: Options) -> Pair {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(DEADLINE)).unwrap();
        let options = Options {
            address: Address::Udp("127.0.0.1".into(), agent.local_addr().unwrap().port()),
            // Only what is asked for is sent: a tick would split what belongs together.
            flush_interval: Duration::from_secs(3_600),
            ..options
        };
        let (client, guard) = dogstatsd::start(options, identity, Clock::system()).unwrap();
        Pair {
            client,
            agent,
            _guard: guard,
        }
    }

    /// All datagrams that the client has sent by now.
    fn flushed(&self) -> Vec<Vec<u8>> {
        self.client.flush(DEADLINE).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let count = self.client.datagrams_sent();
        let mut receive = || {
            let bytes = self.agent.recv(&mut buffer).unwrap();
            buffer[..bytes].to_vec()
        };
        (0..count).map(|_| receive()).collect()
    }
}

fn nobody() -> Identity {
    Identity::default()
}

fn dev() -> Identity {
    Identity {
        env: "dev".into(),
        ..nobody()
    }
}

#[track_caller]
fn check(
    rule: &str,
    identity: &Identity,
    call: impl Fn(&Client) -> Result<(), Error>,
    (line, read): (&str, Message<'_>),
) {
    check_with(rule, (identity, Options::default()), call, (line, read));
}

#[track_caller]
fn check_with(
    rule: &str,
    (identity, options): (&Identity, Options),
    call: impl Fn(&Client) -> Result<(), Error>,
    (line, read): (&str, Message<'_>),
) {
    let pair = Pair::new(identity, options);
    // A sampled call loses the draw now and then.
    let drawn = || {
        let ledger = pair.client.ledger();
        ledger.offered > ledger.dropped.iter().map(|(_, count)| count).sum()
    };
    while !drawn() {
        call(&pair.client).expect(rule);
    }
    let sent = pair.flushed();
    assert_eq!(sent.len(), 1, "{rule}: one datagram");
    let text = str::from_utf8(&sent[0]).expect(rule);
    assert_eq!(text, format!("{line}\n"), "{rule}");
    let messages: Vec<_> = datagram(&sent[0]).collect();
    assert_eq!(messages, [Ok(read)], "{rule}");
}

fn metric<'a>(name: &'a str, kind: Kind, values: &[f64]) -> Metric<'a> {
    Metric {
        name,
        kind,
        values: Values::Numbers(values.to_vec()),
        rate: 1.0,
        tags: Vec::new(),
        container: None,
        external: None,
        timestamp: None,
        cardinality: None,
    }
}

fn one(name: &str, kind: Kind, value: f64) -> Message<'_> {
    Message::Metric(metric(name, kind, &[value]))
}

fn member<'a>(name: &'a str, member: &'a str) -> Message<'a> {
    Message::Metric(Metric {
        values: Values::Member(member),
        ..metric(name, Kind::Set, &[])
    })
}

#[test]
fn every_type_has_its_line() {
    let unified = Identity {
        service: "testapi".into(),
        version: "0.1".into(),
        ..dev()
    };
    let tagged = Metric {
        tags: vec!["env:dev", "service:testapi", "version:0.1"],
        ..metric("testapi.hits", Kind::Count, &[1.0])
    };
    check(
        "a count with the process's tags",
        &unified,
        |c| c.count("testapi.hits", 1, &[]),
        (
            "testapi.hits:1|c|#env:dev,service:testapi,version:0.1",
            Message::Metric(tagged),
        ),
    );
    check(
        "a negative count",
        &nobody(),
        |c| c.count("testapi.hits", -3, &[]),
        ("testapi.hits:-3|c", one("testapi.hits", Kind::Count, -3.0)),
    );
    let sampled = Metric {
        rate: 0.5,
        ..metric("testapi.size", Kind::Histogram, &[12.5])
    };
    check(
        "a sampled histogram",
        &nobody(),
        |c| c.offer(&Sample::histogram("testapi.size", 12.5).rate(0.5)),
        ("testapi.size:12.5|h|@0.5", Message::Metric(sampled)),
    );
    check(
        "1.5 s are 1,500 ms",
        &nobody(),
        |c| c.timing("op", Duration::from_millis(1_500), &[]),
        ("op:1500|ms", one("op", Kind::Timing, 1_500.0)),
    );
    check(
        "250 us are a quarter of one",
        &nobody(),
        |c| c.timing("op", Duration::from_micros(250), &[]),
        ("op:0.25|ms", one("op", Kind::Timing, 0.25)),
    );
    check(
        "values of one distribution share a line",
        &nobody(),
        |c| {
            let tags = [("route", "/a")];
            c.distribution("lat", 1.0, &tags)?;
            c.distribution("lat", 2.0, &tags)?;
            c.distribution("lat", 32.0, &tags)
        },
        (
            "lat:1:2:32|d|#route:/a",
            Message::Metric(Metric {
                tags: vec!["route:/a"],
                ..metric("lat", Kind::Distribution, &[1.0, 2.0, 32.0])
            }),
        ),
    );
}

#[test]
fn every_kind_of_number_has_its_digits() {
    for (rule, value, digits) in [
        ("shortest digits", 0.1, "0.1"),
        ("zero has no sign", -0.0, "0"),
        ("plain up to 1e21", 1e21, "1000000000000000000000"),
        ("an exponent above", 1e22, "1e22"),
        ("the greatest", f64::MAX, "1.7976931348623157e308"),
        ("the least", f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ("negative", -2.5, "-2.5"),
    ] {
        check(
            rule,
            &nobody(),
            |c| c.gauge("g1", value, &[]),
            (&format!("g1:{digits}|g"), one("g1", Kind::Gauge, value)),
        );
    }
    for value in [i64::MAX, i64::MIN] {
        check(
            "the ends of a count",
            &nobody(),
            |c| c.count("c1", value, &[]),
            (
                &format!("c1:{value}|c"),
                one("c1", Kind::Count, value as f64),
            ),
        );
    }
}

#[test]
fn members_are_text() {
    check(
        "a member may hold a colon",
        &nobody(),
        |c| c.set("visitors", "a:b", &[]),
        ("visitors:a:b|s", member("visitors", "a:b")),
    );
    check(
        "but neither pipe nor newline",
        &nobody(),
        |c| c.set("visitors", "x|y\nz", &[]),
        ("visitors:x_y_z|s", member("visitors", "x_y_z")),
    );
    check(
        "any script",
        &nobody(),
        |c| c.set("visitors", "\u{e9}\u{1f980}", &[]),
        (
            "visitors:\u{e9}\u{1f980}|s",
            member("visitors", "\u{e9}\u{1f980}"),
        ),
    );
}

#[test]
fn time_and_origin_have_their_fields() {
    check(
        "a count with its own time",
        &dev(),
        |c| c.offer(&Sample::count("hits", 15).at_unix_s(1_656_581_400)),
        (
            "hits:15|c|#env:dev|T1656581400",
            Message::Metric(Metric {
                tags: vec!["env:dev"],
                timestamp: Some(1_656_581_400),
                ..metric("hits", Kind::Count, &[15.0])
            }),
        ),
    );
    let id = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    let (entity, external) = (format!("ci-{id}"), "it-false,cn-web,pu-75a2b6d5");
    let contained = Identity {
        env: "dev".into(),
        container_id: Some(id.into()),
        entity_id: Some(entity.clone()),
        external_env: Some(external.into()),
        ..nobody()
    };
    let options = Options {
        cardinality: Some(Cardinality::Low),
        ..Options::default()
    };
    let all = Metric {
        tags: vec!["env:dev"],
        container: Some(&entity),
        external: Some(external),
        timestamp: Some(1),
        cardinality: Some("low"),
        ..metric("hits", Kind::Count, &[1.0])
    };
    check_with(
        "container, external data, time, cardinality, in this order",
        (&contained, options.clone()),
        |c| c.offer(&Sample::count("hits", 1).at_unix_s(1)),
        (
            &format!("hits:1|c|#env:dev|c:{entity}|e:{external}|T1|card:low"),
            Message::Metric(all.clone()),
        ),
    );
    check_with(
        "an aggregated sample keeps its origin too",
        (&contained, options),
        |c| c.count("hits", 1, &[]),
        (
            &format!("hits:1|c|#env:dev|c:{entity}|e:{external}|card:low"),
            Message::Metric(Metric {
                timestamp: None,
                ..all
            }),
        ),
    );
}

#[test]
fn events_have_their_lines() {
    let event = |e: ReadEvent<'static>| Message::Event(e);
    let title = "a\nb\u{e9}";
    let failed = Event {
        alert: Some(Alert::Error),
        ..Event::new(title, "l1\nl|2")
    };
    check(
        "lengths are bytes after escaping; a pipe inside the text stays",
        &dev(),
        |c| c.event(&failed),
        (
            "_e{6,7}:a\\nb\u{e9}|l1\\nl|2|t:error|#env:dev",
            event(ReadEvent {
                title: title.into(),
                text: "l1\nl|2".into(),
                alert_type: "error",
                priority: "normal",
                tags: vec!["env:dev"],
                ..ReadEvent::default()
            }),
        ),
    );
    let full = Event {
        unix_s: Some(1_656_581_400),
        hostname: "web1",
        aggregation_key: "deploy",
        priority: Some(Priority::Low),
        source_type: "ci",
        alert: Some(Alert::Success),
        tags: &[("team", "a")],
        ..Event::new("t", "")
    };
    check(
        "every field of an event",
        &nobody(),
        |c| c.event(&full),
        (
            "_e{1,0}:t||d:1656581400|h:web1|k:deploy|p:low|s:ci|t:success|#team:a",
            event(ReadEvent {
                title: "t".into(),
                timestamp: Some(1_656_581_400),
                hostname: "web1",
                aggregation_key: "deploy",
                priority: "low",
                alert_type: "success",
                source: "ci",
                tags: vec!["team:a"],
                ..ReadEvent::default()
            }),
        ),
    );
}

#[test]
fn checks_have_their_lines() {
    let down = ServiceCheck {
        unix_s: Some(1_656_581_400),
        hostname: "web1",
        message: "m: down\nretry",
        ..ServiceCheck::new("db.up", Status::Critical)
    };
    check(
        "a check's message cannot open a field",
        &dev(),
        |c| c.check(&down),
        (
            "_sc|db.up|2|d:1656581400|h:web1|#env:dev|m:m\\: down\\nretry",
            Message::Check(ReadCheck {
                name: "db.up",
                status: CheckStatus::Critical,
                timestamp: Some(1_656_581_400),
                hostname: "web1",
                message: "m\\: down\\nretry",
                tags: vec!["env:dev"],
            }),
        ),
    );
}

#[test]
fn a_hostile_tag_stays_one_tag() {
    check(
        "separators inside a tag",
        &nobody(),
        |c| c.count("hits", 1, &[("k", "v|@x,y")]),
        (
            "hits:1|c|#k:v__x_y",
            Message::Metric(Metric {
                tags: vec!["k:v__x_y"],
                ..metric("hits", Kind::Count, &[1.0])
            }),
        ),
    );
}

const HOSTILE: [&str; 23] = [
    "a|b",
    "a\nb",
    "a\r\nb",
    "a\rb",
    "a\0b",
    "a,b",
    "a:b",
    "a@b",
    "a#b",
    "a|@0.1",
    "a|#x:y",
    "a|T1",
    "a|c:ci-1",
    "a\nevil:1|c",
    "a|g\nevil:1|c",
    "a|m:x",
    "a\\nb",
    "a\u{2028}b",
    "a\u{e9}",
    "_e{1,1}:a|b",
    "_sc|a|0",
    "host:a",
    "dd.internal.entity_id:a",
];

type Call = for<'a> fn(&Client, &'a str) -> Result<(), Error>;
/// A text of a call, the tags that its message has, the call.
const CALLS: [(&str, usize, Call); 10] = [
    ("a metric's name", 1, |c, t| c.count(t, 1, &[("k", "v")])),
    ("a key", 2, |c, t| c.count("n", 1, &[(t, "v"), ("k", "v")])),
    ("a value", 2, |c, t| {
        c.count("n", 1, &[("z", t), ("k", "v")])
    }),
    ("a member", 1, |c, t| c.set("n", t, &[("k", "v")])),
    ("a title", 0, |c, t| c.event(&Event::new(t, "x"))),
    ("a text", 0, |c, t| c.event(&Event::new("x", t))),
    ("an event's key", 0, |c, t| {
        c.event(&Event {
            aggregation_key: t,
            ..Event::new("x", "y")
        })
    }),
    ("a host", 0, |c, t| {
        c.event(&Event {
            hostname: t,
            source_type: t,
            ..Event::new("x", "y")
        })
    }),
    ("a check's name", 0, |c, t| {
        c.check(&ServiceCheck::new(t, Status::Ok))
    }),
    ("a check's message", 0, |c, t| {
        c.check(&ServiceCheck {
            message: t,
            ..ServiceCheck::new("x", Status::Ok)
        })
    }),
];

/// Each separator of the protocol inside each text of each call: always one message, never an error,
/// and never a tag more or fewer than were said.
#[test]
fn no_text_makes_two_messages_or_loses_a_tag() {
    for (what, tags, call) in CALLS {
        for text in HOSTILE {
            let pair = Pair::new(&nobody(), Options::default());
            call(&pair.client, text).unwrap_or_else(|e| panic!("{what} {text:?}: {e}"));
            let sent = pair.flushed().concat();
            let read: Vec<_> = datagram(&sent).collect();
            let [Ok(message)] = &read[..] else {
                panic!("{what} {text:?}: {read:?}")
            };
            let found = match message {
                Message::Metric(metric) => metric.tags.len(),
                Message::Event(event) => event.tags.len(),
                Message::Check(check) => check.tags.len(),
            };
            assert_eq!(found, tags, "{what} {text:?}: {message:?}");
        }
    }
}

#[test]
fn what_no_agent_takes_is_refused_with_the_reason() {
    #[track_caller]
    fn refused(rule: &str, sample: &Sample<'_>, text: &str) {
        let pair = Pair::new(&nobody(), Options::default());
        let error = pair.client.offer(sample).expect_err(rule);
        assert_eq!(error.to_string(), text, "{rule}");
        assert_eq!(pair.flushed(), Vec::<Vec<u8>>::new(), "{rule}");
        let dropped = pair.client.ledger().dropped;
        assert!(dropped.contains(&("invalid", 1)), "{rule}: {dropped:?}");
    }
    let finite = |value: &str| format!("value {value}: must be a finite number");
    for (value, said) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        refused("a gauge", &Sample::gauge("g", value), &finite(said));
        refused("a histogram", &Sample::histogram("h", value), &finite(said));
    }
    refused(
        "no name",
        &Sample::count("", 1),
        "name \"\": must hold an ASCII letter",
    );
    refused(
        "no member",
        &Sample::set("s", ""),
        "set member: must not be empty",
    );
    refused(
        "a rate of none",
        &Sample::count("c", 1).rate(0.0),
        "sample rate 0: must be over 0 and at most 1",
    );
    refused(
        "a rate over all",
        &Sample::count("c", 1).rate(1.5),
        "sample rate 1.5: must be over 0 and at most 1",
    );
    refused(
        "a negative rate",
        &Sample::count("c", 1).rate(-0.5),
        "sample rate -0.5: must be over 0 and at most 1",
    );
    refused(
        "a rate that is no number",
        &Sample::histogram("h", 1.0).rate(f64::NAN),
        "sample rate NaN: must be over 0 and at most 1",
    );
    refused(
        "a time before all time",
        &Sample::count("c", 1).at_unix_s(0),
        "timestamp 0: must be over 0, and only a count or a gauge may have one",
    );
    refused(
        "a time for a histogram",
        &Sample::histogram("h", 1.0).at_unix_s(1),
        "timestamp 1: must be over 0, and only a count or a gauge may have one",
    );
}

#[test]
fn no_datagram_is_longer_than_its_limit_and_no_value_is_lost() {
    let pair = Pair::new(&nobody(), Options::default());
    let values: Vec<f64> = (0..1_000).map(|n| f64::from(n) + 0.25).collect();
    for value in &values {
        pair.client
            .distribution("lat", *value, &[("k", "v")])
            .unwrap();
    }
    let sent = pair.flushed();
    let longest = sent.iter().map(Vec::len).max().unwrap();
    assert!((1_300..=1_432).contains(&longest), "{longest}");
    let mut read = Vec::new();
    for message in sent.iter().flat_map(|bytes| datagram(bytes)) {
        let Ok(Message::Metric(metric)) = message else {
            panic!("{message:?}")
        };
        let Values::Numbers(numbers) = metric.values else {
            panic!("{:?}", metric.values)
        };
        read.extend(numbers);
    }
    assert_eq!(read, values);
    let ledger = pair.client.ledger();
    assert_eq!(
        (ledger.offered, ledger.sent, ledger.pending),
        (1_000, 1_000, 0)
    );
}

#[test]
fn a_unix_datagram_may_be_longer_and_no_value_is_lost() {
    let folder = crate::support::Folder::new();
    let path = folder.file("dsd.sock");
    let agent = crate::support::FakeAgent::with_unix(&path);
    let options = Options {
        address: Address::UnixDatagram(path),
        values_max: 10_000,
        ..Options::default()
    };
    let (client, _guard) = dogstatsd::start(options, &nobody(), Clock::system()).unwrap();
    let lat = client.distribution_handle("lat", &[("k", "v")]).unwrap();
    (0..5_000).for_each(|n| lat.record(f64::from(n) + 0.25));
    client.flush(DEADLINE).unwrap();
    let sent = client.datagrams_sent() as usize;
    let seen = agent.wait_for("all datagrams", |seen| {
        (seen.datagrams.len() == sent).then(|| seen.datagrams.clone())
    });
    let longest = seen.iter().map(Vec::len).max().unwrap();
    assert!((8_000..=8_192).contains(&longest), "{longest}");
    let mut sum = 0.0;
    for message in seen.iter().flat_map(|bytes| datagram(bytes)) {
        let Ok(Message::Metric(metric)) = message else {
            panic!("{message:?}")
        };
        let Values::Numbers(numbers) = metric.values else {
            panic!("{:?}", metric.values)
        };
        sum += numbers.iter().sum::<f64>();
    }
    assert_eq!(sum, f64::from(5_000 * 4_999 / 2) + 0.25 * 5_000.0);
    assert_eq!(client.ledger().sent, 5_000);
}

#[test]
fn a_unix_socket_gets_the_same_bytes() {
    let folder = crate::support::Folder::new();
    let path = folder.file("dsd.sock");
    let agent = crate::support::FakeAgent::with_unix(&path);
    let options = Options {
        address: format!("unix://{}", path.display()).parse().unwrap(),
        ..Options::default()
    };
    let (client, _guard) = dogstatsd::start(options, &dev(), Clock::system()).unwrap();
    client.count("hits", 1, &[]).unwrap();
    client.flush(DEADLINE).unwrap();
    let lines = agent.wait_for("a datagram", |seen| {
        (!seen.datagrams.is_empty()).then(|| seen.lines())
    });
    assert_eq!(lines, ["hits:1|c|#env:dev"]);
}

/// Source of the frame: datadog-agent, `comp/dogstatsd/listeners/uds_common.go`.
#[test]
fn a_stream_gets_the_same_bytes_behind_their_length() {
    for scheme in ["unixstream", "unix"] {
        let folder = crate::support::Folder::new();
        let path = folder.file("dsd.sock");
        let agent = UnixListener::bind(&path).unwrap();
        let options = Options {
            address: format!("{scheme}://{}", path.display()).parse().unwrap(),
            flush_interval: Duration::from_secs(3_600),
            ..Options::default()
        };
        let (client, guard) = dogstatsd::start(options, &dev(), Clock::system()).unwrap();
        client.flush(DEADLINE).unwrap();
        client.count("hits", 1, &[]).unwrap();
        client.flush(DEADLINE).unwrap();
        assert!(guard.stop(DEADLINE).flushed);
        let mut sent = Vec::new();
        let (mut connection, _) = agent.accept().unwrap();
        connection.read_to_end(&mut sent).unwrap();
        let line = b"hits:1|c|#env:dev\n";
        let frame = [&[line.len() as u8, 0, 0, 0], &line[..]].concat();
        assert_eq!(sent, frame, "{scheme}: one frame, none for the empty flush");
    }
}

#[test]
fn the_client_tells_of_itself_every_ten_seconds() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(DEADLINE)).unwrap();
    let options = Options {
        address: Address::Udp("127.0.0.1".into(), agent.local_addr().unwrap().port()),
        ..Options::default()
    };
    let (clock, hand) = Clock::manual(1_795_344_502_616_000_000);
    let (client, _guard) = dogstatsd::start(options, &dev(), clock).unwrap();
    let received = || {
        client.flush(DEADLINE).unwrap();
        let mut buffer = [0; 8_192];
        let length = agent.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let handle = client.count_handle("hits", &[("a", "1")]).unwrap();
    (0..3).for_each(|_| handle.add(1));
    client.count("hits", 1, &[]).unwrap();
    client.gauge("depth", 1.0, &[]).unwrap();
    client.event(&Event::new("deployed", "")).unwrap();
    client.check(&ServiceCheck::new("up", Status::Ok)).unwrap();
    client.gauge("", 1.0, &[]).unwrap_err();
    let first = received();
    assert!(
        !first.contains("datadog.dogstatsd"),
        "ten seconds have not passed: {first}"
    );
    hand.advance_ns(10_000_000_000);
    let tags = format!(
        "#client:rust,client_transport:udp,client_version:{},env:dev",
        env!("CARGO_PKG_VERSION")
    );
    let report = received()
        .replace(&tags, "#")
        .replace("datadog.dogstatsd.client.", "");
    let expected = format!(
        "metrics:5|c|#\n\
         events:1|c|#\n\
         service_checks:1|c|#\n\
         packets_sent:1|c|#\n\
         bytes_sent:{}|c|#\n\
         aggregated_context:3|c|#\n\
         metrics_by_type:4|c|#,metrics_type:count\n\
         aggregated_context_by_type:2|c|#,metrics_type:count\n\
         metrics_by_type:1|c|#,metrics_type:gauge\n\
         aggregated_context_by_type:1|c|#,metrics_type:gauge\n",
        first.len()
    );
    assert_eq!(report, expected);
    let ledger = client.ledger();
    assert!(ledger.balances() && ledger.sent == 7, "{ledger:?}");
}
