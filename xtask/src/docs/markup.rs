//! Texts become HTML: comments of headers, and pages of the guide. Both are Markdown, the former with a few of Doxygen's
//! commands: `\file`, `\brief`, `\def`, `\internal`, `\param`, `\return`, `\code`, `\endcode`, and `#name`.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::names::{Found, Names};
use super::scan::Comment;

/// Makes HTML of a comment that belongs to the item `scope`. Names that don't exist are handed to `broken`, with their
/// lines in the header.
pub fn comment(comment: &Comment, scope: &str, names: &Names, broken: &mut Vec<(usize, String)>) -> String {
    let text = markdown(&comment.text);
    render(&text, scope, names, &mut |url| url.to_owned(), &mut |offset, name| {
        let line = text[..offset].matches('\n').count();
        broken.push((comment.line + line, name));
    })
}

/// The first sentence or `\brief` of a comment, as Markdown without commands.
pub fn summary(comment: &Comment) -> Comment {
    let text = markdown(&comment.text);
    let skipped = text.len() - text.trim_start().len();
    let paragraph = text.trim_start().split("\n\n").next().unwrap_or_default();
    let end = paragraph.find(". ").or_else(|| paragraph.find(".\n")).map_or(paragraph.len(), |end| end + 1);
    Comment { text: paragraph[..end].to_owned(), line: comment.line + text[..skipped].matches('\n').count() }
}

/// Doxygen's commands as Markdown, line by line, so that lines keep their numbers.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let mut words = trimmed.splitn(3, ' ');
        match words.next().unwrap_or_default() {
            "\\code" => {
                code = true;
                out.push_str("```c");
            }
            "\\endcode" => {
                code = false;
                out.push_str("```");
            }
            _ if code => out.push_str(line),
            "\\file" | "\\def" | "\\internal" => {}
            "\\brief" => out.push_str(&references(trimmed.trim_start_matches("\\brief").trim_start())),
            "\\return" => {
                out.push_str("- *returns* ");
                out.push_str(&references(trimmed.trim_start_matches("\\return").trim_start()));
            }
            "\\param" => {
                let name = words.next().unwrap_or_default();
                out.push_str(&format!("- `{name}`: {}", references(words.next().unwrap_or_default())));
            }
            _ => out.push_str(&references(line)),
        }
        out.push('\n');
    }
    out
}

/// `#name` as `` `name` ``.
fn references(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('#') {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + 1..];
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        out.push_str(&rest[..at]);
        let starts = before.is_none_or(|c| " (".contains(c)) && after.starts_with(|c: char| c.is_alphabetic());
        if starts && after[..end].contains('_') {
            out.push_str(&format!("`{}`", &after[..end]));
        } else {
            out.push_str(&rest[at..at + 1 + end]);
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// Makes HTML of Markdown. `link` says where links lead; names that look like ours and don't exist go to `missing`, with
/// their place in `text`.
pub fn render(
    text: &str,
    scope: &str,
    names: &Names,
    link: &mut dyn FnMut(&str) -> String,
    missing: &mut dyn FnMut(usize, String),
) -> String {
    let mut events = Vec::new();
    let (mut in_link, mut heading) = (false, None::<(usize, String)>);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        if let (Some((_, title)), Event::Text(word) | Event::Code(word)) = (&mut heading, &event) {
            title.push_str(word);
        }
        match event {
            Event::Code(code) => match names.quoted(&code, scope) {
                Found::Place(place) if !in_link => {
                    let inside = escape(&code);
                    events.push(Event::InlineHtml(
                        format!("<a href=\"{}\"><code>{inside}</code></a>", escape(&place.url)).into(),
                    ));
                }
                Found::Missing => missing(range.start, code.to_string()),
                _ => events.push(Event::Code(code)),
            },
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                in_link = true;
                let dest_url: CowStr = link(&dest_url).into();
                events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::End(TagEnd::Link) => {
                in_link = false;
                events.push(event);
            }
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                events.push(event);
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((at, title)) = heading.take()
                    && let Event::Start(Tag::Heading { id, .. }) = &mut events[at]
                {
                    *id = Some(slug(&title).into());
                }
                events.push(event);
            }
            other => events.push(other),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

/// A heading's anchor: its words, joined.
pub fn slug(title: &str) -> String {
    let words = title.to_lowercase();
    words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_markdown_and_lines_stay() {
        let text = "\\brief Does #wasm_x_y.\n\\param a_b it\n\\code\n#include <x.h>\n\\endcode\n";
        assert_eq!(markdown(text), "Does `wasm_x_y`.\n- `a_b`: it\n```c\n#include <x.h>\n```\n");
    }

    #[test]
    fn a_name_that_does_not_exist_is_missed_with_its_line() {
        let said = Comment { text: "One `wasm_no_such`\nand `size`, and\n`ampoule_`.\n".to_owned(), line: 7 };
        let mut broken = Vec::new();
        comment(&said, "", &Names::default(), &mut broken);
        assert_eq!(broken, [(7, "wasm_no_such".to_owned())]);
    }
}
