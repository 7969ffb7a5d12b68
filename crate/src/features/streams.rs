//! The residual stream of one document, behind each layer that is analyzed.

use super::accumulate::Activations;
use crate::edits::EditTable;
use crate::error::Result;
use crate::exec::cpu::{CpuCache, CpuEngine};
use crate::ops::buffers::HIDDEN;
use crate::ops::def::{Point, Rows};

/// The residual stream of a document behind each of `layers` (ascending).
pub async fn streams_of(
    engine: &CpuEngine,
    cache: &mut CpuCache,
    document: &[u32],
    layers: &[usize],
) -> Result<Vec<Activations>> {
    let edits = EditTable::default();
    let mut run = engine.run(cache, document, 0, Rows::Sequence, &edits)?;
    let mut streams = Vec::with_capacity(layers.len());
    for layer in layers {
        run.to(Point::end(*layer)).await?;
        streams.push(match engine.config().topk_at(*layer) {
            Some(_) => Activations::Active(run.pass().buffers.active.clone()),
            None => Activations::Dense {
                rows: run.buffer(HIDDEN).to_vec(),
                width: engine.config().d_model,
            },
        });
    }
    Ok(streams)
}
