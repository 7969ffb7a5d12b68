//! What a regular expression of a `tokenizer.json` may cost: its size, and the steps that matching takes back.

use fancy_regex::Expr;

/// The characters that a repetition without an end counts as in [`MAX_STEPS`].
const ENDLESS: usize = 1024;
/// Most steps of their patterns at one place of a text: those of known tokenizers take up to eight times [`ENDLESS`].
pub(super) const MAX_STEPS: f64 = 16.0 * ENDLESS as f64;

/// Whether there are texts in which `expression` matches the empty string.
pub(super) fn may_be_empty(expression: &Expr) -> bool {
    match expression {
        Expr::Any { .. } => false,
        Expr::Literal { val, .. } => val.is_empty(),
        Expr::Delegate { size, .. } => *size == 0,
        Expr::Concat(parts) => parts.iter().all(may_be_empty),
        Expr::Alt(parts) => parts.iter().any(may_be_empty),
        Expr::Group(part) | Expr::AtomicGroup(part) => may_be_empty(part),
        Expr::Repeat { child, lo, .. } => *lo == 0 || may_be_empty(child),
        Expr::Conditional {
            true_branch,
            false_branch,
            ..
        } => may_be_empty(true_branch) || may_be_empty(false_branch),
        Expr::Empty
        | Expr::Assertion(_)
        | Expr::LookAround(..)
        | Expr::Backref(_)
        | Expr::KeepOut
        | Expr::ContinueFromPreviousMatchEnd
        | Expr::BackrefExistsCondition(_) => true,
    }
}

/// Whether `expression` has what is written `X{2,3}+`: here it gives nothing back, in Python's tokenizers (Oniguruma, Ruby's syntax) it is `(?:X{2,3})+`.
pub(super) fn counts_and_keeps(expression: &Expr) -> bool {
    let any = |parts: &[Expr]| parts.iter().any(counts_and_keeps);
    match expression {
        Expr::AtomicGroup(part) if matches!(**part, Expr::Repeat { hi: 2..usize::MAX, .. }) => true,
        Expr::Concat(parts) | Expr::Alt(parts) => any(parts),
        Expr::Group(part) | Expr::AtomicGroup(part) | Expr::LookAround(part, _) => counts_and_keeps(part),
        Expr::Repeat { child, .. } => counts_and_keeps(child),
        Expr::Conditional {
            condition,
            true_branch,
            false_branch,
        } => [condition, true_branch, false_branch].into_iter().any(|part| counts_and_keeps(part)),
        _ => false,
    }
}

/// How large `expression` is once it is compiled, in characters and classes.
pub(super) fn size(expression: &Expr) -> usize {
    let all = |parts: &[Expr]| parts.iter().map(size).fold(1, usize::saturating_add);
    match expression {
        Expr::Literal { val, .. } => val.len(),
        Expr::Concat(parts) | Expr::Alt(parts) => all(parts),
        Expr::Group(part) | Expr::AtomicGroup(part) | Expr::LookAround(part, _) => size(part),
        Expr::Repeat { child, lo, hi, .. } => size(child).saturating_mul(if *hi == usize::MAX { *lo } else { *hi }.max(1)),
        Expr::Conditional {
            condition,
            true_branch,
            false_branch,
        } => [condition, true_branch, false_branch].into_iter().map(|part| size(part)).fold(1, usize::saturating_add),
        Expr::Delegate { inner, .. } => 1 + inner.len() / 64,
        _ => 1,
    }
}

/// How often a part of a pattern may be left for what comes behind it, and the steps until it has been left in every way: what the crate
/// does where nothing behind it matches, since it takes back one step after another. Floats, for which too much is infinite.
#[derive(Clone, Copy)]
struct Tried {
    ways: f64,
    steps: f64,
    /// Fewest bytes.
    width: f64,
}

impl Tried {
    const NOTHING: Tried = Tried {
        ways: 1.0,
        ..Tried::once(0.0, 0.0)
    };

    const fn once(width: f64, steps: f64) -> Tried {
        Tried {
            ways: 1.0,
            steps,
            width,
        }
    }

    fn then(self, next: Tried) -> Tried {
        Tried {
            ways: self.ways * next.ways,
            steps: self.steps + self.ways * next.steps,
            width: self.width + next.width,
        }
    }

    fn or(self, other: Tried) -> Tried {
        Tried {
            ways: self.ways + other.ways,
            steps: self.steps + other.steps,
            width: self.width.min(other.width),
        }
    }

    fn repeated(self, least: usize, most: usize) -> Tried {
        let longest = ENDLESS / (self.width as usize).max(1);
        let (least, most) = (least.min(longest), most.min(longest));
        let mut so_far = Tried::NOTHING;
        let mut ways = 0.0;
        for count in 0..most {
            if count >= least {
                ways += so_far.ways;
            }
            so_far = so_far.then(self);
        }
        Tried {
            ways: ways + so_far.ways,
            width: self.width * least as f64,
            ..so_far
        }
    }
}

fn tried(expression: &Expr) -> Tried {
    match expression {
        Expr::Concat(parts) => parts.iter().map(tried).fold(Tried::NOTHING, Tried::then),
        Expr::Alt(parts) => parts.iter().map(tried).reduce(Tried::or).unwrap_or(Tried::NOTHING),
        Expr::Group(part) | Expr::AtomicGroup(part) => tried(part),
        Expr::LookAround(part, _) => Tried {
            width: 0.0,
            ..tried(part)
        },
        Expr::Repeat { child, lo, hi, .. } => tried(child).repeated(*lo, *hi),
        Expr::Conditional {
            condition,
            true_branch,
            false_branch,
        } => tried(condition).then(tried(true_branch).or(tried(false_branch))),
        Expr::Literal { val, .. } => Tried::once(val.len() as f64, 1.0),
        Expr::Any { .. } | Expr::Delegate { .. } => Tried::once(1.0, 1.0),
        _ => Tried::once(0.0, 1.0),
    }
}

/// Steps of a whole pattern at one place of a text: it ends where it matches, so that its last part is left once. What it steps over is not
/// counted, since the next match begins behind it.
pub(super) fn steps(expression: &Expr) -> f64 {
    match expression {
        Expr::Concat(parts) => {
            let never_fails = |part: &&Expr| matches!(part, Expr::Repeat { lo: 0, .. });
            let behind = parts.iter().rev().take_while(never_fails).count();
            let (before, behind) = parts.split_at(parts.len() - behind);
            let behind: f64 = behind.iter().map(steps).sum();
            let Some((last, before)) = before.split_last() else {
                return behind;
            };
            let before = before.iter().map(tried).fold(Tried::NOTHING, Tried::then);
            before.then(Tried::once(0.0, steps(last))).steps + behind
        }
        Expr::Alt(parts) => parts.iter().map(steps).sum(),
        Expr::Group(part) | Expr::AtomicGroup(part) => steps(part),
        Expr::Repeat { child, lo: 0 | 1, .. } => steps(child),
        Expr::Repeat { child, lo, .. } => tried(child).repeated(*lo, *lo).steps,
        other => tried(other).steps,
    }
}
