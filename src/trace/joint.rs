//! What those who make spans and the thread that sends them share.

use super::notices::Notices;
use super::sampling::Sampler;
use super::tally::Tally;
use super::told::Told;
use crate::clock::Clock;

#[derive(Debug)]
pub(super) struct Joint {
    pub(super) clock: Clock,
    pub(super) sampler: Sampler,
    pub(super) tally: Tally,
    pub(super) told: Told,
    pub(super) notices: Notices,
}
