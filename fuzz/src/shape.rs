//! What stands for the way something was answered. Must not know: targets.
use std::hash::{DefaultHasher, Hash, Hasher};

/// The shape of an answer: of its text the words outside of quotes, since what is quoted comes from the input, and of its counts the magnitude.
pub fn shape(text: &str, counts: &[usize]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut quote = None;
    for c in text.chars().take(400) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => quote = Some(c),
            None if c.is_ascii_alphabetic() => c.hash(&mut hasher),
            None => {}
        }
    }
    for count in counts {
        count.checked_ilog2().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_the_input_does_not_count() {
        assert_eq!(shape("line 3: found \"x\"", &[9]), shape("line 77: found \"yy\"", &[14]));
        assert_ne!(shape("line 3: found \"x\"", &[9]), shape("line 3: found \"x\"", &[16]));
        assert_ne!(shape("expected a", &[]), shape("expected b", &[]));
    }
}
