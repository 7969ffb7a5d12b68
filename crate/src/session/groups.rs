//! How many decode steps go into one call of an executor: the one place where that is decided.

use std::cell::Cell;

/// Measures steps and sizes groups by it. All generations on one engine share it, so that a new one begins at full size.
#[derive(Debug, Default)]
pub struct StepGroups {
    /// Milliseconds of a step by the latest groups; 0 before the first.
    step_ms: Cell<f64>,
}

impl StepGroups {
    /// Steps of the next group, which should take `group_ms`, at most `most`: a single one until it is known how long that takes.
    pub fn size(&self, most: usize, group_ms: f64) -> usize {
        match self.step_ms.get() {
            0.0 => 1,
            ms => ((group_ms / ms) as usize).clamp(1, most.max(1)),
        }
    }

    /// A group of `steps` took `ms`.
    pub fn took(&self, steps: usize, ms: f64) {
        // The clock of a browser may be coarse.
        let now = (ms / steps.max(1) as f64).max(1e-3);
        let before = self.step_ms.get();
        self.step_ms.set(if before == 0.0 { now } else { 0.5 * (before + now) });
    }

    /// For another engine.
    pub fn forget(&self) {
        self.step_ms.set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_the_time_of_a_step() {
        let groups = StepGroups::default();
        assert_eq!(groups.size(32, 80.0), 1);
        groups.took(1, 10.0);
        assert_eq!(groups.size(32, 80.0), 8);
        groups.took(8, 80.0 * 8.0);
        assert_eq!(groups.size(32, 80.0), 1);
        groups.forget();
        groups.took(1, 4.0);
        assert_eq!((groups.size(32, 24.0), groups.size(32, 80.0), groups.size(5, 24.0)), (6, 20, 5));
        (0..20).for_each(|_| groups.took(1, 0.0));
        assert_eq!(groups.size(32, 80.0), 32);
        groups.forget();
        assert_eq!(groups.size(32, 80.0), 1);
    }
}
