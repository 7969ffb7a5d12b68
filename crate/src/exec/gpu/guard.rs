//! Work on the device with a guard: what the device finds wrong with it, as a typed error, once the device has said so.

use std::future::Future;
use std::pin::Pin;

use super::context::{typed, Gpu};
use crate::error::Result;

type ScopeFuture = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// The outcome of guarded work, once the device has said it.
#[must_use]
pub struct Guard {
    what: String,
    outcomes: Vec<ScopeFuture>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({})", self.what)
    }
}

impl Gpu {
    /// Runs `work` so that the errors of the device land in the returned guard. `what` names the work in their messages.
    pub(crate) fn guarded<T>(&self, what: &str, work: impl FnOnce() -> T) -> (T, Guard) {
        let scopes = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::Validation,
            wgpu::ErrorFilter::OutOfMemory,
        ]
        .map(|filter| self.device.push_error_scope(filter));
        let done = work();
        let mut outcomes: Vec<ScopeFuture> = Vec::with_capacity(scopes.len());
        for scope in scopes.into_iter().rev() {
            outcomes.push(Box::pin(scope.pop()));
        }
        (
            done,
            Guard {
                what: what.to_string(),
                outcomes,
            },
        )
    }
}

impl Guard {
    /// Waits until the device has done the work. Memory comes first: what follows a failed allocation is not the cause.
    pub async fn check(self, gpu: &Gpu) -> Result<()> {
        let mut first = None;
        for outcome in self.outcomes {
            if let Some(error) = outcome.await {
                first.get_or_insert_with(|| typed(&self.what, error));
            }
        }
        if first.is_some() {
            gpu.failures.update(|failures| failures + 1);
        }
        gpu.check()?;
        first.map_or(Ok(()), Err)
    }
}
