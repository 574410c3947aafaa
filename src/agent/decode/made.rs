//! Profiles and uploads made by hand, for tests.

/// One sample: frames from the outermost on, each `function:line`; labels, a number where the value begins with `#`.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::agent) struct Made<'m> {
    pub(in crate::agent) stack: &'m [&'m str],
    pub(in crate::agent) values: &'m [i64],
    pub(in crate::agent) labels: &'m [(&'m str, &'m str)],
}

pub(in crate::agent) const EVENT: &str = r#"{"attachments":["profile.pprof"],
    "tags_profiler":"service:web,env:dev,version:1.0,language:native,host:h,process_id:7",
    "start":"2026-11-22T10:48:21.237265334Z","end":"2026-11-22T10:48:25.975857308Z",
    "family":"native","version":"4","endpoint_counts":{"GET /a":2,"GET /b":5}}"#;

pub(in crate::agent) const CONTENT_TYPE: &str = "multipart/form-data; boundary=bound";

pub(in crate::agent) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(in crate::agent) fn int(number: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(number) << 3), varint(value as u64)].concat()
}

pub(in crate::agent) fn bytes(number: u32, bytes: &[u8]) -> Vec<u8> {
    let head = varint(u64::from(number) << 3 | 2);
    [&head, &varint(bytes.len() as u64), bytes].concat()
}

#[derive(Default)]
struct Table(Vec<String>);

impl Table {
    fn place(&mut self, text: &str) -> i64 {
        let at = self.0.iter().position(|known| known == text);
        let at = at.unwrap_or_else(|| {
            self.0.push(text.to_string());
            self.0.len() - 1
        });
        at as i64
    }
}

/// Its last text is one that is named, so that no beginning of it is a profile too.
pub(in crate::agent) fn made(types: &[(&str, &str)], samples: &[Made<'_>]) -> Vec<u8> {
    let mut texts = Table::default();
    texts.place("");
    let mut frames: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for sample in samples {
        let mut one = Vec::new();
        for frame in sample.stack.iter().rev() {
            let known = frames.iter().position(|known| known == frame);
            let at = known.unwrap_or_else(|| {
                frames.push(frame);
                frames.len() - 1
            });
            one.extend(int(1, at as i64 + 1));
        }
        let values: Vec<u8> = sample
            .values
            .iter()
            .flat_map(|v| varint(*v as u64))
            .collect();
        one.extend(bytes(2, &values));
        for (key, value) in sample.labels {
            let value = match value.strip_prefix('#') {
                Some(number) => int(3, number.parse::<u64>().unwrap() as i64),
                None => int(2, texts.place(value)),
            };
            one.extend(bytes(3, &[int(1, texts.place(key)), value].concat()));
        }
        out.extend(bytes(2, &one));
    }
    for (at, frame) in frames.iter().enumerate() {
        let id = at as i64 + 1;
        let (name, line) = frame.split_once(':').unwrap_or((frame, "0"));
        let file = texts.place(&format!("{name}.rs"));
        let function = [int(1, id), int(2, texts.place(name)), int(4, file)].concat();
        out.extend(bytes(5, &function));
        let line = [int(1, id), int(2, line.parse().unwrap())].concat();
        out.extend(bytes(4, &[int(1, id), bytes(4, &line)].concat()));
    }
    for (name, unit) in types {
        let unit = texts.place(unit);
        out.extend(bytes(
            1,
            &[int(1, texts.place(name)), int(2, unit)].concat(),
        ));
    }
    out.extend(texts.0.iter().flat_map(|text| bytes(6, text.as_bytes())));
    out
}

pub(in crate::agent) fn upload(event: &str, attachments: &[(&str, &[u8])]) -> Vec<u8> {
    let event = ("event", "event.json", event.as_bytes());
    let others = attachments
        .iter()
        .map(|(name, bytes)| (*name, *name, *bytes));
    let mut body = Vec::new();
    for (name, filename, bytes) in std::iter::once(event).chain(others) {
        let head = format!(
            "--bound\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--bound--");
    body
}
