//! What random neurons do, for each neuron but itself: one that was drawn would else be compared with what it does.

/// The most that any of some random neurons does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Control {
    /// Who does most, and how much.
    largest: Option<(usize, f64)>,
    /// The most among the others.
    next: f64,
}

impl Control {
    /// Of what each does, by its number.
    pub fn of(effects: impl Iterator<Item = (usize, f64)>) -> Control {
        effects.fold(Control::default(), |control, (number, effect)| {
            let effect = effect.abs();
            match control.largest {
                Some((_, most)) if effect <= most => Control {
                    next: control.next.max(effect),
                    ..control
                },
                before => Control {
                    largest: Some((number, effect)),
                    next: before.map_or(0.0, |(_, most)| most),
                },
            }
        })
    }

    /// The most of all of them.
    pub fn largest(&self) -> f64 {
        self.largest.map_or(0.0, |(_, most)| most)
    }

    /// What the neuron of this number is compared with: the most of the others.
    pub fn beside(&self, number: usize) -> f64 {
        match self.largest {
            Some((holder, most)) if holder != number => most,
            _ => self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_most_is_compared_with_the_next() {
        let control = Control::of([(3, 1.0), (7, -4.0), (5, 2.0), (9, 2.5)].into_iter());
        assert_eq!(
            [control.beside(7), control.beside(5), control.beside(1)],
            [2.5, 4.0, 4.0]
        );
        assert_eq!(control.largest(), 4.0);
        assert_eq!(Control::of([(3, 1.0)].into_iter()).beside(3), 0.0);
        assert_eq!(Control::default().beside(3), 0.0);
    }
}
