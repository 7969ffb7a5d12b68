//! Products that several threads share. A browser's wasm has one thread; on an isolated page other workers, each with an instance of this
//! module and a memory of its own, keep a part of the large matrices and compute their outputs at the same time. All that is shared is a
//! block of memory for inputs, outputs and the commands below.
//!
//! A product is split by its outputs, and no output depends on its neighbors (`gemm.rs`): the results are those of one thread, bit for bit.
//! This is the side of the engine's own thread; `wasm/member.rs` is that of the others.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use js_sys::{Float32Array, Function, Int32Array, Promise, Reflect, SharedArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::gemm::{self, SMALLEST, STEP};
use super::numbers::{place, Numbers, Part};
use crate::error::{fail, Result};
use crate::pace::now_ms;

/// Where things are in the block, in 32-bit words.
pub mod at {
    /// The number of the last command.
    pub const EPOCH: u32 = 0;
    /// The command: see `command`.
    pub const COMMAND: u32 = 1;
    /// Of each member: the number of the last command that it has done.
    pub const DONE: u32 = 16;
    /// Of each member: 1 if its last command failed for want of memory.
    pub const FAILED: u32 = 32;
    /// The first word of the inputs; behind them are the outputs of each member.
    pub const INPUT: u32 = 64;
}

/// Commands: `[what, matrix, member or ALL, four arguments]`.
pub mod command {
    /// Room for a matrix that will be multiplied: type, rows, numbers in a row, scales.
    pub const PUT: i32 = 1;
    /// The next bytes of the matrix, then of its scales: how many.
    pub const FILL: i32 = 2;
    /// Forget the matrix.
    pub const FREE: i32 = 3;
    /// `x · w`: rows, inputs.
    pub const MULTIPLY: i32 = 4;
    /// `x · wᵀ`: rows, first and end of the rows of w.
    pub const DOTS: i32 = 5;
    /// No more will come.
    pub const LEAVE: i32 = 6;
    /// `PUT` of a table, for dots.
    pub const PUT_TABLE: i32 = 7;
    pub const ALL: i32 = -1;
    pub const WORDS: usize = 7;
}

/// Members at most, without the engine's own thread.
pub const MAX_MEMBERS: usize = 15;
/// Words of inputs, and of outputs of each member.
pub const AREA: u32 = 1 << 19;
/// Rows of a table that stay together; the threads take turns, so that any range of rows is everybody's work.
pub const BLOCK: usize = 256;
/// Looks at a word before the thread sleeps on it: about as long as a product takes.
const LOOKS: usize = 2000;
/// How long a member may take for a command, in ms.
const PATIENCE: f64 = 20_000.0;

/// Bytes of the block for so many members.
pub fn block_bytes(members: usize) -> u32 {
    4 * (at::INPUT + AREA * (1 + members as u32))
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Atomics, js_name = load)]
    fn atomic_load(words: &Int32Array, index: u32) -> i32;
    #[wasm_bindgen(js_namespace = Atomics, js_name = store)]
    fn atomic_store(words: &Int32Array, index: u32, value: i32) -> i32;
    #[wasm_bindgen(js_namespace = Atomics, js_name = wait)]
    fn atomic_wait(words: &Int32Array, index: u32, value: i32, ms: f64) -> JsValue;
    #[wasm_bindgen(js_namespace = Atomics, js_name = notify)]
    fn atomic_notify(words: &Int32Array, index: u32) -> u32;
}

/// The words of a block.
pub struct Words(Int32Array);

impl Words {
    pub fn new(block: &SharedArrayBuffer) -> Words {
        Words(Int32Array::new(block))
    }

    pub fn get(&self, index: u32) -> i32 {
        atomic_load(&self.0, index)
    }

    /// Sets a word and wakes who sleeps on it.
    pub fn set(&self, index: u32, value: i32) {
        atomic_store(&self.0, index, value);
        atomic_notify(&self.0, index);
    }

    /// The word once it is not `old`; `None` if that takes longer than `ms`.
    pub fn other_than(&self, index: u32, old: i32, ms: f64) -> Option<i32> {
        for _ in 0..LOOKS {
            let now = self.get(index);
            if now != old {
                return Some(now);
            }
        }
        // Who set the word before may wake this thread only now: a wake-up by itself says nothing.
        let end = now_ms() + ms;
        loop {
            let rest = end - now_ms();
            if rest > 0.0 {
                atomic_wait(&self.0, index, old, rest);
            }
            let now = self.get(index);
            if now != old || rest <= 0.0 {
                return Some(now).filter(|now| *now != old);
            }
        }
    }

    /// Numbers of the block, from word `first` on.
    fn numbers(&self, first: u32, words: u32) -> Float32Array {
        Float32Array::new_with_byte_offset_and_length(&self.0.buffer(), 4 * first, words)
    }

    /// The inputs.
    pub fn input(&self) -> Float32Array {
        self.numbers(at::INPUT, AREA)
    }

    /// The outputs of a member.
    pub fn output(&self, member: usize) -> Float32Array {
        self.numbers(at::INPUT + AREA * (1 + member as u32), AREA)
    }

    /// The inputs, as bytes.
    pub fn input_bytes(&self) -> Uint8Array {
        Uint8Array::new_with_byte_offset_and_length(&self.0.buffer(), 4 * at::INPUT, 4 * AREA)
    }

    /// The words of a command.
    pub fn command(&self) -> Int32Array {
        self.0.subarray(at::COMMAND, at::COMMAND + command::WORDS as u32)
    }
}

/// The other threads, as the engine's own sees them.
pub struct Team {
    words: Words,
    command: Int32Array,
    input: Float32Array,
    input_bytes: Uint8Array,
    outputs: Vec<Float32Array>,
    epoch: Cell<i32>,
    next_id: Cell<i32>,
    /// A member did not answer: nobody knows what it will still do.
    is_broken: Cell<bool>,
    /// What a member computed, on its way to where it belongs.
    part: RefCell<Vec<f32>>,
}

thread_local! {
    static TEAM: RefCell<Option<Rc<Team>>> = const { RefCell::new(None) };
}

/// The team that weights loaded from now on are shared with.
pub fn current() -> Option<Rc<Team>> {
    TEAM.with_borrow(Clone::clone)
}

/// Threads that compute, this one included.
pub fn threads() -> usize {
    current().map_or(1, |team| team.outputs.len() + 1)
}

/// Members wait at `block`, as many as it was made for; they share what is loaded from now on.
fn join(block: &SharedArrayBuffer, members: usize) {
    let words = Words::new(block);
    let team = Team {
        command: words.command(),
        input: words.input(),
        input_bytes: words.input_bytes(),
        outputs: (0..members).map(|member| words.output(member)).collect(),
        words,
        epoch: Cell::new(0),
        next_id: Cell::new(0),
        is_broken: Cell::new(false),
        part: RefCell::default(),
    };
    TEAM.set(Some(Rc::new(team)));
}

thread_local! {
    static STARTER: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// What starts members when a model turns out to run on the CPU: it resolves to `{ block, members }`, or to nothing.
pub fn expect(starter: Option<Function>) {
    STARTER.set(starter);
}

/// Starts the members that are expected. Without them, this thread computes alone.
pub async fn assemble() {
    let Some(starter) = STARTER.take() else { return };
    let Ok(Ok(promise)) = starter.call0(&JsValue::NULL).map(JsCast::dyn_into::<Promise>) else { return };
    let Ok(team) = JsFuture::from(promise).await else { return };
    let field = |name: &str| Reflect::get(&team, &name.into());
    let (Ok(block), Ok(members)) = (field("block"), field("members")) else { return };
    if let (Ok(block), Some(members)) = (block.dyn_into(), members.as_f64()) {
        join(&block, members as usize);
    }
}

/// Lets the members go, once nothing is shared with them any more.
pub fn disband() {
    TEAM.take();
}

impl Drop for Team {
    fn drop(&mut self) {
        self.command([command::LEAVE, 0, command::ALL, 0, 0, 0, 0]);
    }
}

impl Team {
    fn members(&self) -> usize {
        self.outputs.len()
    }

    /// Gives a command; what it reads is in the block.
    fn command(&self, command: [i32; command::WORDS]) {
        self.command.copy_from(&command);
        let epoch = self.epoch.get().wrapping_add(1);
        self.epoch.set(epoch);
        self.words.set(at::EPOCH, epoch);
    }

    /// Until all members have done the last command; whether all could.
    fn wait(&self) -> Result<bool> {
        let epoch = self.epoch.get();
        let mut all = true;
        for member in 0..self.members() as u32 {
            let done = self.words.other_than(at::DONE + member, epoch.wrapping_sub(1), PATIENCE);
            if self.is_broken.get() || done != Some(epoch) {
                self.is_broken.set(true);
                fail!(DeviceLost, "a thread of the engine does not answer; load the model again");
            }
            all &= self.words.get(at::FAILED + member) == 0;
        }
        Ok(all)
    }

    /// Until all members have computed their part.
    fn wait_for_all(&self) -> Result<()> {
        if !self.wait()? {
            fail!(DeviceLost, "a thread of the engine could not compute its part; load the model again");
        }
        Ok(())
    }

    fn free(&self, id: i32) {
        if !self.is_broken.get() {
            self.command([command::FREE, id, command::ALL, 0, 0, 0, 0]);
            // A member that does not answer is noticed by the next product.
            let _ = self.wait();
        }
    }

    /// What a member computed.
    fn result(&self, member: usize, numbers: usize, of: impl FnOnce(&[f32])) {
        let mut part = self.part.borrow_mut();
        part.resize(numbers, 0.0);
        self.outputs[member].subarray(0, numbers as u32).copy_to(&mut part);
        of(&part);
    }
}

/// A matrix of which every thread has a part.
pub struct Share {
    team: Rc<Team>,
    id: i32,
    /// Of each thread, this one first: its outputs. Of a table: none.
    parts: Vec<Range<usize>>,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({}, {:?})", self.id, self.parts)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.team.free(self.id);
    }
}

impl Share {
    /// Of a matrix `[inputs, stride]`, by its outputs: `part` gives those of a range. Also this thread's own part. None where the matrix is
    /// small, or somebody has no memory for it.
    pub fn of_matrix(
        inputs: usize,
        stride: usize,
        dtype: i32,
        part: impl Fn(Range<usize>) -> Result<Part>,
    ) -> Result<Option<(Share, Part)>> {
        let Some(team) = current() else { return Ok(None) };
        let threads = team.members() + 1;
        let is_small = inputs * stride < SMALLEST || stride < 2 * STEP * threads;
        if is_small || inputs > AREA as usize || stride > AREA as usize {
            return Ok(None);
        }
        let bound = |thread: usize| match thread {
            _ if thread == threads => stride,
            _ => (stride * thread / threads).next_multiple_of(STEP).min(stride),
        };
        let parts: Vec<Range<usize>> = (0..threads).map(|thread| bound(thread)..bound(thread + 1)).collect();
        let share = Share::new(team, parts);
        for member in 0..threads - 1 {
            if !share.put(command::PUT, member, dtype, &part(share.parts[member + 1].clone())?)? {
                return Ok(None);
            }
        }
        let own = part(share.parts[0].clone())?;
        Ok(Some((share, own)))
    }

    /// Of a table, by blocks of its rows; this thread keeps all of it.
    pub fn of_table(rows: usize, stride: usize, dtype: i32, part: impl Fn(Vec<Range<usize>>) -> Result<Part>) -> Result<Option<Share>> {
        let Some(team) = current() else { return Ok(None) };
        if rows * stride < SMALLEST || stride > AREA as usize || rows > AREA as usize {
            return Ok(None);
        }
        let threads = team.members() + 1;
        let share = Share::new(team, Vec::new());
        for member in 0..threads - 1 {
            if !share.put(command::PUT_TABLE, member, dtype, &part(blocks(0..rows, member + 1, threads))?)? {
                return Ok(None);
            }
        }
        Ok(Some(share))
    }

    fn new(team: Rc<Team>, parts: Vec<Range<usize>>) -> Share {
        let id = team.next_id.replace(team.next_id.get() + 1);
        Share { team, id, parts }
    }

    /// Sends a member its part; whether there was memory for it.
    fn put(&self, put: i32, member: usize, dtype: i32, part: &Part) -> Result<bool> {
        let (team, id, to) = (&self.team, self.id, member as i32);
        let sizes = [part.rows, part.stride, part.scales.len()].map(|n| n as i32);
        team.command([put, id, to, dtype, sizes[0], sizes[1], sizes[2]]);
        if !team.wait()? {
            return Ok(false);
        }
        for bytes in [&part.bytes[..], bytemuck::cast_slice(&part.scales)] {
            for bytes in bytes.chunks(4 * AREA as usize) {
                team.input_bytes.subarray(0, bytes.len() as u32).copy_from(bytes);
                team.command([command::FILL, id, to, bytes.len() as i32, 0, 0, 0]);
                if !team.wait()? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// `gemm::matmul` by all threads; `own` are the numbers of this one's part.
    pub fn multiply(&self, x: &[f32], inputs: usize, own: &Numbers, stride: usize, out: &mut [f32]) -> Result<()> {
        let team = &*self.team;
        let widest = self.parts.iter().map(Range::len).max().unwrap_or(stride);
        let rows = rows_at_once(inputs.max(widest));
        let mut mine = Vec::new();
        for (x, out) in x.chunks(rows * inputs).zip(out.chunks_mut(rows * stride)) {
            let rows = x.len() / inputs;
            team.input.subarray(0, x.len() as u32).copy_from(x);
            team.command([command::MULTIPLY, self.id, command::ALL, rows as i32, inputs as i32, 0, 0]);
            let width = self.parts[0].len();
            mine.resize(rows * width, 0.0);
            gemm::matmul(x, inputs, own, width, &mut mine);
            place(&mine, &self.parts[0], stride, out);
            team.wait_for_all()?;
            for (member, part) in self.parts[1..].iter().enumerate() {
                team.result(member, rows * part.len(), |numbers| place(numbers, part, stride, out));
            }
        }
        Ok(())
    }

    /// `gemm::dots` by all threads.
    pub fn dots(&self, x: &[f32], inputs: usize, table: &Numbers, of: Range<usize>, stride: usize, out: &mut [f32]) -> Result<()> {
        let team = &*self.team;
        let threads = team.members() + 1;
        if of.len() <= BLOCK {
            gemm::dots(x, inputs, table, of, stride, out);
            return Ok(());
        }
        let width = of.len();
        let rows = rows_at_once(inputs.max(width));
        let mut mine = Vec::new();
        for (x, out) in x.chunks(rows * inputs).zip(out.chunks_mut(rows * width)) {
            let rows = x.len() / inputs;
            team.input.subarray(0, x.len() as u32).copy_from(x);
            team.command([command::DOTS, self.id, command::ALL, rows as i32, of.start as i32, of.end as i32, 0]);
            for block in blocks(of.clone(), 0, threads) {
                mine.resize(rows * block.len(), 0.0);
                gemm::dots(x, inputs, table, block.clone(), stride, &mut mine);
                place(&mine, &(block.start - of.start..block.end - of.start), width, out);
            }
            team.wait_for_all()?;
            for member in 0..threads - 1 {
                let blocks = blocks(of.clone(), member + 1, threads);
                let count: usize = blocks.iter().map(Range::len).sum();
                team.result(member, rows * count, |numbers| {
                    for (row, numbers) in numbers.chunks_exact(count.max(1)).enumerate() {
                        let mut from = 0;
                        for block in &blocks {
                            out[row * width + block.start - of.start..][..block.len()]
                                .copy_from_slice(&numbers[from..][..block.len()]);
                            from += block.len();
                        }
                    }
                });
            }
        }
        Ok(())
    }
}

/// Rows of so many numbers that fit an area; whole groups of those that share a pass over the weights.
fn rows_at_once(numbers: usize) -> usize {
    match AREA as usize / numbers.max(1) {
        few @ 0..gemm::ROWS => few.max(1),
        many => many / gemm::ROWS * gemm::ROWS,
    }
}

/// The rows of a table in `of` that are one thread's, in blocks.
pub fn blocks(of: Range<usize>, thread: usize, threads: usize) -> Vec<Range<usize>> {
    (of.start / BLOCK..of.end.div_ceil(BLOCK))
        .filter(|block| block % threads == thread)
        .map(|block| (block * BLOCK).max(of.start)..((block + 1) * BLOCK).min(of.end))
        .collect()
}
