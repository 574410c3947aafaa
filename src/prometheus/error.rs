//! Why a family was not registered.

use std::fmt;

use super::bounds::BOUNDS_MAX;
use super::name::{LABELS_MAX, NAME_BYTES_MAX};

/// Why a family was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not a metric name, or one that is nothing but its ending.
    Name(String),
    /// A name whose end says that it is of another kind.
    Ending {
        /// The family.
        family: String,
        /// What it ends with.
        ending: &'static str,
    },
    /// Not a label name, or a reserved one.
    Label {
        /// The family.
        family: String,
        /// The label.
        label: String,
    },
    /// Too many labels.
    Labels(String),
    /// A value of an info that no format can write, or that is too long.
    LabelValue {
        /// The family.
        family: String,
        /// The label.
        label: String,
    },
    /// The same label twice.
    LabelTwice {
        /// The family.
        family: String,
        /// The label.
        label: String,
    },
    /// Another family writes samples of that name.
    Taken {
        /// The family that was to be registered.
        family: String,
        /// The name that both would write.
        name: String,
    },
    /// Bounds that do not ascend, are below zero or not finite, or are too many.
    Bounds(String),
    /// Quantiles that do not ascend, are not from 0 to 1, or are too many.
    Quantiles(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(name) => {
                write!(
                    f,
                    "metric name {name:?}: must match [a-zA-Z_:][a-zA-Z0-9_:]* and have at most \
                     {NAME_BYTES_MAX} bytes"
                )
            }
            Error::Ending { family, ending } => {
                write!(
                    f,
                    "metric name {family}: {ending} at its end is for another kind of metric"
                )
            }
            Error::Label { family, label } => write!(
                f,
                "label {label:?} of {family}: must match [a-zA-Z_][a-zA-Z0-9_]*, \
                 not begin with __, not be le or quantile and have at most {NAME_BYTES_MAX} bytes"
            ),
            Error::Labels(family) => write!(f, "labels of {family}: at most {LABELS_MAX}"),
            Error::LabelValue { family, label } => write!(
                f,
                "value of label {label:?} of {family}: at most 1,024 bytes, and no line break but the line feed"
            ),
            Error::LabelTwice { family, label } => {
                write!(f, "label {label:?} of {family}: named twice")
            }
            Error::Taken { family, name } => {
                write!(f, "family {family}: another family already writes {name}")
            }
            Error::Bounds(family) => write!(
                f,
                "bounds of {family}: must be from 0 to 1e290, ascending and at most {BOUNDS_MAX}"
            ),
            Error::Quantiles(family) => write!(
                f,
                "quantiles of {family}: must be from 0 to 1, ascending and at most {BOUNDS_MAX}"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_value_and_what_is_allowed() {
        let rows = [
            (
                Error::Name("é".into()),
                "metric name \"é\": must match [a-zA-Z_:][a-zA-Z0-9_:]* and have at most 200 bytes",
            ),
            (
                Error::Ending {
                    family: "a_total".into(),
                    ending: "_total",
                },
                "metric name a_total: _total at its end is for another kind of metric",
            ),
            (
                Error::Bounds("h".into()),
                "bounds of h: must be from 0 to 1e290, ascending and at most 100",
            ),
            (
                Error::Quantiles("s".into()),
                "quantiles of s: must be from 0 to 1, ascending and at most 100",
            ),
        ];
        for (error, text) in rows {
            assert_eq!(error.to_string(), text);
        }
    }
}
