use std::error::Error;

/// An error with its causes, outermost first, each said once: many messages end with their cause's words already.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        let new = text.rsplit(": ").next().is_some_and(|end| !said.contains(end));
        if new {
            said = format!("{said}: {text}");
        }
        next = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Chained {
        said: &'static str,
        source: Option<Box<Chained>>,
    }

    #[test]
    fn every_cause_is_said_once() {
        let chain = |causes: &[&'static str]| {
            let chained = causes.iter().rev().fold(None, |source, said| Some(Box::new(Chained { said, source })));
            error_chain(&*chained.unwrap())
        };
        assert_eq!(chain(&["the glass", "/dev/fb0: no such file"]), "the glass: /dev/fb0: no such file");
        assert_eq!(chain(&["the socket: gone", "gone"]), "the socket: gone");
        assert_eq!(chain(&["k.db: can't open", "can't open", "code 14: can't open"]), "k.db: can't open");
        assert_eq!(chain(&["one", "two", "three"]), "one: two: three");
    }
}
