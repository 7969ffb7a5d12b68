//! Generation: a stream of steps from one prompt, with its own cache.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::groups::StepGroups;
use super::sequence::{DecodeRequest, Pool, Sequence};
use super::text::{GenerateOptions, Generated, Text};
use super::{gone, Model};
use crate::error::{fail, Result};
use crate::ops::sample::MAX_STEPS;
use crate::pace::Cancel;

/// A generation under way. Dropping it ends it, and so does dropping its model.
pub struct Generation {
    disposed: Rc<Cell<bool>>,
    pool: Rc<Pool>,
    sequence: Option<Sequence>,
    text: Text,
    groups: Rc<StepGroups>,
    /// Steps of the next group at most: a generation begins with one, so that its first token comes soon, and doubles.
    ramp: usize,
}

impl Model {
    /// Prepares a generation; nothing is computed before the first [`Generation::next`].
    pub fn generate(&self, ids: &[u32], options: &GenerateOptions) -> Result<Generation> {
        let engine = self.engine()?;
        let text = Text::new(self, &engine, ids, options)?;
        let sequence = self.pool.take(&engine, ids, text.edits.clone(), ids.len() - 1)?;
        Ok(Generation::of(self.disposed.clone(), self.pool.clone(), self.groups.clone(), sequence, text))
    }
}

impl Generation {
    pub(super) fn of(
        disposed: Rc<Cell<bool>>,
        pool: Rc<Pool>,
        groups: Rc<StepGroups>,
        sequence: Sequence,
        text: Text,
    ) -> Generation {
        Generation {
            disposed,
            pool,
            sequence: Some(sequence),
            text,
            groups,
            ramp: 1,
        }
    }

    /// The seed in use.
    pub fn seed(&self) -> u64 {
        self.text.sampling.seed
    }

    /// The next steps: one or a few. After an end (`finish`) there are none.
    ///
    /// # Errors
    /// An abort or an error ends the generation, and so does dropping the future before it is ready: what comes then is `aborted`.
    pub async fn next(&mut self, cancel: &Cancel) -> Result<Generated> {
        let text = &mut self.text;
        if text.finish.is_some() {
            return Ok(Generated {
                steps: Vec::new(),
                finish: text.finish,
            });
        }
        check_disposed(&self.disposed)?;
        let mut sequence = under_way(self.sequence.take())?;
        let mut generated = Generated::default();
        let most = text.most();
        if most > 0 {
            let last = text.ids.len() - 1;
            if sequence.len() < last {
                cancel
                    .guard(sequence.prefill(&text.ids[sequence.len()..last]))
                    .await?;
            }
            let group = |ramp: usize| self.groups.size(ramp.min(MAX_STEPS), sequence.engine().group_ms());
            let request = DecodeRequest {
                ids: &text.ids,
                steps: group(self.ramp).min(most),
                ahead: group(2 * self.ramp),
                most,
                sampling: &text.sampling,
                captures: &text.captures.list,
                logits: text.wants_logits(),
            };
            let (steps, ms) = cancel.guard(sequence.decode(request)).await?;
            if let Some(ms) = ms {
                self.groups.took(steps.len(), ms);
            }
            self.ramp = (2 * self.ramp).min(MAX_STEPS);
            check_disposed(&self.disposed)?;
            for step in steps {
                generated.steps.push(text.report(step)?);
                if text.finish.is_some() {
                    break;
                }
            }
            // Steps drawn beyond the end are cached, but never happened.
            sequence.truncate(text.ids.len() - 1);
        }
        text.end(&mut generated);
        if text.finish.is_none() {
            self.sequence = Some(sequence);
        } else {
            self.pool.give_back(sequence);
        }
        Ok(generated)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Generation");
        shown.field("seed", &self.seed()).field("ids", &self.text.ids).field("finish", &self.text.finish).finish_non_exhaustive()
    }
}

/// What a call took and gives back at its end; without it, a call before ended otherwise.
pub(super) fn under_way<T>(state: Option<T>) -> Result<T> {
    match state {
        Some(state) => Ok(state),
        None => fail!(Aborted, "an abort, an error or a dropped future ended this generation; begin another"),
    }
}

/// Ends what is under way on a model that is gone.
pub(super) fn check_disposed(disposed: &Cell<bool>) -> Result<()> {
    if disposed.get() {
        return Err(gone());
    }
    Ok(())
}
