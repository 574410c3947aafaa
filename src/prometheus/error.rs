//! Why a family was not registered.

use std::fmt;

use super::bounds::BOUNDS_MAX;

/// Why a family was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not a metric name.
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
    /// Bounds that do not ascend, are not finite, or are too many.
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
                    "metric name {name:?}: must match [a-zA-Z_:][a-zA-Z0-9_:]*"
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
                 not begin with __ and not be le or quantile"
            ),
            Error::LabelTwice { family, label } => {
                write!(f, "label {label:?} of {family}: named twice")
            }
            Error::Taken { family, name } => {
                write!(f, "family {family}: another family already writes {name}")
            }
            Error::Bounds(family) => write!(
                f,
                "bounds of {family}: must be finite, ascending and at most {BOUNDS_MAX}"
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
                "metric name \"é\": must match [a-zA-Z_:][a-zA-Z0-9_:]*",
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
                "bounds of h: must be finite, ascending and at most 100",
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
