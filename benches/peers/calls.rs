//! What one metric call costs the thread that makes it, and how often it allocates: this client beside
//! cadence, metrics-exporter-dogstatsd and the dogstatsd crate, all sending to a UDP socket nobody reads.
//!
//!   cargo bench --manifest-path benches/peers/Cargo.toml

use std::net::UdpSocket;
use std::sync::LazyLock;

use divan::{AllocProfiler, Bencher, black_box};
use testapi::clock::Clock;
use testapi::dogstatsd::{Address, Client, Options, start};
use testapi::identity::Identity;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// Where all send to.
static AGENT: LazyLock<UdpSocket> =
    LazyLock::new(|| UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port"));

static OURS: LazyLock<Client> = LazyLock::new(|| {
    let options = Options {
        address: Address::Udp("127.0.0.1".into(), port()),
        ..Options::default()
    };
    let identity = Identity::default();
    let (client, guard) = start(options, &identity, Clock::system()).expect("a thread starts");
    std::mem::forget(guard);
    client
});

static METRICS: LazyLock<()> = LazyLock::new(|| {
    metrics_exporter_dogstatsd::DogStatsDBuilder::default()
        .with_remote_address(format!("127.0.0.1:{}", port()))
        .and_then(|builder| builder.install())
        .expect("it installs once");
});

fn port() -> u16 {
    AGENT.local_addr().map_or(0, |address| address.port())
}

fn main() {
    divan::main();
}

const TAGS: [(&str, &str); 2] = [("route", "/cart"), ("status", "200")];

mod count_handle {
    use super::*;

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn ours(bencher: Bencher) {
        let handle = OURS
            .count_handle("bench.handle", &TAGS)
            .expect("a good name");
        bencher.bench(|| black_box(&handle).add(1));
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn metrics_exporter_dogstatsd(bencher: Bencher) {
        LazyLock::force(&METRICS);
        let handle = metrics::counter!("bench.handle", "route" => "/cart", "status" => "200");
        bencher.bench(|| black_box(&handle).increment(1));
    }
}

mod count_with_two_tags {
    use super::*;

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn ours(bencher: Bencher) {
        let client = &*OURS;
        bencher.bench(|| client.count("bench.count", black_box(1), black_box(&TAGS)));
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn metrics_exporter_dogstatsd_static_labels(bencher: Bencher) {
        LazyLock::force(&METRICS);
        bencher.bench(|| {
            metrics::counter!("bench.count", "route" => "/cart", "status" => "200")
                .increment(black_box(1));
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn metrics_exporter_dogstatsd_dynamic_labels(bencher: Bencher) {
        LazyLock::force(&METRICS);
        let route = black_box(String::from("/cart"));
        bencher.bench(|| {
            metrics::counter!("bench.count", "route" => route.clone(), "status" => "200")
                .increment(black_box(1));
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn cadence_queued(bencher: Bencher) {
        use cadence::prelude::*;
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let sink = cadence::BufferedUdpMetricSink::from(("127.0.0.1", port()), socket);
        let sink = cadence::QueuingMetricSink::with_capacity(sink.expect("an address"), 65_536);
        let client = cadence::StatsdClient::from_sink("bench", sink);
        bencher.bench(|| {
            let call = client.count_with_tags("count", black_box(1_i64));
            call.with_tag("route", "/cart")
                .with_tag("status", "200")
                .send();
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn cadence_buffered(bencher: Bencher) {
        use cadence::prelude::*;
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let sink = cadence::BufferedUdpMetricSink::from(("127.0.0.1", port()), socket);
        let client = cadence::StatsdClient::from_sink("bench", sink.expect("an address"));
        bencher.bench(|| {
            let call = client.count_with_tags("count", black_box(1_i64));
            call.with_tag("route", "/cart")
                .with_tag("status", "200")
                .send();
        });
    }

    #[divan::bench(sample_size = 1_000)]
    fn dogstatsd_unbatched(bencher: Bencher) {
        let to = format!("127.0.0.1:{}", port());
        let options = dogstatsd::OptionsBuilder::new().to_addr(to).build();
        let client = dogstatsd::Client::new(options).expect("an address");
        bencher.bench(|| client.incr(black_box("bench.count"), ["route:/cart", "status:200"]));
    }
}

mod histogram_handle {
    use super::*;

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn ours(bencher: Bencher) {
        let handle = OURS
            .histogram_handle("bench.histogram", &TAGS)
            .expect("a good name");
        bencher.bench(|| black_box(&handle).record(black_box(12.5)));
    }

    #[divan::bench(threads = [1, 2], sample_size = 20_000)]
    fn metrics_exporter_dogstatsd(bencher: Bencher) {
        LazyLock::force(&METRICS);
        let handle = metrics::histogram!("bench.histogram", "route" => "/cart");
        bencher.bench(|| black_box(&handle).record(black_box(12.5)));
    }
}
