//! For tests alone: reads a datagram as strictly as the Agent does, independently of the encoder.

/// One message as read: what it is, and what it carries, all in plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Read {
    /// `c`, `g`, `s`, `h`, `d`, `ms`, `event` or `check`.
    pub(super) kind: String,
    /// Name, title, or name of the check.
    pub(super) name: String,
    /// Values, text, or status.
    pub(super) values: Vec<String>,
    pub(super) tags: Vec<String>,
    /// All other fields, by their first letters.
    pub(super) fields: Vec<(String, String)>,
}

/// All messages of a datagram, or what is wrong with it.
pub(super) fn datagram(bytes: &[u8]) -> Result<Vec<Read>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let Some(lines) = text.strip_suffix('\n') else {
        return Err(format!("no newline at the end: {text:?}"));
    };
    lines
        .split('\n')
        .map(|line| message(line.strip_suffix('\r').unwrap_or(line)))
        .collect()
}

fn message(line: &str) -> Result<Read, String> {
    let read = if let Some(rest) = line.strip_prefix("_e{") {
        event(rest)
    } else if let Some(rest) = line.strip_prefix("_sc") {
        check(rest)
    } else {
        metric(line)
    };
    read.ok_or_else(|| format!("cannot parse {line:?}"))
}

fn metric(line: &str) -> Option<Read> {
    let (name, rest) = line.split_once(':')?;
    let mut parts = rest.split('|');
    let raw = parts
        .next()
        .filter(|raw| !raw.is_empty() && !name.is_empty())?;
    let kind = parts
        .next()
        .filter(|kind| ["c", "g", "s", "h", "d", "ms"].contains(kind))?;
    let values: Vec<String> = match kind {
        "s" => vec![raw.to_string()],
        _ => raw.split(':').map(str::to_string).collect(),
    };
    if kind != "s"
        && !values
            .iter()
            .all(|value| value.parse().is_ok_and(f64::is_finite))
    {
        return None;
    }
    let read = Read {
        kind: kind.to_string(),
        name: name.to_string(),
        values,
        ..Read::default()
    };
    fields(read, parts)
}

fn event(rest: &str) -> Option<Read> {
    let (lengths, rest) = rest.split_once("}:")?;
    let (title, text) = lengths.split_once(',')?;
    let (title, text): (usize, usize) = (title.parse().ok()?, text.parse().ok()?);
    let text_end = (title + 1).checked_add(text)?;
    if title == 0 || rest.get(title..=title)? != "|" {
        return None;
    }
    let read = Read {
        kind: "event".to_string(),
        name: rest.get(..title)?.to_string(),
        values: vec![rest.get(title + 1..text_end)?.to_string()],
        ..Read::default()
    };
    match rest.get(text_end..)? {
        "" => Some(read),
        more => fields(read, more.strip_prefix('|')?.split('|')),
    }
}

fn check(rest: &str) -> Option<Read> {
    let mut parts = rest.strip_prefix('|')?.split('|');
    let name = parts.next().filter(|name| !name.is_empty())?;
    let status = parts
        .next()
        .filter(|status| ["0", "1", "2", "3"].contains(status))?;
    let read = Read {
        kind: "check".to_string(),
        name: name.to_string(),
        values: vec![status.to_string()],
        ..Read::default()
    };
    fields(read, parts)
}

/// Stricter than the Agent, which skips what it does not know: here that is an error.
fn fields<'a>(mut read: Read, parts: impl Iterator<Item = &'a str>) -> Option<Read> {
    for part in parts {
        if let Some(tags) = part.strip_prefix('#') {
            read.tags = tags.split(',').map(str::to_string).collect();
            let taken = |tag: &String| tag.starts_with("host:") || tag.starts_with("dd.internal.");
            if read.tags.iter().any(|tag| tag.is_empty() || taken(tag)) {
                return None;
            }
            continue;
        }
        let known = [
            "card:", "@", "c:", "e:", "T", "d:", "h:", "k:", "p:", "s:", "t:", "m:",
        ];
        let key = known.into_iter().find(|key| part.starts_with(key))?;
        let value = &part[key.len()..];
        let twice = read.fields.iter().any(|(seen, _)| seen == key);
        let wrong = match key {
            "@" => !value
                .parse()
                .is_ok_and(|rate: f64| rate > 0.0 && rate <= 1.0),
            "T" | "d:" => value.parse::<u64>().is_err(),
            _ => value.is_empty(),
        };
        if twice || wrong {
            return None;
        }
        read.fields.push((key.to_string(), value.to_string()));
    }
    Some(read)
}
