//! An agent that answers and does nothing else, for measuring the API alone: every POST gets a 200 with the
//! rate for all, every datagram is read and forgotten. `answering_agent HTTP_ADDRESS UDP_ADDRESS`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 43\r\n\r\n\
                      {\"rate_by_service\":{\"service:,env:\": 1.0 }}";

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
    thread::Builder::new().spawn(move || {
        let mut buffer = [0; 65_536];
        while datagrams.recv(&mut buffer).is_ok() {}
    })?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::Builder::new().spawn(move || serve(&stream))?;
    }
    Ok(())
}

/// Answers until the client hangs up.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line != "\r\n" {
            let head = line.to_ascii_lowercase();
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        stream.write_all(ANSWER.as_bytes())?;
    }
}
