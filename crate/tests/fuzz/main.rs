//! Fuzzing: everything that the engine reads, with inputs made wrong. A run may end in a result or in an error; it may not panic, hang, take
//! more than 64 times its input (and more than 16 MiB), or complain in more than 300 characters. README.md here says how it is used.

#[path = "../common/mod.rs"]
mod common;
mod mutate;
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mutate::Rng;
use targets::Target;

/// The files of an input: name and bytes.
pub type Input = Vec<(String, Vec<u8>)>;

/// Counts what is held, and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        gave(layout.size());
        System.dealloc(at, layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        gave(layout.size());
        took(size);
        System.realloc(at, layout, size)
    }
}

/// What `memory.rs` takes and gives back at once, untouched, to see that there would be something left.
const HEADROOM: usize = topk_lm::memory::HEADROOM;

fn took(size: usize) {
    if size != HEADROOM {
        let held = HELD.fetch_add(size, Relaxed).wrapping_add(size);
        PEAK.fetch_max(held, Relaxed);
    }
}

fn gave(size: usize) {
    if size != HEADROOM {
        HELD.fetch_sub(size, Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Always allowed, in bytes.
const FREE: usize = 16 << 20;
/// Otherwise so many times the input.
const TIMES: usize = 64;

/// The panic of the run under way.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// Target and input of the run under way, for the watchdog.
static CURRENT: Mutex<(&str, Option<Input>)> = Mutex::new(("", None));
/// Number of the run under way + 1, and milliseconds since the start when it began.
static RUN: AtomicU64 = AtomicU64::new(0);
static BEGAN: AtomicU64 = AtomicU64::new(0);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a whole number, not {value:?}"))
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    std::panic::set_hook(Box::new(|panic| {
        PANIC
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .get_or_insert_with(|| panic.to_string());
    }));
    let targets = targets::all();
    let chosen: Vec<&Target> = targets
        .iter()
        .filter(|target| arguments.is_empty() || arguments.iter().any(|a| a == target.name))
        .collect();
    // One clock and one watchdog for all targets.
    let started = Instant::now();
    watch(started, Duration::from_secs(number("FUZZ_HANG", 10)));
    let mut failed = usize::from(chosen.is_empty());
    for target in &chosen {
        failed += usize::from(!fuzz(target, started));
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed.min(chosen.len())
    );
    std::process::exit(i32::from(failed > 0));
}

/// Replays the cases, then runs for FUZZ_SECONDS (or FUZZ_RUNS); one line of JSON at the end.
fn fuzz(target: &Target, started: Instant) -> bool {
    let (seconds, runs) = (number("FUZZ_SECONDS", 2), number("FUZZ_RUNS", u64::MAX));
    // The soak looks for what is new; otherwise the same code gives the same result.
    let random = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let seed = number("FUZZ_SEED", std::env::var_os("SOAK").map_or(1, |_| random()));
    let from = number("FUZZ_FROM", 0);
    let mut tally = Tally::default();
    let cases = cases(target.name);
    for (name, input) in &cases {
        if let Err(what) = once(target, input, started, &mut tally) {
            eprintln!("{}: case {name}: {what}", target.name);
            return false;
        }
    }
    let began = Instant::now();
    let mut done = 0;
    while done < runs && began.elapsed().as_secs() < seconds {
        let mut rng = Rng::of_run(seed, from + done);
        let input = (target.make)(&mut rng);
        RUN.store(from + done + 1, Relaxed);
        if let Err(what) = once(target, &input, started, &mut tally) {
            eprintln!(
                "{}: FUZZ_SEED={seed} FUZZ_FROM={} FUZZ_RUNS=1: {what}\n  kept in {}",
                target.name,
                from + done,
                keep(target.name, &input).display()
            );
            return false;
        }
        done += 1;
    }
    let line = serde_json::json!({"target": target.name, "runs": done, "cases": cases.len(), "seed": seed,
        "runs_per_second": (done as f64 / began.elapsed().as_secs_f64().max(1e-3)).round(), "accepted": tally.accepted,
        "slowest_ms": tally.slowest.as_secs_f64() * 1e3, "peak_bytes": tally.peak});
    println!("{line}");
    true
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    slowest: Duration,
    peak: usize,
}

fn once(target: &Target, input: &Input, started: Instant, tally: &mut Tally) -> Result<(), String> {
    let size: usize = input.iter().map(|(_, bytes)| bytes.len()).sum();
    let copy = input.clone();
    *CURRENT.lock().unwrap_or_else(|e| e.into_inner()) = (target.name, Some(copy));
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let began = Instant::now();
    BEGAN.store(started.elapsed().as_millis() as u64 + 1, Relaxed);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (target.run)(input)));
    BEGAN.store(0, Relaxed);
    let took = began.elapsed();
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    tally.slowest = tally.slowest.max(took);
    tally.peak = tally.peak.max(peak);
    if let Some(panic) = PANIC.lock().unwrap_or_else(|e| e.into_inner()).take() {
        return Err(panic);
    }
    let held = HELD.load(Relaxed).saturating_sub(before);
    if peak > FREE.max(TIMES * size) {
        return Err(format!("{peak} bytes for an input of {size} ({held} still held)"));
    }
    match result {
        Err(_) => Err("panic".into()),
        Ok(Ok(())) => {
            tally.accepted += 1;
            Ok(())
        }
        Ok(Err(targets::Refusal::Error(error))) => {
            let message = error.to_string();
            let length = message.encode_utf16().count();
            let plain = !message.is_empty() && !message.contains(['\n', '\r']);
            if length <= 300 && plain {
                Ok(())
            } else {
                Err(format!("a message of {length} characters: {message}"))
            }
        }
        Ok(Err(targets::Refusal::Wrong(what))) => Err(what),
    }
}

/// Ends the process when a run takes longer than `limit`.
fn watch(started: Instant, limit: Duration) {
    std::thread::spawn(move || loop {
        std::thread::sleep(Duration::from_millis(500));
        let began = BEGAN.load(Relaxed);
        let now = started.elapsed().as_millis() as u64;
        if began != 0 && u128::from(now.saturating_sub(began)) > limit.as_millis() {
            let (target, input) = CURRENT.lock().unwrap_or_else(|e| e.into_inner()).clone();
            let input = input.unwrap_or_default();
            eprintln!(
                "{target}: run {} takes longer than {limit:?}\n  kept in {}",
                RUN.load(Relaxed).saturating_sub(1),
                keep(target, &input).display()
            );
            std::process::exit(1);
        }
    });
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/cases")
}

/// Keeps an input as a folder of its files.
fn keep(target: &str, input: &Input) -> PathBuf {
    let name = format!(
        "{:08x}",
        input
            .iter()
            .flat_map(|(_, bytes)| bytes)
            .fold(7u32, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(*byte))
    );
    let folder = folder().join(target).join(name);
    for (name, bytes) in input {
        let _ = std::fs::create_dir_all(&folder);
        let _ = std::fs::write(folder.join(name), bytes);
    }
    folder
}

/// Cases that were found once, by name.
fn cases(target: &str) -> Vec<(String, Input)> {
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let input = |folder: &Path| {
        list(folder)
            .iter()
            .map(|file| (name(file), std::fs::read(file).unwrap_or_default()))
            .collect()
    };
    list(&folder().join(target))
        .iter()
        .map(|case| (name(case), input(case)))
        .collect()
}
