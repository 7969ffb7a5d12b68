//! Which positions the rows of a plan see, and whether attention splits them on the GPU.

use super::def::PlanContext;

/// Least positions of a part where attention splits the context.
const PART: usize = 256;
/// Most parts that it splits a context into on the GPU.
pub const MAX_PARTS: usize = 64;
/// Most rows for which it does.
pub const SPLIT_ROWS: usize = 4;

/// The first position that any row of a plan sees, and how many from there on; of several sequences the most that any sees, each from its own
/// first on.
pub fn seen(plan: &PlanContext<'_>) -> (usize, usize) {
    let params = plan.params;
    let window = plan.config.window(plan.step.layer);
    if let Some(last) = params.last_of_each() {
        return (0, window.map_or(last + 1, |window| window.min(last + 1)));
    }
    let end = params.start as usize + if params.mode == 0 { plan.rows.len() } else { 1 };
    // No row sees anything before what the first one does.
    let first = window.map_or(0, |window| (params.start as usize + 1).saturating_sub(window));
    (first, end - first)
}

/// Positions of a part of a context, of which few rows see so many; `None` where it is not split.
pub fn part(seen: usize) -> Option<usize> {
    (seen > 2 * PART).then(|| seen.div_ceil(MAX_PARTS).next_multiple_of(PART))
}

/// Whether the context is not split.
pub fn in_one_part(plan: &PlanContext<'_>) -> bool {
    plan.rows.len() > SPLIT_ROWS || part(seen(plan).1).is_none()
}
