//! A look at a thread, as the words that its ring holds: a head, then addresses.

/// The thread used up a period of CPU time.
pub(super) const CPU: u64 = 0;
/// It was its turn.
pub(super) const WALL: u64 = 1;
/// It allocated.
pub(super) const HEAP: u64 = 2;

/// What stands before the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u64,
    pub(super) span_id: u64,
    pub(super) root_id: u64,
    /// The thread's CPU time; of an allocation its bytes.
    pub(super) cpu_ns: u64,
    /// CPU time since the last look that speaks for CPU time; of an allocation how many it stands for.
    pub(super) cpu_delta_ns: u64,
}

/// Words of a head.
pub(super) const HEAD_WORDS: usize = 5;

impl Head {
    pub(super) fn words(&self) -> [u64; HEAD_WORDS] {
        [
            self.kind,
            self.span_id,
            self.root_id,
            self.cpu_ns,
            self.cpu_delta_ns,
        ]
    }

    /// A record's head and its addresses.
    pub(super) fn of(record: &[u64]) -> Option<(Head, &[u64])> {
        let (head, addresses) = record.split_first_chunk::<HEAD_WORDS>()?;
        let [kind, span_id, root_id, cpu_ns, cpu_delta_ns] = *head;
        Some((
            Head {
                kind,
                span_id,
                root_id,
                cpu_ns,
                cpu_delta_ns,
            },
            addresses,
        ))
    }
}
