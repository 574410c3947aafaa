//! An Agent that plays a part: for each payload one act of a script, on real sockets, TCP or Unix.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::exchange::header;
use super::{DEADLINE, Received, Until};

/// What one payload meets.
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes.
    Say(Vec<u8>),
    /// These bytes, then the end of the connection.
    Leave(Vec<u8>),
    /// The end of the connection while the last byte is still unread: the system sends a reset.
    Reset(Vec<u8>),
    /// These bytes one by one.
    Drip(Vec<u8>),
    /// These bytes, then one after another until the client goes.
    DripForEver(Vec<u8>),
    /// Nothing until the client goes.
    Hang,
    /// Another act, once the gate is open.
    Behind(Gate, Box<Act>),
}

impl Act {
    /// These bytes, as they are.
    pub(crate) fn say(bytes: impl AsRef<[u8]>) -> Act {
        Act::Say(bytes.as_ref().to_vec())
    }

    /// Status line and headers as told, the length of `body`, and `body`.
    pub(crate) fn answer(start: &str, body: &str) -> Act {
        let length = body.len();
        Act::say(format!(
            "HTTP/1.1 {start}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }
}

/// Closed until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let closed = |open: &mut bool| !*open;
        drop(self.0.1.wait_timeout_while(open, DEADLINE, closed).unwrap());
    }
}

/// One request, and by which connection it came, counted from 0.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) connection: usize,
    pub(crate) request: Received,
}

/// All that has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    pub(crate) scenes: Vec<Scene>,
    /// Connections that are closed.
    pub(crate) ended: usize,
}

/// While nothing is scripted it keeps all traces.
pub(crate) struct Actor {
    shared: Arc<Shared>,
    place: Place,
    accepting: Option<thread::JoinHandle<()>>,
}

enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Stage>,
    changed: Condvar,
    script: Mutex<VecDeque<Act>>,
    /// The connections by number, to be closed with the value.
    open: Mutex<Vec<Option<Box<dyn Wire>>>>,
    stopping: AtomicBool,
}

trait Wire: Read + Write + Send {
    fn twin(&self) -> Box<dyn Wire>;
    fn end(&self);
}

macro_rules! wire {
    ($stream:ty) => {
        impl Wire for $stream {
            fn twin(&self) -> Box<dyn Wire> {
                Box::new(self.try_clone().unwrap())
            }

            fn end(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }
        }
    };
}

wire!(TcpStream);
wire!(UnixStream);

const KEEP_ALL: &str = "{\"rate_by_service\":{\"service:,env:\":1}}";
/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(2);

impl Actor {
    pub(crate) fn start() -> Actor {
        Actor::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// On an address that is free.
    pub(crate) fn at(address: SocketAddr) -> Actor {
        Actor::on(TcpListener::bind(address).unwrap())
    }

    fn on(listener: TcpListener) -> Actor {
        let place = Place::Tcp(listener.local_addr().unwrap());
        Actor::run(place, move || Ok(Box::new(listener.accept()?.0)))
    }

    /// At a path that is free.
    pub(crate) fn unix(path: &Path) -> Actor {
        let listener = UnixListener::bind(path).unwrap();
        let place = Place::Unix(path.to_path_buf());
        Actor::run(place, move || Ok(Box::new(listener.accept()?.0)))
    }

    fn run(place: Place, accept: impl Fn() -> io::Result<Box<dyn Wire>> + Send + 'static) -> Actor {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let accepting = spawn("actor", move || {
            for connection in 0.. {
                let Ok(wire) = accept() else { return };
                if of_thread.stopping.load(Ordering::Acquire) {
                    return;
                }
                of_thread.open.lock().unwrap().push(Some(wire.twin()));
                let shared = of_thread.clone();
                spawn("actor-conn", move || {
                    let mut wire = wire;
                    while shared.serve(connection, &mut *wire).is_ok() {}
                    shared.open.lock().unwrap()[connection] = None;
                    drop(wire);
                    shared.see(|seen| seen.ended += 1);
                });
            }
        });
        Actor {
            shared,
            place,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(address) => *address,
            Place::Unix(path) => panic!("at {}", path.display()),
        }
    }

    /// As `DD_TRACE_AGENT_URL` has it.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}"),
            Place::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Puts an act at the end of the script.
    pub(crate) fn play(&self, act: Act) {
        self.shared.script.lock().unwrap().push_back(act);
    }

    /// Waits until `enough` finds what it looks for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, enough: impl Fn(&Stage) -> Option<T>) -> T {
        let until = Until::new(DEADLINE);
        let mut seen = self.shared.seen.lock().unwrap();
        loop {
            if let Some(found) = enough(&seen) {
                return found;
            }
            let left = until.left();
            assert!(!left.is_zero(), "the actor never saw {what}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Payloads so far, each noted before its act begins.
    pub(crate) fn payloads(&self) -> Vec<Scene> {
        self.shared
            .seen
            .lock()
            .unwrap()
            .payloads()
            .cloned()
            .collect()
    }
}

impl Stage {
    /// What carries something.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &Scene> {
        let carries = |scene: &&Scene| !scene.request.is_look() && !scene.request.is_probe();
        self.scenes.iter().filter(carries)
    }
}

impl Drop for Actor {
    /// All connections end, and the address is free again.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        match &self.place {
            Place::Tcp(address) => drop(TcpStream::connect(address)),
            Place::Unix(path) => {
                drop(UnixStream::connect(path));
                let _ = std::fs::remove_file(path);
            }
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for wire in self.shared.open.lock().unwrap().iter().flatten() {
            wire.end();
        }
    }
}

impl Shared {
    fn see(&self, note: impl FnOnce(&mut Stage)) {
        note(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    /// One request; an error ends the connection.
    fn serve(&self, connection: usize, wire: &mut dyn Wire) -> io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            wire.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        head.truncate(head.len() - 4);
        let head = String::from_utf8(head).unwrap();
        let length: usize = header(&head, "Content-Length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        let act = match length {
            // A look at what it says of itself: it is too old for that.
            0 => Act::answer("404 Not Found", ""),
            // A probe.
            1 => Act::answer("200 OK", KEEP_ALL),
            _ => {
                let scripted = self.script.lock().unwrap().pop_front();
                scripted.unwrap_or_else(|| Act::answer("200 OK", KEEP_ALL))
            }
        };
        let unread = usize::from(act.is_reset());
        let mut body = vec![0; length - unread];
        wire.read_exact(&mut body)?;
        let request = Received { head, body };
        self.see(|seen| {
            seen.scenes.push(Scene {
                connection,
                request,
            })
        });
        self.perform(act, wire)
    }

    fn perform(&self, act: Act, wire: &mut dyn Wire) -> io::Result<()> {
        let over = || Err(io::ErrorKind::ConnectionAborted.into());
        match act {
            Act::Say(bytes) => wire.write_all(&bytes),
            Act::Leave(bytes) | Act::Reset(bytes) => wire.write_all(&bytes).and_then(|()| over()),
            Act::Drip(bytes) => bytes.iter().try_for_each(|byte| drip(wire, *byte)),
            Act::DripForEver(bytes) => {
                wire.write_all(&bytes)?;
                while !self.stopping.load(Ordering::Acquire) {
                    drip(wire, b'x')?;
                }
                over()
            }
            Act::Hang => wire.read_exact(&mut [0]),
            Act::Behind(gate, act) => {
                gate.pass();
                self.perform(*act, wire)
            }
        }
    }
}

impl Act {
    fn is_reset(&self) -> bool {
        match self {
            Act::Reset(_) => true,
            Act::Behind(_, act) => act.is_reset(),
            _ => false,
        }
    }
}

fn drip(wire: &mut dyn Wire, byte: u8) -> io::Result<()> {
    wire.write_all(&[byte])?;
    thread::park_timeout(DRIP);
    Ok(())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let builder = thread::Builder::new().name(name.to_string());
    builder.spawn(run).unwrap()
}
