//! Errors with their causes, as one line for people.

use std::error::Error;

/// An error with its causes in one line; a cause that the message tells already is not repeated.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("file gone")]
    struct Inner(#[source] std::io::Error);

    #[test]
    fn causes_follow_the_error_and_none_is_told_twice() {
        let error = Outer(Inner(std::io::Error::other("file gone")));
        assert_eq!(explain(&error), "cannot read: file gone");
    }
}
