//! Work on the device with a guard: what the device finds wrong with it, as a typed error, once the device has said so.

use std::future::Future;
use std::pin::Pin;

use super::context::Gpu;
use crate::error::{Code, Error, Result};

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

/// `what` names the work in the message.
pub(super) fn typed(what: &str, error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            Error::new(Code::OutOfMemory, format!("the GPU has no memory left for {what}"))
        }
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::new(Code::Device, format!("the GPU refused {what}: {description}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_errors_are_typed() {
        let source = || Box::new(std::io::Error::other("below"));
        let memory = typed("the weight Embed", wgpu::Error::OutOfMemory { source: source() });
        assert_eq!(memory.code(), Code::OutOfMemory);
        assert_eq!(memory.to_string(), "the GPU has no memory left for the weight Embed");
        let refused = typed(
            "decoding",
            wgpu::Error::Validation {
                source: source(),
                description: "too\nlarge".into(),
            },
        );
        assert_eq!(
            (refused.code(), refused.to_string().as_str()),
            (Code::Device, "the GPU refused decoding: too large")
        );
    }
}
