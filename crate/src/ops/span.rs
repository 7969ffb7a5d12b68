//! Which positions the rows of a plan see, and whether attention splits them on the GPU.

use super::def::PlanContext;

/// Positions of a part where attention splits the context.
pub const PART: usize = 256;
/// Most rows for which it does.
pub const SPLIT_ROWS: usize = 4;

/// The first position that any row of a plan sees, and how many from there on.
pub fn seen(plan: &PlanContext<'_>) -> (usize, usize) {
    let params = plan.params;
    let end = params.start as usize + if params.mode == 0 { plan.rows.len() } else { 1 };
    // No row sees anything before what the first one does.
    let window = plan.config.window(plan.step.layer);
    let first = window.map_or(0, |window| (params.start as usize + 1).saturating_sub(window));
    (first, end - first)
}

/// Whether the context is not split.
pub fn in_one_part(plan: &PlanContext<'_>) -> bool {
    plan.rows.len() > SPLIT_ROWS || seen(plan).1 <= 2 * PART
}
