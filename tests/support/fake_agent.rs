//! An Agent that only records: raw datagrams, raw requests. Decoding is the tests' own business.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use super::exchange::header;
use super::{DEADLINE, Until};

/// All that came in, in the order it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) requests: Vec<Received>,
}

/// One request, as received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Request line and headers, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// A look at `/info`.
    pub(crate) fn is_look(&self) -> bool {
        self.head.starts_with("GET /info ")
    }

    /// A tracer asks with an empty payload whether anybody is there.
    pub(crate) fn is_probe(&self) -> bool {
        self.body == [0x90]
    }
}

impl Seen {
    /// Requests that carry something.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &Received> {
        let carries = |request: &&Received| !request.is_probe() && !request.is_look();
        self.requests.iter().filter(carries)
    }

    /// Lines of all datagrams.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = |datagram: &Vec<u8>| String::from_utf8(datagram.clone()).unwrap();
        let datagrams = self.datagrams.iter().map(text);
        datagrams
            .flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>())
            .collect()
    }
}

/// Binds UDP and TCP on ports of the system's choice.
pub(crate) struct FakeAgent {
    shared: Arc<Shared>,
    udp: SocketAddr,
    http: SocketAddr,
    unix: Option<PathBuf>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    replies: Mutex<VecDeque<String>>,
    /// What every look at `/info` gets; one that is too old to have it where empty.
    info: Mutex<String>,
    stopping: AtomicBool,
}

/// Status line, headers and body of the Agent that keeps everything.
const KEEP_ALL: &str = "200 OK\r\n\r\n{\"rate_by_service\":{\"service:,env:\":1}}";

/// No client sends an empty line alone.
const LAST: &[u8] = b"\n";

impl FakeAgent {
    pub(crate) fn start() -> FakeAgent {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        FakeAgent::on(udp, TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// On addresses that are free again; see [`FakeAgent::addresses`].
    pub(crate) fn at((udp, http): (SocketAddr, SocketAddr)) -> FakeAgent {
        let udp = UdpSocket::bind(udp).unwrap();
        FakeAgent::on(udp, TcpListener::bind(http).unwrap())
    }

    /// With a Unix datagram socket too.
    pub(crate) fn with_unix(path: &Path) -> FakeAgent {
        let socket = UnixDatagram::bind(path).unwrap();
        let mut agent = FakeAgent::start();
        agent.unix = Some(path.to_path_buf());
        let shared = agent.shared.clone();
        spawn("fake-unix", move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(bytes) = socket.recv(&mut buffer) {
                if shared.stopping.load(Ordering::Acquire) {
                    return;
                }
                shared.see(|seen| seen.datagrams.push(buffer[..bytes].to_vec()));
            }
        });
        agent
    }

    fn on(udp: UdpSocket, listener: TcpListener) -> FakeAgent {
        let shared = Arc::new(Shared::default());
        let agent = FakeAgent {
            shared: shared.clone(),
            udp: udp.local_addr().unwrap(),
            http: listener.local_addr().unwrap(),
            unix: None,
        };
        let of_udp = shared.clone();
        spawn("fake-udp", move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(bytes) = udp.recv(&mut buffer) {
                if of_udp.stopping.load(Ordering::Acquire) {
                    return;
                }
                of_udp.see(|seen| seen.datagrams.push(buffer[..bytes].to_vec()));
            }
        });
        spawn("fake-http", move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::Acquire) {
                    return;
                }
                let (shared, stream) = (shared.clone(), stream.unwrap());
                spawn("fake-conn", move || {
                    let _ = shared.converse(stream);
                });
            }
        });
        agent
    }

    /// Where datagrams and requests are taken.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.udp, self.http)
    }

    /// The next payload is answered with this, from the status on: `413 Too\r\nA: b\r\n\r\nbody`.
    pub(crate) fn answer_next(&self, reply: &str) {
        let mut replies = self.shared.replies.lock().unwrap();
        replies.push_back(reply.to_string());
    }

    /// Every look at `/info` is answered with this, as [`FakeAgent::answer_next`] has it.
    pub(crate) fn say_of_itself(&self, reply: &str) {
        *self.shared.info.lock().unwrap() = reply.to_string();
    }

    /// Settings that lead a program here.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        env_of(self.addresses())
    }

    /// Waits until `enough` finds what it looks for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, enough: impl Fn(&Seen) -> Option<T>) -> T {
        let until = Until::new(DEADLINE);
        let mut seen = self.shared.lock();
        loop {
            if let Some(found) = enough(&seen) {
                return found;
            }
            let left = until.left();
            assert!(!left.is_zero(), "the agent never saw {what}: {seen:?}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// All that came before this call: what was sent over UDP may still wait in the socket, behind
    /// which a datagram of our own queues up.
    pub(crate) fn seen(&self) -> Seen {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.send_to(LAST, self.udp).unwrap();
        self.wait_for("its own datagram", |seen| {
            seen.datagrams
                .iter()
                .any(|bytes| bytes == LAST)
                .then_some(())
        });
        let mut seen = self.shared.lock();
        seen.datagrams.retain(|bytes| bytes != LAST);
        seen.clone()
    }
}

/// Settings that lead a program to an agent at these addresses.
pub(crate) fn env_of((udp, http): (SocketAddr, SocketAddr)) -> Vec<(String, String)> {
    vec![
        ("DD_TRACE_AGENT_URL".into(), format!("http://{http}")),
        ("DD_DOGSTATSD_URL".into(), format!("udp://{udp}")),
    ]
}

impl Drop for FakeAgent {
    /// Wakes the threads so that they end and their ports are free; connections end with their peers.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.http);
        let _ = UdpSocket::bind("127.0.0.1:0").map(|socket| socket.send_to(b"", self.udp));
        if let Some(path) = &self.unix {
            let _ = UnixDatagram::unbound().map(|socket| socket.send_to(b"", path));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn see(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.lock());
        self.changed.notify_all();
    }

    fn reply(&self, request: &Received) -> String {
        if request.is_look() {
            return match self.info.lock().unwrap().as_str() {
                "" => "404 Not Found\r\n\r\n404 page not found\n".to_string(),
                info => info.to_string(),
            };
        }
        if request.is_probe() {
            return KEEP_ALL.to_string();
        }
        let scripted = self.replies.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| KEEP_ALL.to_string())
    }

    fn converse(&self, stream: TcpStream) -> io::Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        let mut output = stream;
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if input.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            head.truncate(head.len() - 4);
            let length = header(&head, "Content-Length").unwrap_or("0").parse();
            let mut body = vec![0; length.unwrap()];
            input.read_exact(&mut body)?;
            let reply = self.reply(&Received {
                head: head.clone(),
                body: body.clone(),
            });
            let (start, content) = reply.split_once("\r\n\r\n").unwrap();
            let length = content.len();
            let reply = format!("HTTP/1.1 {start}\r\nContent-Length: {length}\r\n\r\n{content}");
            // Noted before it is answered: whoever has the answer finds the request here.
            self.see(|seen| seen.requests.push(Received { head, body }));
            output.write_all(reply.as_bytes())?;
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    let builder = thread::Builder::new().name(name.to_string());
    builder.spawn(run).unwrap();
}
