//! Where the agent listens and reads, and how to point a service at it.

use super::html::{esc, html};
use super::piece;
use super::views::Settings;

/// Tracers and the lines each reads. A DogStatsD URL is read by the clients of Go and Python and by
/// `testapi`; the clients of the others take host and port.
const LANGUAGES: [(&str, Style); 6] = [
    ("Rust", Style::Url),
    ("Python", Style::Url),
    ("Go", Style::Url),
    ("Node", Style::HostPort),
    ("Java", Style::HostPort),
    ("Ruby", Style::HostPort),
];

#[derive(Clone, Copy)]
enum Style {
    Url,
    HostPort,
}

pub(super) fn main(now_unix_us: u64, settings: &Settings) -> String {
    let mut out = String::from("<div class=\"grid split\">");
    listens(&mut out, now_unix_us, settings);
    out.push_str("<section class=\"card\">");
    piece::heading(&mut out, "Reads", "");
    out.push_str("<h3>Log files followed</h3>");
    files(&mut out, &settings.files);
    out.push_str("<h3>Addresses scraped</h3>");
    list(&mut out, &settings.scrapes, "No address is scraped.");
    out.push_str("</section></div>");
    let beside = "lines for its environment; nothing else changes";
    piece::heading(&mut out, "Point a service here", beside);
    out.push_str("<div class=\"grid three\">");
    for (language, style) in LANGUAGES {
        html!(out, "<section class=\"card\"><h3><b>{language}</b></h3>");
        lines(&mut out, settings, style);
        out.push_str("</section>");
    }
    out.push_str("</div>");
    out
}

fn listens(out: &mut String, now_unix_us: u64, settings: &Settings) {
    out.push_str("<section class=\"card\">");
    piece::heading(out, "Listens on", "");
    let addresses = [
        ("traces, HTTP", settings.receiver.clone()),
        ("DogStatsD, UDP", settings.dogstatsd.clone()),
        ("this page", settings.page.clone()),
    ];
    piece::pairs(out, addresses.into_iter());
    out.push_str("<p class=\"muted\">Started ");
    piece::when(out, now_unix_us, settings.started_unix_us);
    out.push_str(
        ". All is held in memory; a bound lets the oldest go and counts it.</p></section>",
    );
}

/// The two lines that any page without content shows.
pub(super) fn environment(out: &mut String, settings: &Settings) {
    lines(out, settings, Style::Url);
}

/// The files that are followed.
pub(super) fn files(out: &mut String, files: &[String]) {
    list(out, files, "No file is followed.");
}

fn list(out: &mut String, items: &[String], none: &str) {
    if items.is_empty() {
        html!(out, "<p class=\"muted\">{none}</p>");
        return;
    }
    out.push_str("<ul class=\"plain\">");
    for item in items {
        html!(out, "<li><code>{}</code></li>", esc(item));
    }
    out.push_str("</ul>");
}

fn lines(out: &mut String, settings: &Settings, style: Style) {
    let receiver = reachable(&settings.receiver);
    let dogstatsd = reachable(&settings.dogstatsd);
    let text = match (style, dogstatsd.rsplit_once(':')) {
        (Style::HostPort, Some((host, port))) => format!(
            "DD_TRACE_AGENT_URL=http://{receiver}\nDD_AGENT_HOST={}\nDD_DOGSTATSD_PORT={port}",
            host.trim_matches(['[', ']'])
        ),
        _ => format!("DD_TRACE_AGENT_URL=http://{receiver}\nDD_DOGSTATSD_URL=udp://{dogstatsd}"),
    };
    env(out, &text);
}

/// Lines to copy.
pub(super) fn env(out: &mut String, text: &str) {
    html!(
        out,
        "<pre class=\"env\" tabindex=\"0\" data-copy=\"{0}\">{0}</pre>",
        esc(text)
    );
}

/// A service cannot send to the address that means "every interface".
pub(super) fn reachable(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "", port)) => format!("127.0.0.1:{port}"),
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, dogstatsd: &str, style: Style, text: &str) {
        let settings = Settings {
            receiver: "0.0.0.0:8126".to_string(),
            dogstatsd: dogstatsd.to_string(),
            ..Settings::default()
        };
        let mut out = String::new();
        lines(&mut out, &settings, style);
        assert!(out.contains(text), "{rule}: {out}");
    }

    #[test]
    fn the_lines_can_be_pasted() {
        let all = "DD_TRACE_AGENT_URL=http://127.0.0.1:8126\n";
        check(
            "every interface is this machine",
            "0.0.0.0:8125",
            Style::Url,
            all,
        );
        check(
            "a URL",
            "127.0.0.1:8125",
            Style::Url,
            "DD_DOGSTATSD_URL=udp://127.0.0.1:8125<",
        );
        check("a URL, IPv6", "[::1]:8125", Style::Url, "udp://[::1]:8125<");
        check(
            "host and port",
            "10.0.0.7:9125",
            Style::HostPort,
            "DD_AGENT_HOST=10.0.0.7\nDD_DOGSTATSD_PORT=9125<",
        );
        check(
            "host and port, IPv6",
            "[::1]:8125",
            Style::HostPort,
            "DD_AGENT_HOST=::1\nDD_DOGSTATSD_PORT=8125<",
        );
        check(
            "an address without a port stays",
            "agent",
            Style::HostPort,
            "DD_DOGSTATSD_URL=udp://agent<",
        );
    }
}
