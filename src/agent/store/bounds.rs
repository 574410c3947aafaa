//! The bounds that an agent is started with.

/// How much the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of trace chunks and what is known of them.
    pub traces_bytes_max: usize,
    /// Bytes of log lines and what is known of them.
    pub logs_bytes_max: usize,
    /// Rows of the payload list.
    pub payload_rows_max: usize,
    /// DogStatsD contexts, and as many Prometheus series.
    pub metric_contexts_max: usize,
    /// Bytes of the contexts and what is known of them, and as many of the series.
    pub metrics_bytes_max: usize,
    /// Members of one set told apart within 10 seconds.
    pub set_members_max: usize,
    /// Values of one histogram, timing or distribution kept within 10 seconds.
    pub bucket_values_max: usize,
    /// Bytes of profiles, decoded and as they came.
    pub profiles_bytes_max: usize,
    /// Groups of errors.
    pub error_groups_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            traces_bytes_max: 64 << 20,
            logs_bytes_max: 32 << 20,
            payload_rows_max: 2_000,
            metric_contexts_max: 5_000,
            metrics_bytes_max: 32 << 20,
            set_members_max: 10_000,
            bucket_values_max: 10_000,
            profiles_bytes_max: 32 << 20,
            error_groups_max: 500,
        }
    }
}
