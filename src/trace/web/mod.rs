//! What a server span says of its request, and what services are called: settings and pure
//! functions on text.
//!
//! Invariants: no clock, environment or socket; the work grows with what is read, whatever a client
//! sends; where a setting cannot be read, the answer names what is wrong and what is allowed.
//!
//! Follows dd-trace-go (`instrumentation/httptrace`, `internal/clientip`, `internal/normalizer`)
//! and dd-trace-py (`ddtrace/contrib/internal/trace_utils.py`); each file says where it does not.
//!
//! ```
//! use testapi::trace::web::{HeaderTags, WebOptions, client_ip, header_value, push_url};
//!
//! let (header_tags, problems) = HeaderTags::parse("user-agent,x-shop:shop.id,late:");
//! assert_eq!(problems, ["\"late:\": takes the name of a header, or header:tag"]);
//! let options = WebOptions { client_ip: true, header_tags, ..WebOptions::default() };
//!
//! let request = [("x-forwarded-for", "10.0.0.1, 8.8.8.8:443"), ("x-shop", " 7 ")];
//! let header = |name: &str| request.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
//! let mut url = String::new();
//! push_url(&mut url, "shop:5000", "/cart?item=7&token=abc", &options.query);
//! let ip = client_ip(header, options.client_ip_header.as_deref(), None);
//! let tags: Vec<_> = options.header_tags.request_tags()
//!     .filter_map(|(name, key)| Some((key, header_value(header(name))?)))
//!     .collect();
//!
//! assert_eq!(url, "http://shop:5000/cart?item=7&<redacted>");
//! assert_eq!(ip, Some([8, 8, 8, 8].into()));
//! assert_eq!(tags, [("shop.id", "7".into())]);
//! assert!(options.server_errors.contains(503) && options.client_errors.contains(404));
//! ```

mod client_ip;
mod git;
mod header_tags;
mod options;
mod query;
mod redact;
mod scan;
mod service_mapping;
mod statuses;

pub use client_ip::client_ip;
pub use git::repository_url;
pub use header_tags::{HeaderTags, header_value};
pub use options::WebOptions;
pub use query::{QueryTag, push_url};
pub use service_mapping::ServiceMapping;
pub use statuses::{ParseStatusesError, Statuses};
