//! Writing to standard output.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::process;

use sojourn::code::EXIT_FAILED;

/// Writes a line to standard output, in place of the standard macro, which panics when nobody reads any
/// more: `sojourn show ann | head -1` is no bug.
macro_rules! println {
    () => {
        $crate::output::line(format_args!(""))
    };
    ($($arguments:tt)*) => {
        $crate::output::line(format_args!($($arguments)*))
    };
}

/// Writes a line. Ends the process when whoever read it has closed the pipe, having had enough, and when
/// it cannot be written, as on a full disk.
pub(crate) fn line(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    let Err(error) = output
        .write_fmt(text)
        .and_then(|()| output.write_all(b"\n"))
    else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(0);
    }
    eprintln!("cannot write to standard output: {error}");
    process::exit(EXIT_FAILED.into());
}
