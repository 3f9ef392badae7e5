//! What is printed. Whoever listens may go away in the middle, as `head` does: that is no error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use serde::Serialize;

/// Prints a line of the result.
pub(crate) fn line(text: impl Display) {
    let _gone = writeln!(io::stdout().lock(), "{text}");
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _gone = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prints one JSON object on a line of its own.
pub(crate) fn json(object: &impl Serialize) -> Result<(), crate::failure::Failure> {
    line(serde_json::to_string(object).map_err(crate::failure::Failure::failed)?);
    Ok(())
}

/// Prints a line beside the result.
pub(crate) fn aside(text: impl Display) {
    let _gone = writeln!(io::stderr().lock(), "{text}");
}

/// Says why the program ends without having done what it should.
pub(crate) fn complain(reason: &impl Display) {
    aside(format_args!("skiff: {reason}"));
}
