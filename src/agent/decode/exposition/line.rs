//! One line of a page.

use super::super::go_number;
use super::format::Format;
use super::label::{Labels, is_metric_name, is_name_char, labels};
use super::page::{Exemplar, Sample};

/// What a line is. Whether it may stand where it stands is for the page.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::agent) enum Line<'a> {
    Blank,
    /// Free text behind `#`.
    Comment,
    /// `# EOF` of OpenMetrics.
    Eof,
    /// Name, and text with its escapes.
    Help(&'a str, &'a str),
    Type(&'a str, &'a str),
    /// OpenMetrics alone has it.
    Unit(&'a str, &'a str),
    Sample(Sample<'a>, Option<Exemplar<'a>>),
}

const TYPES_TEXT: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];
const TYPES_OPEN_METRICS: [&str; 8] = [
    "counter",
    "gauge",
    "histogram",
    "gaugehistogram",
    "stateset",
    "info",
    "summary",
    "unknown",
];

/// Lines with their numbers, from 1; what stands behind the last line break is none where it is empty.
pub(in crate::agent) fn lines(text: &str, format: Format) -> impl Iterator<Item = (usize, &str)> {
    let each = text.split_inclusive('\n').map(move |line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        match format {
            Format::Text => line.trim(),
            Format::OpenMetrics => line,
        }
    });
    each.enumerate().map(|(at, line)| (at + 1, line))
}

/// Reads one line of [`lines`].
pub(in crate::agent) fn line(text: &str, format: Format) -> Result<Line<'_>, &'static str> {
    match (format, text.strip_prefix('#')) {
        _ if text.is_empty() => Ok(Line::Blank),
        (Format::Text, Some(comment)) => comment_text(comment),
        (Format::OpenMetrics, Some(comment)) => comment_open_metrics(comment),
        (Format::Text, None) => sample_text(text).map(|sample| Line::Sample(sample, None)),
        (Format::OpenMetrics, None) => sample_open_metrics(text),
    }
}

fn comment_text(comment: &str) -> Result<Line<'_>, &'static str> {
    let (keyword, rest) = first_word(comment);
    let (name, rest) = first_word(rest);
    let rest = rest.trim_ascii();
    match keyword {
        "HELP" if is_metric_name(name) => Ok(Line::Help(name, rest)),
        "TYPE" if is_metric_name(name) && TYPES_TEXT.contains(&rest) => Ok(Line::Type(name, rest)),
        "TYPE" => Err("TYPE takes a name and counter, gauge, histogram, summary or untyped"),
        _ => Ok(Line::Comment),
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| c.is_ascii_whitespace());
    text.split_at(end.unwrap_or(text.len()))
}

/// One blank between two words, and none elsewhere.
fn comment_open_metrics(comment: &str) -> Result<Line<'_>, &'static str> {
    if comment == " EOF" {
        return Ok(Line::Eof);
    }
    let mut words = comment.splitn(4, ' ');
    let empty = words.next() == Some("");
    let (keyword, name, rest) = (words.next(), words.next(), words.next());
    let keyword = keyword.filter(|word| empty && ["HELP", "TYPE", "UNIT"].contains(word));
    let Some(keyword) = keyword else {
        return Ok(Line::Comment);
    };
    let name = name.filter(|name| is_metric_name(name));
    let name = name.ok_or("HELP, TYPE or UNIT without a metric name")?;
    match (keyword, rest) {
        ("HELP", Some(text)) => Ok(Line::Help(name, text)),
        ("TYPE", Some(kind)) if TYPES_OPEN_METRICS.contains(&kind) => Ok(Line::Type(name, kind)),
        ("TYPE", _) => Err(
            "TYPE takes a name and counter, gauge, histogram, gaugehistogram, stateset, info, summary or unknown",
        ),
        ("UNIT", Some(unit)) if unit.chars().all(is_name_char) => Ok(Line::Unit(name, unit)),
        ("UNIT", _) => Err("UNIT takes a name and a unit"),
        _ => Err("HELP without a blank behind the name"),
    }
}

fn metric_name(text: &str) -> Result<(&str, &str), &'static str> {
    let name_end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if is_metric_name(name) {
        Ok((name, rest))
    } else {
        Err("no metric name")
    }
}

fn sample_text(text: &str) -> Result<Sample<'_>, &'static str> {
    let (name, rest) = metric_name(text)?;
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest, Format::Text)?,
        None => (Vec::new(), rest),
    };
    if rest.contains(" # ") {
        return Err("an exemplar, which 0.0.4 does not have");
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("no value")?;
    let value = number(value).ok_or("the value is not a number")?;
    let timestamp_ms = match words.next() {
        Some(word) => Some(
            word.parse()
                .map_err(|_| "the timestamp is not a whole number")?,
        ),
        None => None,
    };
    if words.next().is_some() {
        return Err("more than value and timestamp");
    }
    Ok(Sample {
        name,
        labels,
        value,
        timestamp_ms,
    })
}

fn sample_open_metrics(text: &str) -> Result<Line<'_>, &'static str> {
    let (name, rest) = metric_name(text)?;
    let (labels, rest) = braces(rest)?;
    let rest = rest.strip_prefix(' ').ok_or("no value")?;
    let (own, exemplar) = match rest.split_once(" # ") {
        Some((own, exemplar)) => (own, Some(exemplar)),
        None => (rest, None),
    };
    let (value, timestamp_ms) = value_and_time(own)?;
    let sample = Sample {
        name,
        labels,
        value,
        timestamp_ms,
    };
    Ok(Line::Sample(
        sample,
        exemplar.map(read_exemplar).transpose()?,
    ))
}

/// Labels where there are braces.
fn braces(rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    match rest.strip_prefix('{') {
        Some(rest) => labels(rest, Format::OpenMetrics),
        None => Ok((Vec::new(), rest)),
    }
}

fn read_exemplar(text: &str) -> Result<Exemplar<'_>, &'static str> {
    if !text.starts_with('{') {
        return Err("an exemplar without braces");
    }
    let (labels, rest) = braces(text)?;
    let rest = rest
        .strip_prefix(' ')
        .ok_or("an exemplar without a value")?;
    let (value, timestamp_ms) = value_and_time(rest)?;
    Ok(Exemplar {
        labels,
        value,
        timestamp_ms,
    })
}

/// A number, and seconds behind one blank.
fn value_and_time(text: &str) -> Result<(f64, Option<i64>), &'static str> {
    let (value, time) = match text.split_once(' ') {
        Some((value, time)) => (value, Some(time)),
        None => (text, None),
    };
    let value = number(value).ok_or("the value is not a number")?;
    let seconds = |text: &str| number(text).filter(|seconds| seconds.is_finite());
    let timestamp_ms = match time {
        Some(time) => Some(seconds(time).ok_or("the timestamp is not a number of seconds")?),
        None => None,
    };
    let timestamp_ms = timestamp_ms.map(|seconds| (seconds * 1e3).round() as i64);
    Ok((value, timestamp_ms))
}

/// Both formats read what Go read before 1.13: no digits but decimal ones, nothing between them (prometheus:
/// model/textparse/promparse.go, `parseFloat`).
fn number(text: &str) -> Option<f64> {
    if text.contains(['p', 'P', '_']) {
        return None;
    }
    go_number::float(text)
}
