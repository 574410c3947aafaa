//! The peer that the API is measured against: tiny_http as its README shows it, saying hello, with no
//! telemetry at all. `bare_server ADDRESS THREADS`.

use std::sync::Arc;
use std::thread;

use tiny_http::{Response, Server};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:5001".to_string());
    let threads = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(4);
    let server = Arc::new(Server::http(address).expect("the address is free"));
    let pool: Vec<_> = (0..threads)
        .map(|_| {
            let server = server.clone();
            thread::Builder::new()
                .spawn(move || {
                    while let Ok(request) = server.recv() {
                        let _ = request.respond(Response::from_string("hello world"));
                    }
                })
                .expect("the system gives a thread")
        })
        .collect();
    for thread in pool {
        let _ = thread.join();
    }
}
