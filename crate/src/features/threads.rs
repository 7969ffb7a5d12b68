//! Jobs in threads: results come in the order of the jobs, whatever the number of threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use crate::error::{Code, Error, Result};

/// Runs jobs `0..jobs`. Each thread has a state of its own, which `begin` makes; `after` hears how many are done.
pub fn in_threads<S, T: Send>(
    threads: usize,
    jobs: usize,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<T> + Sync,
    after: impl Fn(usize) + Sync,
) -> Result<Vec<T>> {
    let (queue, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Vec<Mutex<Option<Result<T>>>> = (0..jobs).map(|_| Mutex::default()).collect();
    let failed: Mutex<Option<Error>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.max(1)) {
            scope.spawn(|| {
                let mut state = match begin() {
                    Ok(state) => state,
                    Err(error) => {
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Some(error);
                        }
                        return;
                    }
                };
                loop {
                    let job = queue.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = results.get(job) else { break };
                    let result = work(&mut state, job);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(result);
                    }
                    after(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    if let Ok(Some(error)) = failed.into_inner() {
        return Err(error);
    }
    let gone = || Error::new(Code::OutOfMemory, "a thread of the analysis ended early");
    let ended = results
        .into_iter()
        .map(|slot| slot.into_inner().ok().flatten().ok_or_else(gone)?);
    ended.collect()
}
