//! Series that have a handle, and how a client gives handles out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::handle::{CountCell, GaugeCell, Values, ValuesCell};
use super::sample::{Context, Kind};
use super::{
    Client, CountHandle, DistributionHandle, Error, GaugeHandle, HistogramHandle, TimingHandle,
};

/// Cells of all handles, in the order of their contexts.
pub(super) struct Cells {
    pub(super) counts: Vec<Arc<CountCell>>,
    pub(super) gauges: Vec<Arc<GaugeCell>>,
    pub(super) values: Vec<Arc<ValuesCell>>,
}

/// Series that have a handle.
#[derive(Default)]
pub(super) struct Series {
    pub(super) counts: BTreeMap<Context, Arc<CountCell>>,
    pub(super) gauges: BTreeMap<Context, Arc<GaugeCell>>,
    /// Of histograms, distributions and timings.
    pub(super) values: BTreeMap<Context, Arc<ValuesCell>>,
}

/// Handles for series known beforehand, for where every nanosecond counts. The same name and tags give
/// the same series.
///
/// # Errors
/// Each says [`Error::Name`], [`Error::TooBig`], or [`Error::Handles`] when there are too many.
impl Client {
    /// A handle for one count.
    pub fn count_handle(&self, name: &str, tags: &[(&str, &str)]) -> Result<CountHandle, Error> {
        let context = self.0.context(Kind::Count, name, tags)?;
        let series = &mut *self.0.shared.series();
        let room = series.room(self.0.shared.handles_max);
        Ok(CountHandle(found(
            &mut series.counts,
            context,
            room,
            CountCell::new,
        )?))
    }

    /// A handle for one gauge.
    pub fn gauge_handle(&self, name: &str, tags: &[(&str, &str)]) -> Result<GaugeHandle, Error> {
        let context = self.0.context(Kind::Gauge, name, tags)?;
        let series = &mut *self.0.shared.series();
        let room = series.room(self.0.shared.handles_max);
        let cell = found(&mut series.gauges, context, room, GaugeCell::new)?;
        let core = self.0.clone();
        Ok(GaugeHandle { cell, core })
    }

    /// A handle for one timing.
    pub fn timing_handle(&self, name: &str, tags: &[(&str, &str)]) -> Result<TimingHandle, Error> {
        self.values(Kind::Timing, name, tags).map(TimingHandle)
    }

    /// A handle for one histogram.
    pub fn histogram_handle(
        &self,
        name: &str,
        tags: &[(&str, &str)],
    ) -> Result<HistogramHandle, Error> {
        self.values(Kind::Histogram, name, tags)
            .map(HistogramHandle)
    }

    /// A handle for one distribution.
    pub fn distribution_handle(
        &self,
        name: &str,
        tags: &[(&str, &str)],
    ) -> Result<DistributionHandle, Error> {
        self.values(Kind::Distribution, name, tags)
            .map(DistributionHandle)
    }

    fn values(&self, kind: Kind, name: &str, tags: &[(&str, &str)]) -> Result<Values, Error> {
        let shared = &self.0.shared;
        let context = self.0.context(kind, name, tags)?;
        let series = &mut *shared.series();
        let room = series.room(shared.handles_max);
        let new = |context| ValuesCell::new(context, shared.values_max);
        let cell = found(&mut series.values, context, room, new)?;
        let core = self.0.clone();
        Ok(Values { cell, core })
    }
}

/// The cell of this context, made if there is none and room for one.
fn found<T>(
    cells: &mut BTreeMap<Context, Arc<T>>,
    context: Context,
    room: Result<(), Error>,
    new: impl FnOnce(Context) -> T,
) -> Result<Arc<T>, Error> {
    if let Some(cell) = cells.get(&context) {
        return Ok(cell.clone());
    }
    room?;
    let cell = Arc::new(new(context.clone()));
    cells.insert(context, cell.clone());
    Ok(cell)
}

impl Series {
    fn room(&self, max: usize) -> Result<(), Error> {
        if self.counts.len() + self.gauges.len() + self.values.len() < max {
            Ok(())
        } else {
            Err(Error::Handles(max))
        }
    }

    /// Every cell, for the worker to collect without holding the lock.
    pub(super) fn cells(&self) -> Cells {
        Cells {
            counts: self.counts.values().cloned().collect(),
            gauges: self.gauges.values().cloned().collect(),
            values: self.values.values().cloned().collect(),
        }
    }

    /// Samples that wait for the next flush.
    pub(super) fn waiting(&self) -> u64 {
        let counts = self.counts.values().map(|cell| cell.waiting());
        let gauges = self.gauges.values().map(|cell| cell.waiting());
        let values = self.values.values().map(|cell| cell.waiting());
        counts.chain(gauges).chain(values).sum()
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series")
            .field("counts", &self.counts.len())
            .field("gauges", &self.gauges.len())
            .field("values", &self.values.len())
            .finish()
    }
}
