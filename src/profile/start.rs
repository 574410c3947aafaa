//! How a profiler begins.

use std::sync::Arc;

use super::armed::Armed;
use super::counts::Counts;
use super::figures::Figures;
use super::maps::Maps;
use super::pace::Pace;
use super::profiler::{Profiler, Shared};
use super::registry::Registry;
use super::sampler::{Sampler, Start};
use super::stack;
use super::upload::{self, uploader};
use super::{Error, Options};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::worker::{self, Guard, Limits};

/// Starts to sample. Threads that begin from now on are watched from their birth. The guards are to be stopped in
/// their order: the first samples, the second uploads.
///
/// # Errors
/// [`Error`]: there is one already, or the system has no part of it.
pub fn start(
    options: Options,
    identity: &Identity,
    clock: Clock,
) -> Result<(Profiler, Vec<Guard>), Error> {
    let pace = Pace::of(&options);
    let registry = Arc::new(Registry::new(pace.cpu_period_ns));
    tell_own_code();
    let armed = Armed::new(registry.clone())?;
    let (counts, figures) = (Arc::new(Counts::default()), Arc::new(Figures::default()));
    let (hotspots, endpoints) = (options.hotspots, options.endpoints);
    let heap_every_bytes = options.heap_every_bytes;
    let uploader = uploader(&options, identity, clock.clone(), counts.clone());
    let told = uploader.told();
    let costs = (registry.clone(), figures.clone());
    let uploader = uploader
        .with_figures(Box::new(move || costs.1.list(&costs.0)))
        .with_giving_back(stack::give_back_memory);
    let uploads_end_ns = uploader.end_ns();
    let (uploads, upload_guard) =
        worker::start("dd-profile", upload::LIMITS, clock.clone(), uploader)
            .map_err(Error::Thread)?;
    let sampler = Sampler::new(Start {
        registry: registry.clone(),
        counts: counts.clone(),
        figures: figures.clone(),
        told: told.clone(),
        uploads: uploads.clone(),
        clock: clock.clone(),
        pace,
        uploads_end_ns,
        armed,
    });
    let limits = Limits {
        queue_items_max: 1,
        flush_interval: pace.tick(),
        ..Limits::default()
    };
    let (sampler, sample_guard) =
        worker::start("dd-stacks", limits, clock, sampler).map_err(Error::Thread)?;
    let shared = Shared {
        registry,
        counts,
        figures,
        told,
        sampler,
        uploads,
        hotspots,
        endpoints,
    };
    stack::sample_heap_every(heap_every_bytes);
    let profiler = Profiler(Arc::new(shared));
    Ok((profiler, vec![sample_guard, upload_guard]))
}

/// Where it cannot be told, stacks are no deeper than one place.
fn tell_own_code() {
    if let Some((low, high)) = Maps::of_process().ok().and_then(|maps| maps.own_code()) {
        stack::set_own_code(low as usize, high as usize);
    }
}
