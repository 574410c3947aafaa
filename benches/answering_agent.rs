//! An Agent for measuring the API alone: every POST gets a 200 with the rate for all, every datagram is read
//! and forgotten. With `silent` it takes connections and datagrams, and neither reads nor answers.
//! `answering_agent HTTP_ADDRESS UDP_ADDRESS [silent]`.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::thread;

mod answering;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let http = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:18136".to_string());
    let udp = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:18135".to_string());
    let datagrams = UdpSocket::bind(udp)?;
    let listener = TcpListener::bind(http)?;
    if arguments.next().as_deref() == Some("silent") {
        let held: io::Result<Vec<_>> = listener.incoming().collect();
        return held.map(drop);
    }
    thread::Builder::new().spawn(move || {
        let mut buffer = [0; 65_536];
        while datagrams.recv(&mut buffer).is_ok() {}
    })?;
    answering::answer_all(&listener, |_| {})
}
