//! What the command prints, and how text of unknown origin is made safe to show.
//!
//! Names in modules, messages about them, paths and arguments may hold control sequences, which a terminal obeys, and
//! characters that change the order of what is shown. [`escape`] makes them visible, and whatever the command prints goes
//! through it: [`print_lines`], [`report`] and their siblings are the ways out. The guest writes to standard output itself.
//!
//! On a terminal, text also fits its width: tables are cut ([`fit`]), messages are wrapped.

use console::{Term, measure_text_width};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

/// The longest message that is printed, in bytes; guests choose the names in messages.
const LONGEST_MESSAGE: usize = 16 << 10;
/// What the second and later lines of a message start with, so that no name with a line break in it looks like a message.
const INDENT: &str = "    ";
/// On terminals narrower than this nothing is wrapped or cut: little would be left.
const NARROWEST: usize = 30;

/// Prints text of our own, such as a completion script, as it is.
///
/// # Errors
/// Where it can't be written. Whoever closed standard output (`| head`) has seen enough, which is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    written(std::io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints lines, each escaped, as they come.
///
/// # Errors
/// As of [`print()`].
pub fn print_lines<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let result = lines.into_iter().try_for_each(|line| writeln!(out, "{}", escape(line.as_ref())));
    written(result.and_then(|()| out.flush()))
}

/// Prints a line, on a terminal as several where it is too long.
///
/// # Errors
/// As of [`print()`].
pub fn print_wrapped(line: &str) -> anyhow::Result<()> {
    let mut text = String::new();
    wrap(&mut text, &escape(line), width());
    print(&text)
}

/// Takes a closed output for success.
pub fn written(result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a message to standard error; where that is closed, nobody reads it.
pub fn report(message: &str) {
    report_indented(message, INDENT);
}

/// Reports a text of the parser of arguments, which has headings of its own.
pub fn report_usage(text: &str) {
    report_indented(text, "");
}

fn report_indented(message: &str, indent: &str) {
    let width = width_of(&Term::stderr(), std::io::stderr().is_terminal());
    let _ = std::io::stderr().lock().write_all(layout(message, indent, width).as_bytes());
}

/// Reports an error with its causes. Some errors name their cause themselves; it isn't said twice.
pub fn report_error(error: &anyhow::Error) {
    let mut text = String::from("error");
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            let _ = write!(text, ": {cause}");
        }
    }
    report(&text);
}

/// The columns of standard output, where it is a terminal.
pub fn width() -> Option<usize> {
    width_of(&Term::stdout(), std::io::stdout().is_terminal())
}

fn width_of(term: &Term, is_terminal: bool) -> Option<usize> {
    let (_, columns) = term.size_checked().filter(|_| is_terminal)?;
    Some(usize::from(columns)).filter(|&columns| columns >= NARROWEST)
}

/// Text in one line, in which each character that a terminal obeys instead of showing it is written as `\u{1b}` or `\n`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// Control characters, and what reorders, hides or ends the text around it without being seen.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A cell of a table: text in one line that is at most `width` columns wide, with `…` for what is left out.
pub fn fit(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let text = escape(text);
    let Some(width) = width.filter(|&width| columns(&text) > width) else { return text };
    let mut cut = String::new();
    let mut used = 1; // the ellipsis
    for c in text.chars() {
        used += columns_of(c);
        if used > width {
            break;
        }
        cut.push(c);
    }
    Cow::Owned(cut + "…")
}

/// How many columns a text without control characters takes.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { measure_text_width(text) }
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { measure_text_width(c.encode_utf8(&mut [0; 4])) }
}

/// A message as it is printed: escaped, not endless, and wrapped where a width is given.
fn layout(message: &str, later_lines: &str, width: Option<usize>) -> String {
    let shown = &message[..message.floor_char_boundary(LONGEST_MESSAGE)];
    let mut text = String::new();
    for (number, line) in shown.lines().enumerate() {
        // Lines that are indented already are parts of a larger picture, such as a place in a text.
        let indent = if number == 0 || line.is_empty() || line.starts_with(' ') { "" } else { later_lines };
        wrap(&mut text, &format!("{indent}{}", escape(line)), width);
    }
    if shown.len() < message.len() {
        let _ = writeln!(text, "{INDENT}… and {} bytes more", message.len() - shown.len());
    }
    text
}

/// Appends a line, broken at spaces where there are any.
fn wrap(text: &mut String, mut line: &str, width: Option<usize>) {
    let mut indent = "";
    while let Some(end) = width.and_then(|width| first_beyond(line, width - indent.len())) {
        // A place in the line behind its own indentation, and not so early that the wrapped text is a narrow column.
        let beyond = if line[end..].starts_with(' ') { end + 1 } else { end };
        let space = line[..beyond].rfind(' ').filter(|&space| space > end / 2);
        let (now, later) = line.split_at(space.unwrap_or(end));
        let _ = writeln!(text, "{indent}{now}");
        line = later.trim_start_matches(' ');
        indent = INDENT;
    }
    let _ = writeln!(text, "{indent}{line}");
}

/// Where the first character starts that lies beyond so many columns.
fn first_beyond(line: &str, width: usize) -> Option<usize> {
    let mut used = 0;
    line.char_indices().find_map(|(at, c)| {
        used += columns_of(c);
        (used > width).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_made_visible() {
        assert_eq!(escape("plain ü 漢 \\n"), "plain ü 漢 \\n");
        assert_eq!(escape("\x1b[31m\x07\x7f\u{9b}2J"), "\\u{1b}[31m\\u{7}\\u{7f}\\u{9b}2J");
        assert_eq!(escape("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(escape("\u{202e}gpj.exe\u{2028}"), "\\u{202e}gpj.exe\\u{2028}");
    }

    #[test]
    fn cells_fit_their_width() {
        assert_eq!(fit("abcdef", None), "abcdef");
        assert_eq!(fit("abcdef", Some(6)), "abcdef");
        assert_eq!(fit("abcdef", Some(5)), "abcd…");
        assert_eq!(fit("漢字漢字", Some(6)), "漢字…");
        assert_eq!(fit("\x1b\x1b", Some(7)), "\\u{1b}…");
    }

    #[test]
    fn messages_are_wrapped_at_spaces_and_later_lines_are_indented() {
        let message = "error: one two three four five\nforged: line\n  | a picture";
        assert_eq!(layout(message, INDENT, None), "error: one two three four five\n    forged: line\n  | a picture\n");
        assert_eq!(
            layout("error: one two three four five six seven", INDENT, Some(30)),
            "error: one two three four five\n    six seven\n"
        );
        let long = layout(&format!("error: {}", "x".repeat(100)), INDENT, Some(40));
        assert!(long.lines().all(|line| columns(line) <= 40), "{long}");
        assert_eq!(long.matches('x').count(), 100);
    }

    #[test]
    fn messages_end() {
        let text = layout(&"é".repeat(100_000), INDENT, None);
        assert!(text.len() < LONGEST_MESSAGE + 100, "{}", text.len());
        assert!(text.ends_with("… and 183616 bytes more\n"), "{}", &text[text.len() - 40..]);
    }
}
