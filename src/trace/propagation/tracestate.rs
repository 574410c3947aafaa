//! W3C's `tracestate`: a list of members, of which `dd=` is ours and the others are passed on as they came.
//!
//! W3C Trace Context section 3.3; what `dd` holds and how much of all this is taken are as in dd-trace-go
//! (`ddtrace/tracer/textmap.go`, `parseTracestate` and `composeTracestate`).

use std::fmt::Write;

use super::super::{Priority, SpanContext};
use super::datadog::sendable_origin;
use super::headers::{Headers, is_printable, trimmed};
use super::number::any_hex;
use super::tags::{self, DECISION, PREFIX, TRACE_ID_HIGH};

const NAME: &str = "tracestate";
/// Longest list that is read or written; a longer one counts as absent. Eight times what W3C asks for
/// (section 3.3.1.5).
const BYTES_MAX: usize = 4_096;
/// Section 3.3.1.1, ours included.
const MEMBERS_MAX: usize = 32;
const MEMBER_BYTES_MAX: usize = 512;
const DD_BYTES_MAX: usize = 256;

/// What the list says.
#[derive(Default)]
pub(super) struct State {
    /// `s`, the priority.
    pub(super) priority: Option<i32>,
    /// `o`.
    pub(super) origin: Option<String>,
    /// `p`, the last Datadog span.
    pub(super) datadog_parent_id: Option<u64>,
    /// `t.*`, without the upper half of the trace id: that stands in `traceparent`.
    pub(super) tags: Vec<(String, String)>,
    /// The members of others.
    pub(super) others: String,
    has_dd: bool,
    members: usize,
}

/// Reads all headers of the name as one list, as W3C wants it.
pub(super) fn read<'a>(headers: &impl Headers<'a>) -> State {
    let (mut state, mut bytes) = (State::default(), 0);
    for line in headers.all(NAME) {
        bytes += line.len() + 1;
        if bytes > BYTES_MAX + 1 {
            return State::default();
        }
        line.split(',')
            .map(trimmed)
            .for_each(|member| state.take(member));
    }
    state
}

/// The list as it came, for a link to its span: without what is too long or cannot stand in a header.
pub(super) fn as_it_came<'a>(headers: &impl Headers<'a>) -> String {
    let mut list = String::new();
    for line in headers.all(NAME) {
        if list.len() + line.len() > BYTES_MAX {
            return String::new();
        }
        for member in line
            .split(',')
            .map(trimmed)
            .filter(|member| is_member(member))
        {
            push(&mut list, member);
        }
    }
    list
}

fn is_member(text: &str) -> bool {
    let bytes_max = if text.starts_with("dd=") {
        DD_BYTES_MAX
    } else {
        MEMBER_BYTES_MAX
    };
    !text.is_empty() && text.len() <= bytes_max && is_printable(text)
}

fn push(list: &mut String, member: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(member);
}

impl State {
    fn take(&mut self, member: &str) {
        if !is_member(member) {
            return;
        }
        match member.strip_prefix("dd=") {
            // W3C puts the newest first: further ones are of an earlier hop.
            Some(_) if self.has_dd => {}
            Some(fields) => {
                self.has_dd = true;
                fields.split(';').for_each(|field| self.take_field(field));
            }
            None if self.members + 1 < MEMBERS_MAX => {
                self.members += 1;
                push(&mut self.others, member);
            }
            None => {}
        }
    }

    fn take_field(&mut self, field: &str) {
        let Some((key, value)) = field.split_once(':').filter(|(_, value)| !value.is_empty())
        else {
            return;
        };
        match key {
            "s" => self.priority = value.parse().ok(),
            "o" => self.origin = Some(value.replace('~', "=")),
            "p" => self.datadog_parent_id = any_hex(value, 16).map(|id| id as u64),
            _ => {
                if let Some(name) = key.strip_prefix("t.").filter(|name| !name.is_empty()) {
                    self.take_tag([PREFIX, name].concat(), value.replace('~', "="));
                }
            }
        }
    }

    fn take_tag(&mut self, key: String, value: String) {
        let is_decision = key != DECISION || tags::is_decision(&value);
        if key != TRACE_ID_HIGH && is_decision && tags::is_sound(&key, &value) {
            tags::set(&mut self.tags, key, value);
        }
    }
}

/// Appends the header: ours first, the others as far as they fit.
pub(super) fn inject(context: &SpanContext, headers: &mut Vec<(&'static str, String)>) {
    let mut list = String::with_capacity(DD_BYTES_MAX / 2 + context.state.len().min(BYTES_MAX));
    write_dd(context, &mut list);
    let others = context.state.split(',').map(trimmed);
    let others = others.filter(|member| is_member(member) && !member.starts_with("dd="));
    for member in others.take(MEMBERS_MAX - 1) {
        if list.len() + 1 + member.len() > BYTES_MAX {
            break;
        }
        push(&mut list, member);
    }
    headers.push((NAME, list));
}

fn write_dd(context: &SpanContext, list: &mut String) {
    list.push_str("dd=");
    // Writing to a text cannot fail.
    if let Some(Priority(priority)) = context.priority {
        let _ = write!(list, "s:{priority};");
    }
    if let Some(origin) = sendable_origin(context) {
        list.push_str("o:");
        list.extend(
            origin
                .chars()
                .map(|c| if c == ' ' { '_' } else { value_char(c) }),
        );
        list.push(';');
    }
    let _ = write!(list, "p:{:016x}", context.span_id);
    for (key, value) in &context.tags {
        let Some(name) = key.strip_prefix(PREFIX).filter(|_| key != TRACE_ID_HIGH) else {
            continue;
        };
        if list.len() + name.len() + value.len() + 4 > DD_BYTES_MAX {
            continue;
        }
        list.push_str(";t.");
        list.extend(name.chars().map(key_char));
        list.push(':');
        list.extend(value.chars().map(value_char));
    }
}

fn key_char(c: char) -> char {
    match c {
        ',' | ';' | ':' | '=' | ' ' => '_',
        '!'..='~' => c,
        _ => '_',
    }
}

/// The list keeps `,` `;` `=` for itself, and `=` travels as `~`.
fn value_char(c: char) -> char {
    match c {
        '=' => '~',
        ',' | ';' | '~' => '_',
        ' '..='~' => c,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> State {
        read(&|_: &'static str| lines.iter().copied())
    }

    /// `s|o|p|tags`, as read.
    fn shown(state: &State) -> String {
        let priority = state.priority.map(|priority| priority.to_string());
        let parent = state.datadog_parent_id.map(|id| format!("{id:x}"));
        let tags: Vec<_> = state
            .tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        [
            priority.unwrap_or_default(),
            state.origin.clone().unwrap_or_default(),
            parent.unwrap_or_default(),
            tags.join(" "),
        ]
        .join("|")
    }

    #[track_caller]
    fn check_dd(rule: &str, dd: &str, expected: &str) {
        assert_eq!(shown(&of(&[dd])), expected, "{rule}");
    }

    #[test]
    fn our_member_holds_four_things() {
        let all = "dd=s:2;o:rum;p:00000000deadbeef;t.dm:-4;t.usr.id:a~~";
        check_dd("all", all, "2|rum|deadbeef|_dd.p.dm=-4 _dd.p.usr.id=a==");
        check_dd(
            "a colon in a value",
            "dd=t.url:http://a",
            "|||_dd.p.url=http://a",
        );
        check_dd(
            "the upper half is told elsewhere",
            "dd=t.tid:1111111111111111",
            "|||",
        );
        check_dd("what is new", "dd=x:1;s:-1;y", "-1|||");
        check_dd("empty fields", "dd=s:;o:;p:;t.a:;t.:b;;", "|||");
        check_dd("no numbers", "dd=s:high;p:XX!X;t.dm:4", "|||");
        check_dd("a span id too long", "dd=p:00000000000000001", "|||");
        check_dd(
            "no key for a header",
            "dd=t.a b:1;t.a=b:1;t.dm:-4",
            "|||_dd.p.dm=-4",
        );
        check_dd("an origin with =", "dd=o:a~b", "|a=b||");
        check_dd("the last of two", "dd=t.dm:-1;t.dm:-4", "|||_dd.p.dm=-4");
        check_dd("the first of two members", "dd=s:2,dd=s:1;o:rum", "2|||");
        check_dd("not printable", "dd=s:2;o:\u{e9}", "|||");
        check_dd("not ours", "ddd=s:2", "|||");
        let long = format!("dd=s:2;t.a:{}", "x".repeat(245));
        check_dd("256 bytes", &long, &format!("2|||_dd.p.a={}", &long[11..]));
        check_dd("257 bytes", &format!("{long}x"), "|||");
    }

    #[track_caller]
    fn check_others(rule: &str, lines: &[&str], expected: &str) {
        assert_eq!(of(lines).others, expected, "{rule}");
    }

    #[test]
    fn members_of_others_are_kept_in_order() {
        check_others("none", &[], "");
        check_others("blank", &["", " , \t,"], "");
        check_others("around ours", &["a=1,dd=s:1,b=2"], "a=1,b=2");
        check_others("space", &["a=1 \t , \t b=2,\tc=3 "], "a=1,b=2,c=3");
        check_others("several headers", &["a=1", "", "b=2,c=3"], "a=1,b=2,c=3");
        check_others("keys twice", &["a=1,a=2"], "a=1,a=2");
        check_others("controls", &["a=1\r\nX-Evil: 1,b=2,c=\0"], "b=2");
        check_others("not ASCII", &["a=\u{e9},b=2"], "b=2");
        let member = |bytes: usize| format!("k={}", "x".repeat(bytes - 2));
        check_others("512 bytes", &[&member(512)], &member(512));
        check_others("513 bytes", &[&member(513), "b=2"], "b=2");
        let many: Vec<String> = (0..40).map(|n| format!("k{n}=v")).collect();
        check_others("31 beside ours", &[&many.join(",")], &many[..31].join(","));
    }

    #[test]
    fn a_list_too_long_counts_as_absent() {
        let filler = |bytes: usize| format!("dd=s:2,{}", "x".repeat(bytes - 7));
        for (lines, expected) in [
            (vec![filler(4_096)], Some(2)),
            (vec![filler(4_097)], None),
            (vec![filler(4_000), "x".repeat(95)], Some(2)),
            (vec![filler(4_000), "x".repeat(96)], None),
            (vec![filler(1 << 20)], None),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(of(&lines).priority, expected, "{}", lines[0].len());
        }
    }

    #[test]
    fn a_link_gets_the_list_as_it_came() {
        let long = "x".repeat(513);
        let come = |lines: &[&str]| as_it_came(&|_: &'static str| lines.iter().copied());
        assert_eq!(come(&["a=1 , dd=x:1;s:2", "b=2"]), "a=1,dd=x:1;s:2,b=2");
        assert_eq!(come(&["a=\r\n", &long, "b=2"]), "b=2");
        assert_eq!(come(&[&"a=1,".repeat(1_025)]), "");
        assert_eq!(come(&[]), "");
    }

    #[track_caller]
    fn check_written(rule: &str, context: SpanContext, expected: &str) {
        let context = SpanContext {
            span_id: 0xdead_beef,
            ..context
        };
        let mut headers = Vec::new();
        inject(&context, &mut headers);
        assert_eq!(headers, [("tracestate", expected.to_string())], "{rule}");
    }

    fn tags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect()
    }

    #[test]
    fn ours_is_written_first() {
        let bare = SpanContext::default();
        let full = SpanContext {
            priority: Some(Priority(2)),
            origin: Some("rum".to_string()),
            tags: tags(&[
                ("_dd.p.dm", "-4"),
                ("_dd.p.usr.id", "a=="),
                ("_dd.p.tid", "1"),
                ("other", "1"),
            ]),
            state: "a=1,b=2".to_string(),
            ..bare.clone()
        };
        check_written("nothing else", bare.clone(), "dd=p:00000000deadbeef");
        check_written(
            "all",
            full,
            "dd=s:2;o:rum;p:00000000deadbeef;t.dm:-4;t.usr.id:a~~,a=1,b=2",
        );
        let hostile = SpanContext {
            origin: Some("a\r\n~;=b,c d\u{e9}".to_string()),
            tags: tags(&[("_dd.p.a,b;c:d=e f", "g,h;i~j=k l\0")]),
            state: "x=1\r\nX-Evil: 1, y=2 ,dd=s:2,z=\u{e9},,".to_string(),
            ..bare.clone()
        };
        check_written(
            "hostile",
            hostile,
            "dd=o:a____~b_c_d_;p:00000000deadbeef;t.a_b_c_d_e_f:g_h_i_j~k l_,y=2",
        );
        let no_origin = |origin: String| SpanContext {
            origin: Some(origin),
            ..bare.clone()
        };
        check_written(
            "an empty origin",
            no_origin(String::new()),
            "dd=p:00000000deadbeef",
        );
        check_written(
            "an origin too long",
            no_origin("x".repeat(201)),
            "dd=p:00000000deadbeef",
        );
    }

    #[test]
    fn what_is_written_has_its_limits() {
        let head = "dd=s:1;p:00000000deadbeef";
        let fits = "x".repeat(256 - head.len() - ";t.a:".len());
        let base = SpanContext {
            priority: Some(Priority(1)),
            ..SpanContext::default()
        };
        let with = |pairs: &[(&str, &str)]| SpanContext {
            tags: tags(pairs),
            ..base.clone()
        };
        check_written(
            "256 bytes",
            with(&[("_dd.p.a", &fits)]),
            &format!("{head};t.a:{fits}"),
        );
        let long = format!("{fits}x");
        let two = [("_dd.p.a", long.as_str()), ("_dd.p.b", "1")];
        check_written(
            "one too long goes alone",
            with(&two),
            &format!("{head};t.b:1"),
        );
        let many: Vec<String> = (0..40).map(|n| format!("k{n}=v")).collect();
        let state = |state: String| SpanContext {
            state,
            ..base.clone()
        };
        check_written(
            "32 members",
            state(many.join(",")),
            &format!("{head},{}", many[..31].join(",")),
        );
        let member = format!("k={}", "x".repeat(510));
        let expected = format!("{head},{}", [member.as_str(); 7].join(","));
        check_written(
            "4096 bytes",
            state([member.as_str(); 9].join(",")),
            &expected,
        );
        check_written(
            "a member too long",
            state(format!("{member}x,b=2")),
            &format!("{head},b=2"),
        );
    }
}
