//! Long work gives way: on the web a call that computes lets the event loop run every few milliseconds, so that messages
//! (an abort, other calls) are handled in between; natively it only looks whether it was cancelled.

use std::cell::Cell;
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Poll;

use crate::error::{fail, Result};

/// A flag that ends a call at its next pause, some milliseconds later; natively, what a GPU was given is waited for first. Clones share it, in other
/// threads too: a model stays in its own.
///
/// ```
/// use std::time::Duration;
/// use topk_lm::{BackendChoice, Cancel, Code, Model, RunOptions};
///
/// # fn main() -> topk_lm::Result<()> {
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/models/llama-gqa");
/// let model = Model::open_on(folder, BackendChoice::Cpu)?;
/// let cancel = Cancel::default();
/// let from_elsewhere = cancel.clone();
/// std::thread::spawn(move || from_elsewhere.cancel());
/// let error = loop {
///     match pollster::block_on(model.run(&[3, 1, 4], &RunOptions::default(), &cancel)) {
///         Ok(_) => std::thread::sleep(Duration::from_millis(1)),
///         Err(error) => break error,
///     }
/// };
/// assert_eq!(error.code(), Code::Aborted);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the calls that were given this flag, and those that will be.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// An error with code `aborted` once [`Cancel::cancel`] was called.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            fail!(Aborted, "the call was aborted");
        }
        Ok(())
    }

    /// Runs `work` until it ends or the flag is set; then `work` is dropped where it paused.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| match self.check() {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => work.as_mut().poll(context),
        })
        .await
    }
}

/// A future of which only the result is known: less code than one of its own type.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs `aside` while `work` runs, and waits for both; an error of `work` ends both at once.
pub async fn beside<T, R, E>(
    mut aside: Boxed<'_, T>,
    mut work: Boxed<'_, std::result::Result<R, E>>,
) -> std::result::Result<(T, R), E> {
    let (mut aside_done, mut work_done) = (None, None);
    std::future::poll_fn(|context| {
        if work_done.is_none() {
            if let Poll::Ready(outcome) = work.as_mut().poll(context) {
                work_done = Some(outcome?);
            }
        }
        if aside_done.is_none() {
            if let Poll::Ready(outcome) = aside.as_mut().poll(context) {
                aside_done = Some(outcome);
            }
        }
        match (aside_done.take(), work_done.take()) {
            (Some(aside), Some(work)) => Poll::Ready(Ok((aside, work))),
            (aside, work) => {
                (aside_done, work_done) = (aside, work);
                Poll::Pending
            }
        }
    })
    .await
}

/// Runs all side by side; the results in order. The first error in order ends them.
pub async fn all<R, E>(mut works: Vec<Boxed<'_, std::result::Result<R, E>>>) -> std::result::Result<Vec<R>, E> {
    let mut done: Vec<Option<std::result::Result<R, E>>> = works.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (work, done) in works.iter_mut().zip(&mut done) {
            if done.is_none() {
                if let Poll::Ready(outcome) = work.as_mut().poll(context) {
                    *done = Some(outcome);
                }
            }
        }
        let ends = done.iter().position(|outcome| !matches!(outcome, Some(Ok(_))));
        match ends {
            Some(first) if done[first].is_none() => Poll::Pending,
            _ => Poll::Ready(done.drain(..).flatten().collect()),
        }
    })
    .await
}

/// How long the CPU may compute before it gives way, in milliseconds.
#[cfg(target_arch = "wasm32")]
const SLICE_MS: f64 = 8.0;

/// About how many multiplications there are between two looks at the clock, which takes as long as thousands; natively, at the flag.
const LOOK: usize = 4_000_000;

thread_local! {
    /// Multiplications since the last look.
    static UNSEEN: Cell<usize> = const { Cell::new(0) };
}

#[cfg(target_arch = "wasm32")]
thread_local! {
    /// When the thread last gave way. One clock for all calls: many short steps in a row give way as one long one does.
    static LAST_MS: Cell<f64> = const { Cell::new(0.0) };
}

/// [`pause`] behind so many multiplications; few only add up.
pub async fn pause_after(work: usize) {
    let unseen = UNSEEN.get().saturating_add(work);
    let looks = unseen >= LOOK;
    UNSEEN.set(if looks { 0 } else { unseen });
    if looks {
        pause().await;
    }
}

/// Gives way to the event loop if the thread has not done so for a slice; natively to whoever polls, who may have been cancelled.
pub async fn pause() {
    #[cfg(not(target_arch = "wasm32"))]
    {
        let mut polled = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    #[cfg(target_arch = "wasm32")]
    {
        if now_ms() - LAST_MS.get() >= SLICE_MS {
            give_way().await;
        }
    }
}

/// [`pause`], however long ago the last was: what has come meanwhile is heard.
pub async fn give_way() {
    #[cfg(not(target_arch = "wasm32"))]
    pause().await;
    #[cfg(target_arch = "wasm32")]
    {
        macrotask().await;
        LAST_MS.set(now_ms());
    }
}

#[cfg(target_arch = "wasm32")]
thread_local! {
    /// The turn that was asked for last.
    static LAST_TURN: std::cell::RefCell<Option<js_sys::Promise>> = const { std::cell::RefCell::new(None) };
}

/// Lets the event loop run once. Calls that give way at the same time do so one after the other: else it would run once for all of them, and with
/// fifty a server answers nobody else for half a second.
#[cfg(target_arch = "wasm32")]
async fn macrotask() {
    use wasm_bindgen_futures::{future_to_promise, JsFuture};
    let before = LAST_TURN.take();
    let turn = future_to_promise(async {
        if let Some(before) = before {
            let _ = JsFuture::from(before).await;
        }
        JsFuture::from(message()).await
    });
    LAST_TURN.set(Some(turn.clone()));
    // The promise is never rejected.
    let _ = JsFuture::from(turn).await;
}

/// A message to ourselves through a `MessageChannel`, which browsers do not delay as they do timers.
#[cfg(target_arch = "wasm32")]
fn message() -> js_sys::Promise {
    use wasm_bindgen::prelude::*;
    use wasm_bindgen::JsCast;
    js_sys::Promise::new(&mut |resolve, _| {
        let Ok(channel) = web_sys::MessageChannel::new() else {
            // Without channels there is no giving way; the work goes on.
            let _ = resolve.call0(&JsValue::NULL);
            return;
        };
        let (receiver, sender) = (channel.port1(), channel.port2());
        let closing = receiver.clone();
        let done = Closure::once_into_js(move || {
            closing.close();
            let _ = resolve.call0(&JsValue::NULL);
        });
        receiver.set_onmessage(Some(done.unchecked_ref()));
        if sender.post_message(&JsValue::NULL).is_err() {
            receiver.close();
        }
    })
}

/// A clock in milliseconds, for differences only.
pub fn now_ms() -> f64 {
    #[cfg(target_arch = "wasm32")]
    {
        #[wasm_bindgen::prelude::wasm_bindgen]
        extern "C" {
            // The clock of the day may go back.
            #[wasm_bindgen(js_namespace = performance)]
            fn now() -> f64;
        }
        now()
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        use std::sync::OnceLock;
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn work_and_what_runs_beside_it_are_both_waited_for() {
        let late = |polls: u32| {
            let mut left = polls;
            std::future::poll_fn(move |context| {
                left -= 1;
                context.waker().wake_by_ref();
                if left == 0 {
                    Poll::Ready(polls)
                } else {
                    Poll::Pending
                }
            })
        };
        for (aside, work) in [(1, 3), (3, 1), (2, 2)] {
            let both = beside(Box::pin(late(aside)), Box::pin(async move { Ok::<_, ()>(late(work).await) }));
            assert_eq!(pollster::block_on(both), Ok((aside, work)));
        }
    }

    #[test]
    fn of_all_the_first_error_in_order_is_told_and_waits_for_those_before_it_alone() {
        let later = |polls: u32, outcome: std::result::Result<u32, u32>| -> Boxed<'static, _> {
            let mut left = polls;
            Box::pin(std::future::poll_fn(move |context| {
                left -= 1;
                context.waker().wake_by_ref();
                if left == 0 {
                    Poll::Ready(outcome)
                } else {
                    Poll::Pending
                }
            }))
        };
        let run = |works| pollster::block_on(all(works));
        assert_eq!(run(vec![later(3, Ok(1)), later(1, Ok(2)), later(2, Ok(3))]), Ok(vec![1, 2, 3]));
        assert_eq!(run(vec![later(3, Err(1)), later(1, Err(2)), Box::pin(pending())]), Err(1));
        assert_eq!(run(vec![later(2, Ok(1)), later(3, Err(2)), Box::pin(pending())]), Err(2));
        assert_eq!(run(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn an_error_waits_for_nothing_beside_it() {
        let both = beside(Box::pin(pending::<()>()), Box::pin(ready(Err::<(), _>("no such file"))));
        assert_eq!(pollster::block_on(both), Err("no such file"));
    }
}
