//! Products that several threads share, natively; `team.rs` is that of browsers. A product is split by its outputs, and no output depends on its
//! neighbors (`gemm.rs`): the results are those of one thread, bit for bit.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::gemm::{self, SMALLEST, STEP};
use super::numbers::{place, Numbers};
use crate::error::{fail, Error, Result};

/// What one thread does, by its number; 0 is who asks.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// Looks for work before a thread sleeps: longer than what lies between the products of a token.
const LOOKS: usize = 5000;
/// Most threads of a team.
const MOST: usize = 1024;
/// Dots of fewer rows of a table are not shared.
const FEWEST: usize = 256;

/// Threads that wait for work. Dropping it ends them.
pub struct Team {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<()>>,
    /// Of each thread, what it computed on its way to where it belongs. Who holds them may give work.
    made: Mutex<Vec<Mutex<Vec<f32>>>>,
}

#[derive(Default)]
struct Shared {
    /// Counts what was asked for.
    epoch: AtomicU64,
    work: UnsafeCell<Option<&'static Work<'static>>>,
    /// Members that are not done yet.
    busy: AtomicUsize,
    has_failed: AtomicBool,
}

// SAFETY: `work` is written while no member is busy, before `epoch` changes, and read by members behind that; see `Team::all`.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Team({})", self.threads())
    }
}

impl Team {
    /// So many threads, the one that asks for products included; none where that is the only one.
    ///
    /// # Errors
    /// `argument` where they are more than 1,024, `io` where the system starts no more.
    pub fn of(threads: usize) -> Result<Option<Arc<Team>>> {
        if threads < 2 {
            return Ok(None);
        }
        if threads > MOST {
            fail!(Argument, "threads is {threads}; it can be at most {MOST}");
        }
        let mut team = Team {
            shared: Arc::default(),
            members: Vec::new(),
            made: Mutex::new((0..threads).map(|_| Mutex::default()).collect()),
        };
        for number in 1..threads {
            let shared = team.shared.clone();
            let started = std::thread::Builder::new().name(format!("topk-lm {number}")).spawn(move || serve(&shared, number));
            match started {
                Ok(member) => team.members.push(member),
                Err(error) => fail!(Io, "the system starts no {threads} threads ({error}); ask for fewer"),
            }
        }
        Ok(Some(Arc::new(team)))
    }

    pub fn threads(&self) -> usize {
        self.members.len() + 1
    }

    /// Has `work` done by all threads.
    fn all(&self, work: &Work<'_>) -> Result<()> {
        /// Members may read `work` until this is dropped, also where the own part ends the program's ordinary way.
        struct Busy<'a>(&'a Shared);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                let mut looks = 0;
                while self.0.busy.load(Ordering::Acquire) > 0 {
                    wait(&mut looks);
                }
            }
        }
        // SAFETY: nobody reads it any more once `Busy` is dropped, and `work` lives longer.
        let lasting = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        // SAFETY: no member is busy, and the caller holds `made`.
        unsafe { *self.shared.work.get() = Some(lasting) };
        self.shared.busy.store(self.members.len(), Ordering::Relaxed);
        let busy = Busy(&self.shared);
        self.shared.epoch.fetch_add(1, Ordering::Release);
        self.members.iter().for_each(|member| member.thread().unpark());
        work(0);
        drop(busy);
        if self.shared.has_failed.load(Ordering::Relaxed) {
            fail!(DeviceLost, "a thread of the engine could not compute its part; load the model again");
        }
        Ok(())
    }

    /// Each thread makes its numbers, then `take` gets them in turn.
    fn make(&self, make: impl Fn(usize, &mut Vec<f32>) + Sync, mut take: impl FnMut(usize, &[f32])) -> Result<()> {
        let made = held(&self.made);
        self.all(&|thread| {
            if let Some(made) = made.get(thread) {
                make(thread, &mut held(made));
            }
        })?;
        made.iter().enumerate().for_each(|(thread, made)| take(thread, &held(made)));
        Ok(())
    }
}

/// A lock that nobody leaves in a bad state.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Team {
    fn drop(&mut self) {
        // SAFETY: no member is busy.
        unsafe { *self.shared.work.get() = None };
        self.shared.epoch.fetch_add(1, Ordering::Release);
        for member in self.members.drain(..) {
            member.thread().unpark();
            // It has nothing to say.
            let _ = member.join();
        }
    }
}

/// Between two looks. If it takes long, whoever is waited for may have no processor.
fn wait(looks: &mut usize) {
    *looks += 1;
    if *looks < LOOKS / 2 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// What a member does, until it is let go.
fn serve(shared: &Shared, number: usize) {
    let (mut seen, mut looks) = (0, 0);
    loop {
        let epoch = shared.epoch.load(Ordering::Acquire);
        if epoch == seen {
            if looks < LOOKS {
                wait(&mut looks);
            } else {
                std::thread::park();
            }
            continue;
        }
        (seen, looks) = (epoch, 0);
        // SAFETY: it was written before the epoch changed, and stays until this member is done.
        let Some(work) = (unsafe { *shared.work.get() }) else { return };
        if catch_unwind(AssertUnwindSafe(|| work(number))).is_err() {
            shared.has_failed.store(true, Ordering::Relaxed);
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

/// A matrix of which every thread has some outputs, or a table that all read.
#[derive(Debug)]
pub struct Share {
    team: Arc<Team>,
    /// Of each thread; of a table none.
    parts: Vec<(Range<usize>, Numbers)>,
}

impl Share {
    /// Of a matrix `[inputs, stride]`, of which `part` gives the numbers of some outputs; none where it is small.
    pub fn of_matrix(
        team: &Arc<Team>,
        inputs: usize,
        stride: usize,
        part: impl Fn(Range<usize>) -> Result<Numbers>,
    ) -> Result<Option<Share>> {
        let threads = team.threads();
        if inputs * stride < SMALLEST || stride < 2 * STEP * threads {
            return Ok(None);
        }
        let parts = split(0..stride, threads).map(|columns| Ok::<_, Error>((columns.clone(), part(columns)?)));
        Ok(Some(Share {
            team: team.clone(),
            parts: parts.collect::<Result<_>>()?,
        }))
    }

    /// Of a table.
    pub fn of_table(team: &Arc<Team>, rows: usize, stride: usize) -> Option<Share> {
        (rows * stride >= SMALLEST).then(|| Share {
            team: team.clone(),
            parts: Vec::new(),
        })
    }

    /// Their bytes.
    #[cfg(feature = "internals")]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, numbers)| numbers.bytes()).sum()
    }

    /// `gemm::matmul` by all threads.
    pub fn multiply(&self, x: &[f32], inputs: usize, stride: usize, out: &mut [f32]) -> Result<()> {
        let rows = x.len() / inputs;
        let make = |thread: usize, made: &mut Vec<f32>| {
            let (columns, numbers) = &self.parts[thread];
            made.resize(rows * columns.len(), 0.0);
            gemm::matmul(x, inputs, numbers, columns.len(), made);
        };
        self.team.make(make, |thread, made| place(made, &self.parts[thread].0, stride, out))
    }

    /// `gemm::dots` by all threads.
    pub fn dots(&self, x: &[f32], inputs: usize, table: &Numbers, of: Range<usize>, stride: usize, out: &mut [f32]) -> Result<()> {
        if of.len() < FEWEST {
            gemm::dots(x, inputs, table, of, stride, out);
            return Ok(());
        }
        let (rows, width) = (x.len() / inputs, of.len());
        let parts: Vec<Range<usize>> = split(of.clone(), self.team.threads()).collect();
        let make = |thread: usize, made: &mut Vec<f32>| {
            made.resize(rows * parts[thread].len(), 0.0);
            // With many threads some have no rows.
            if !parts[thread].is_empty() {
                gemm::dots(x, inputs, table, parts[thread].clone(), stride, made);
            }
        };
        self.team.make(make, |thread, made| {
            place(made, &(parts[thread].start - of.start..parts[thread].end - of.start), width, out);
        })
    }
}

/// A range in as many parts as there are threads.
fn split(of: Range<usize>, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let bound = move |thread: usize| of.start + (of.len() * thread / threads).next_multiple_of(STEP).min(of.len());
    (0..threads).map(move |thread| bound(thread)..bound(thread + 1))
}

#[cfg(test)]
mod tests {
    use super::super::int8::Int8;
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i * 7919 % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    #[test]
    fn ranges_are_split_without_gaps() {
        for (of, threads) in [(0..1024, 2), (3..4099, 3), (0..7, 4), (5..300, 5)] {
            let parts: Vec<Range<usize>> = split(of.clone(), threads).collect();
            assert!(parts.len() == threads && parts[0].start == of.start && parts[threads - 1].end == of.end);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn all_threads_together_give_the_bits_of_one() {
        let (inputs, stride) = (300, 450);
        let (matrix, x) = (numbers(inputs * stride), numbers(5 * inputs));
        for threads in [2, 3, 5] {
            let team = Team::of(threads).unwrap().unwrap();
            let part = |columns: Range<usize>| {
                let rows = matrix.chunks_exact(stride);
                Ok(Numbers::F32(rows.flat_map(|row| row[columns.clone()].to_vec()).collect()))
            };
            let share = Share::of_matrix(&team, inputs, stride, part).unwrap().unwrap();
            let whole = Numbers::F32(matrix.clone());
            for rows in [1, 5] {
                let x = &x[..rows * inputs];
                let (mut ours, mut expected) = (vec![1.0; rows * stride], vec![0.0; rows * stride]);
                share.multiply(x, inputs, stride, &mut ours).unwrap();
                gemm::matmul(x, inputs, &whole, stride, &mut expected);
                assert_eq!(ours, expected);
                let share = Share::of_table(&team, stride, inputs).unwrap();
                let (mut ours, mut expected) = (vec![1.0; rows * 400], vec![0.0; rows * 400]);
                share.dots(x, inputs, &whole, 20..420, inputs, &mut ours).unwrap();
                gemm::dots(x, inputs, &whole, 20..420, inputs, &mut expected);
                assert_eq!(ours, expected);
            }
            assert!(Share::of_matrix(&team, 4, stride, part).unwrap().is_none());
        }
        assert!(Team::of(1).unwrap().is_none() && Team::of(0).unwrap().is_none());
    }

    #[test]
    fn threads_that_a_table_has_no_rows_for_do_nothing() {
        let (inputs, outputs) = (512, FEWEST);
        let q = numbers(inputs * outputs).into_iter().map(|value| (127.0 * value) as i8).collect();
        let table = Numbers::Int8(Int8 { numbers: q, scales: vec![0.5; outputs] });
        let team = Team::of(outputs / STEP + 4).unwrap().unwrap();
        let share = Share::of_table(&team, outputs, inputs).unwrap();
        for rows in [1, 3] {
            let x = numbers(rows * inputs);
            let (mut ours, mut expected) = (vec![1.0; rows * outputs], vec![0.0; rows * outputs]);
            share.dots(&x, inputs, &table, 0..outputs, inputs, &mut ours).unwrap();
            gemm::dots(&x, inputs, &table, 0..outputs, inputs, &mut expected);
            assert_eq!(ours, expected);
        }
    }

    #[test]
    fn a_thread_that_fails_is_told_of_and_the_others_go_on() {
        let team = Team::of(3).unwrap().unwrap();
        let failed = team.all(&|thread| assert!(thread != 2));
        assert_eq!(failed.unwrap_err().code(), crate::error::Code::DeviceLost);
        let count = AtomicUsize::new(0);
        let _ = team.all(&|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 3);
    }
}
