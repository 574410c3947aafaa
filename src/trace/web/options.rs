//! What a server span may be told to say of its request.

use super::{HeaderTags, QueryTag, Statuses};

/// What a server span says of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOptions {
    /// What `http.url` holds of the query.
    pub query: QueryTag,
    /// Whether `http.client_ip` and `network.client.ip` are set. Off by default: an address is
    /// personal.
    pub client_ip: bool,
    /// The one header that holds the client's address, instead of those that proxies set.
    pub client_ip_header: Option<String>,
    /// Headers that become tags.
    pub header_tags: HeaderTags,
    /// Answers that are errors of the server's span.
    pub server_errors: Statuses,
    /// Answers that are errors of a client's span.
    pub client_errors: Statuses,
}

impl Default for WebOptions {
    fn default() -> WebOptions {
        WebOptions {
            query: QueryTag::default(),
            client_ip: false,
            client_ip_header: None,
            header_tags: HeaderTags::default(),
            server_errors: Statuses::range(500, 599),
            client_errors: Statuses::range(400, 499),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_other_tracers() {
        let options = WebOptions::default();
        assert_eq!(options.query, QueryTag::Redacted);
        assert!(!options.client_ip && options.header_tags == HeaderTags::default());
        let shown = [&options.server_errors, &options.client_errors].map(ToString::to_string);
        assert_eq!(shown, ["500-599", "400-499"]);
    }
}
