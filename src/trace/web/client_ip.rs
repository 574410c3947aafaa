//! The address of who asks, through the proxies between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Headers that hold it, the one to believe first in front (dd-trace-go,
/// `internal/clientip/policy.go`; dd-trace-py, `ddtrace/contrib/internal/trace_utils.py`).
const HEADERS: [&str; 10] = [
    "x-forwarded-for",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "forwarded",
    "forwarded-for",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
];

/// Of a longer value only the whole items in so many bytes are read.
const VALUE_BYTES_MAX: usize = 4_096;
/// Items read in one request, over all headers.
const ITEMS_MAX: usize = 256;

/// The address for `http.client_ip`: the first global one in the headers, from left to right; else
/// the peer's, if that is global; else the first of any kind in the headers; else the peer's
/// (dd-trace-go, `internal/clientip/clientip.go`). Where `custom` names a header, no other is
/// looked at.
///
/// `header` gives each value of a header, or the only one as an `Option`. IPv4 inside IPv6 comes
/// out as IPv4: a socket that takes both would otherwise have two names for one client.
pub fn client_ip<'a, I>(
    header: impl Fn(&str) -> I,
    custom: Option<&str>,
    peer: Option<IpAddr>,
) -> Option<IpAddr>
where
    I: IntoIterator<Item = &'a str>,
{
    let peer = peer.map(|ip| ip.to_canonical());
    let custom = custom.as_slice();
    let names = if custom.is_empty() {
        HEADERS.as_slice()
    } else {
        custom
    };
    let (mut local, mut items_left) = (None, ITEMS_MAX);
    for name in names {
        let is_forwarded = name.eq_ignore_ascii_case("forwarded");
        for item in header(name)
            .into_iter()
            .flat_map(|value| items(value, is_forwarded))
        {
            if items_left == 0 {
                break;
            }
            items_left -= 1;
            match address(item) {
                Some(ip) if is_global(ip) => return Some(ip),
                found => local = local.or(found),
            }
        }
    }
    peer.filter(|ip| is_global(*ip)).or(local).or(peer)
}

/// The texts of a header that may be addresses.
fn items(value: &str, is_forwarded: bool) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = whole_items(value).split(move |c: char| {
        let ends = c == ',' || (is_forwarded && c == ';');
        if is_forwarded {
            is_quoted ^= c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped && is_quoted;
        }
        ends && !is_quoted
    });
    parts.filter_map(move |part| {
        if is_forwarded {
            forwarded_for(part)
        } else {
            Some(part)
        }
    })
}

/// Up to the last comma within the limit: half an address may be another one.
fn whole_items(value: &str) -> &str {
    match value.as_bytes().get(..VALUE_BYTES_MAX) {
        Some(start) if value.len() > VALUE_BYTES_MAX => {
            let end = start.iter().rposition(|byte| *byte == b',');
            &value[..end.unwrap_or(0)]
        }
        _ => value,
    }
}

/// The node of `for=node`, out of its quotes (RFC 7239, section 4). Unlike there, a port or
/// brackets may stand without quotes: some proxies write them so.
fn forwarded_for(pair: &str) -> Option<&str> {
    let (name, node) = pair.split_once('=')?;
    let node = node.trim();
    let bare = node
        .strip_prefix('"')
        .and_then(|node| node.strip_suffix('"'));
    name.trim()
        .eq_ignore_ascii_case("for")
        .then_some(bare.unwrap_or(node))
}

/// An address, its port, brackets and zone left out.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => {
            let (bare, port) = rest.split_once(']')?;
            (port.is_empty() || port.starts_with(':')).then_some(bare)?
        }
        None => match text.split_once(':') {
            Some((bare, port)) if !port.contains(':') => bare,
            _ => text,
        },
    };
    match bare.split_once('%') {
        Some((bare, _)) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => bare.parse::<IpAddr>().ok(),
    }
    .map(|ip| ip.to_canonical())
}

/// Whether the internet routes it to one host. As in dd-trace-go, without the range that providers
/// and clusters share (RFC 6598); and without addresses that no host has.
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_local = ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared;
    let is_no_host = first == 0 || ip.is_multicast() || ip.is_broadcast();
    !is_local && !is_no_host
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    // fec0::/10, once local to a site (RFC 3879).
    let is_site = ip.segments()[0] & 0xffc0 == 0xfec0;
    let is_local = ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local();
    let is_no_host = ip.is_unspecified() || ip.is_multicast();
    !is_local && !is_site && !is_no_host
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = "192.168.0.9";

    fn read(text: &str) -> Option<IpAddr> {
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    /// Headers, the peer and the answer, each empty for none.
    #[track_caller]
    fn check(rule: &str, headers: &[(&str, &str)], peer: &str, expected: &str) {
        check_custom(rule, headers, None, (peer, expected));
    }

    #[track_caller]
    fn check_custom(rule: &str, headers: &[(&str, &str)], custom: Option<&str>, ips: (&str, &str)) {
        let values = |name: &str| {
            let is_it = |(n, _): &&(&str, &str)| n.eq_ignore_ascii_case(name);
            let found: Vec<_> = headers
                .iter()
                .filter(is_it)
                .map(|(_, value)| *value)
                .collect();
            found
        };
        assert_eq!(
            client_ip(values, custom, read(ips.0)),
            read(ips.1),
            "{rule}"
        );
    }

    #[test]
    fn the_peer_where_no_header_says_more() {
        check("nothing", &[], "", "");
        check("a peer", &[], "8.8.8.8", "8.8.8.8");
        check("a local peer", &[], LAN, LAN);
        check("an IPv6 peer", &[], "2001:db8::1", "2001:db8::1");
        check("IPv4 in IPv6", &[], "::ffff:8.8.8.8", "8.8.8.8");
        for nonsense in [
            "",
            " ",
            ",",
            ",,,",
            "unknown",
            "127..0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
        ] {
            check(nonsense, &[("x-forwarded-for", nonsense)], LAN, LAN);
            check(nonsense, &[("x-forwarded-for", nonsense)], "", "");
        }
        check(
            "another header",
            &[("x-forwarded", "8.8.8.8"), ("via", "8.8.8.8")],
            LAN,
            LAN,
        );
    }

    #[test]
    fn each_header_is_read_in_its_order() {
        for (at, name) in HEADERS.iter().enumerate() {
            let text = |last: usize| match *name {
                "forwarded" => format!("for=8.8.8.{last}"),
                _ => format!("8.8.8.{last}"),
            };
            check(name, &[(name, &text(1))], LAN, "8.8.8.1");
            check(name, &[(&name.to_uppercase(), &text(1))], LAN, "8.8.8.1");
            for later in &HEADERS[at + 1..] {
                let other = if *later == "forwarded" {
                    "for=9.9.9.9"
                } else {
                    "9.9.9.9"
                };
                check(later, &[(later, other), (name, &text(2))], LAN, "8.8.8.2");
            }
        }
    }

    #[test]
    fn a_global_address_wins() {
        let of = |value| [("x-forwarded-for", value)];
        check(
            "over a local one before",
            &of("10.0.0.1, 8.8.8.8"),
            LAN,
            "8.8.8.8",
        );
        check(
            "over a local one behind",
            &of("8.8.8.8,10.0.0.1"),
            LAN,
            "8.8.8.8",
        );
        check("over a global peer", &of("8.8.8.8"), "9.9.9.9", "8.8.8.8");
        check(
            "the first of two",
            &of("10.0.0.1,2600::1,8.8.8.8"),
            LAN,
            "2600::1",
        );
        check(
            "after nonsense",
            &of("127..0.0.1, fd00::1 ,8.8.8.8"),
            LAN,
            "8.8.8.8",
        );
        check(
            "after a cut-off IPv6",
            &of("2001:db8:zzzz::, 2600::1"),
            LAN,
            "2600::1",
        );
        let two = [
            ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
            ("x-real-ip", "10.0.0.2,8.8.8.8"),
        ];
        check("in a later header", &two, LAN, "8.8.8.8");
        let split = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "8.8.8.8"),
        ];
        check("in a second value", &split, LAN, "8.8.8.8");
        let two = [
            ("x-forwarded-for", "10.0.0.1,10.0.0.2"),
            ("x-real-ip", "10.0.0.3"),
        ];
        check("none: the first local one", &two, LAN, "10.0.0.1");
        check("none, no peer: the first local one", &two, "", "10.0.0.1");
        check("none, but the peer's is", &two, "8.8.8.8", "8.8.8.8");
        check("IPv4 in IPv6", &of("::ffff:8.8.8.8"), LAN, "8.8.8.8");
        check(
            "local IPv4 in IPv6",
            &of("::ffff:10.0.0.1, 8.8.8.8"),
            LAN,
            "8.8.8.8",
        );
    }

    #[test]
    fn ports_brackets_and_zones_are_left_out() {
        for (text, expected) in [
            ("8.8.8.8:443", "8.8.8.8"),
            ("8.8.8.8:", "8.8.8.8"),
            ("2600::1", "2600::1"),
            ("[2600::1]", "2600::1"),
            ("[2600::1]:443", "2600::1"),
            ("[8.8.8.8]:443", "8.8.8.8"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
            ("\t8.8.8.8 ", "8.8.8.8"),
            ("[2600::1", ""),
            ("[2600::1]443", ""),
            ("2600::1]", ""),
            ("[]", ""),
            ("8.8.8.8%eth0", ""),
            ("8.8.8.8/24", ""),
            ("08.8.8.8", ""),
            ("0x8.8.8.8", ""),
            ("\u{661}.1.1.1", ""),
            ("\"8.8.8.8\"", ""),
            (":443", ""),
        ] {
            assert_eq!(address(text), read(expected), "{text}");
        }
    }

    #[test]
    fn what_counts_as_global() {
        for text in [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
        ] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
        for text in [
            "2600::1",
            "2001:4860:4860::8888",
            "0:2:3:4:5:6:7:8",
            "fbff::1",
            "fe00::1",
        ] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.0.1",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in [
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in [
            "::", "::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "feff::1",
            "ff02::1",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn forwarded_has_a_grammar_of_its_own() {
        let ipv6 = "9f7b:5e67:5472:4464:90b0:6b0a:9aa6:f9dc";
        for (value, expected) in [
            ("for=8.8.8.8", "8.8.8.8"),
            ("For=8.8.8.8", "8.8.8.8"),
            ("by=1.2.3.4;FOR=8.8.8.8;host=shop", "8.8.8.8"),
            (" by=1.2.3.4 ; for = 8.8.8.8 ; host=shop", "8.8.8.8"),
            ("by=1.2.3.4;for=\"8.8.8.8:2000\";host=shop", "8.8.8.8"),
            ("for=8.8.8.8:2000", "8.8.8.8"),
            (&format!("by=1.2.3.4;for=\"[{ipv6}]:2000\";host=shop"), ipv6),
            (&format!("for=\"[{ipv6}]\""), ipv6),
            (&format!("for=[{ipv6}]"), ipv6),
            (&format!("for=\"[::1]\",for=\"[{ipv6}]:4485\""), ipv6),
            (
                "for=127.0.0.1;host=\"shop\";by=2.2.2.2;proto=http,for=\"1.1.1.1:6543\"",
                "1.1.1.1",
            ),
            ("for=127.0.0.3, by=1.2.3.4;for=127.0.0.4", "127.0.0.3"),
            ("for=unknown, for=_hidden, for=8.8.8.8", "8.8.8.8"),
            ("host=\"a,for=1.1.1.1;b\";for=8.8.8.8", "8.8.8.8"),
            ("host=\"a\\\",for=1.1.1.1\";for=8.8.8.8", "8.8.8.8"),
            ("host=\"a\\\\\";for=8.8.8.8", "8.8.8.8"),
            ("for=\"8.8.8.8", LAN),
            ("for=\"10.0.0.1,for=8.8.8.8", LAN),
            ("by=8.8.8.8;proto=https", LAN),
            ("8.8.8.8", LAN),
            ("xfor=8.8.8.8;for=;for", LAN),
            ("for==8.8.8.8", LAN),
        ] {
            check(value, &[("forwarded", value)], LAN, expected);
        }
        check(
            "a name in any case",
            &[("Forwarded", "for=8.8.8.8")],
            LAN,
            "8.8.8.8",
        );
    }

    #[test]
    fn a_custom_header_is_the_only_one() {
        let both = [
            ("x-forwarded-for", "9.9.9.9"),
            ("my-ip", "10.0.0.1, 8.8.8.8"),
        ];
        check_custom("instead of others", &both, Some("My-IP"), (LAN, "8.8.8.8"));
        check_custom("absent", &both, Some("other"), (LAN, LAN));
        check_custom("absent, no peer", &both, Some("other"), ("", ""));
        let wrong = [("my-ip", "who"), ("x-real-ip", "8.8.8.8")];
        check_custom("wrong", &wrong, Some("my-ip"), (LAN, LAN));
        let forwarded = [("forwarded", "for=8.8.8.8")];
        check_custom(
            "with a grammar",
            &forwarded,
            Some("Forwarded"),
            (LAN, "8.8.8.8"),
        );
    }

    #[test]
    fn hostile_headers_are_read_to_a_limit() {
        let of = |value: &str| {
            client_ip(
                |name| (name == "x-forwarded-for").then_some(value),
                None,
                None,
            )
        };
        let (lan, internet) = (read("10.0.0.1"), read("8.8.8.8"));
        let local = |times: usize| "10.0.0.1,".repeat(times);
        assert_eq!(
            of(&(local(ITEMS_MAX - 1) + "8.8.8.8")),
            internet,
            "the last item"
        );
        assert_eq!(of(&(local(ITEMS_MAX) + "8.8.8.8")), lan, "one too many");
        let filled = |bytes: usize| "x".repeat(bytes - 8) + ",8.8.8.8";
        assert_eq!(of(&filled(VALUE_BYTES_MAX)), internet, "the last byte");
        assert_eq!(
            of(&filled(VALUE_BYTES_MAX + 1)),
            None,
            "an item that is not whole"
        );
        assert_eq!(
            of(&("8.8.8.8".to_string() + &" ".repeat(1 << 20))),
            None,
            "no whole item"
        );
        assert_eq!(of(&",".repeat(1 << 20)), None);
        assert_eq!(
            of(&("8.8.8.8,".to_string() + &"\u{1f980}".repeat(1 << 18))),
            internet
        );
        let endless = |_: &str| std::iter::repeat_n("10.0.0.1", 1 << 20);
        assert_eq!(client_ip(endless, None, None), lan);
    }
}
