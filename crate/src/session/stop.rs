//! Stop strings over streamed text: what may be the beginning of one is held back until it is clear.

/// Cuts a stream of text at the first stop string, which itself is left out.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// Empty stop strings are ignored.
    pub fn new(stops: &[String]) -> Self {
        StopStrings {
            stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    /// Takes more text; gives what is certain, and whether a stop string was met.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = (0..self.held.len())
            .filter(|from| self.held.is_char_boundary(*from))
            .find(|from| self.stops.iter().any(|stop| stop.starts_with(&self.held[*from..])))
            .unwrap_or(self.held.len());
        let rest = self.held.split_off(keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// The text that was held back, when the stream ends otherwise.
    pub fn flush(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_string_may_be_spread_over_pieces() {
        let mut stop = StopStrings::new(&["end.".into(), "é!".into()]);
        assert_eq!(stop.push("the e"), ("the ".into(), false));
        assert_eq!(stop.push("n"), (String::new(), false));
        assert_eq!(stop.push("vy é"), ("envy ".into(), false));
        assert_eq!(stop.push("x e"), ("éx ".into(), false));
        assert_eq!(stop.push("nd. more"), (String::new(), true));
        assert_eq!(stop.flush(), "");
    }

    #[test]
    fn without_stop_strings_nothing_is_held() {
        let mut stop = StopStrings::new(&[String::new()]);
        assert_eq!(stop.push("abc"), ("abc".into(), false));
    }
}
