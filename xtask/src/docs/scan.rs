//! Reads our headers: which public items there are, with the comment before each.
//!
//! No parser of C or C++. It knows the regular form that our headers have: a comment before each item, one declaration at a
//! time, bodies in braces. What it doesn't understand it reports as an item without a comment, so nothing gets lost.

use super::declaration::{self, Kind};

/// A comment without its decoration.
#[derive(Clone, Default, Debug)]
pub struct Comment {
    pub text: String,
    /// The line of the header that its first line is in.
    pub line: usize,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub kind: Kind,
    /// The name with the classes and namespaces around it.
    pub name: String,
    /// The declaration on one line, without a body.
    pub declaration: String,
    pub comment: Option<Comment>,
    pub line: usize,
    pub members: Vec<Item>,
}

/// What a header holds.
pub struct Header {
    /// The name as programs include it.
    pub name: String,
    /// The comment with `\file`.
    pub comment: Option<Comment>,
    pub items: Vec<Item>,
    /// Public items without a comment: their lines and names.
    pub undocumented: Vec<(usize, String)>,
}

/// Reads one header.
pub fn header(name: &str, text: &str) -> Header {
    let header = Header { name: name.to_owned(), comment: None, items: Vec::new(), undocumented: Vec::new() };
    let mut scanner = Scanner { text, at: 0, header, macros: Vec::new(), private: false };
    let mut items = Vec::new();
    let scope = Scope { path: String::new(), class: None, public: true };
    while scanner.at < text.len() {
        scanner.scope(scope.clone(), &mut items);
        scanner.at += 1; // a stray closing brace
    }
    scanner.header.items = items;
    scanner.header
}

/// Where declarations are.
#[derive(Clone)]
struct Scope {
    /// Namespaces and classes, each with `::` behind it.
    path: String,
    /// The class or struct.
    class: Option<String>,
    public: bool,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    header: Header,
    /// Macros seen so far in this header.
    macros: Vec<String>,
    /// Inside of what the header keeps to itself: comments are welcome there, not required.
    private: bool,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Reads items up to the closing brace of the scope, which is left.
    fn scope(&mut self, mut scope: Scope, items: &mut Vec<Item>) {
        let mut comment: Option<Comment> = None;
        let mut macro_before: Option<(usize, Comment)> = None;
        loop {
            self.skip_space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with('}') {
                return;
            } else if rest.starts_with("///") {
                comment = Some(self.line_comment());
            } else if rest.starts_with("/**") {
                let found = self.block_comment();
                if found.text.contains("\\file") {
                    // A header that only has the insides of another one.
                    self.private |= found.text.contains("\\internal");
                    self.header.comment = Some(found);
                } else {
                    comment = Some(found);
                }
            } else if rest.starts_with("/*") {
                self.block_comment();
            } else if rest.starts_with("//") {
                self.skip_line();
            } else if rest.starts_with('#') {
                self.directive(&mut comment, &mut macro_before, items);
            } else if rest.starts_with(';') {
                self.at += 1;
            } else if let Some(public) = access(rest) {
                scope.public = public;
                self.skip_line();
            } else {
                self.declaration(&scope, comment.take(), items);
            }
        }
    }

    fn line_comment(&mut self) -> Comment {
        let mut found = Comment { text: String::new(), line: self.line() };
        loop {
            let spaces = self.rest().len() - self.rest().trim_start_matches(' ').len();
            let Some(line) = self.rest()[spaces..].strip_prefix("///") else { return found };
            let line = line.lines().next().unwrap_or_default();
            found.text.push_str(line.strip_prefix(' ').unwrap_or(line));
            found.text.push('\n');
            self.skip_line();
        }
    }

    fn block_comment(&mut self) -> Comment {
        let line = self.line();
        let end = self.rest().find("*/").unwrap_or(self.rest().len());
        let mut text = String::new();
        for line in self.rest()[..end].trim_start_matches(['/', '*']).lines() {
            let line = line.trim_start();
            let line = line.strip_prefix('*').unwrap_or(line);
            text.push_str(line.strip_prefix(' ').unwrap_or(line));
            text.push('\n');
        }
        self.at += (end + 2).min(self.rest().len());
        Comment { text, line }
    }

    /// A line of the preprocessor with those that continue it. A macro is an item unless it is a guard or goes away again;
    /// lines of macros without a space between them share the comment of the first.
    fn directive(
        &mut self,
        comment: &mut Option<Comment>,
        before: &mut Option<(usize, Comment)>,
        items: &mut Vec<Item>,
    ) {
        let line = self.line();
        let mut text = String::new();
        loop {
            let next = self.rest().lines().next().unwrap_or_default().to_owned();
            self.skip_line();
            text.push_str(next.trim_end_matches('\\'));
            if !next.ends_with('\\') {
                break;
            }
        }
        let Some(body) = text.strip_prefix("#define ") else { return };
        let end = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
        let name = &body[..end];
        let guard = body == name && (name.ends_with("_H") || name.ends_with("_HH"));
        let again = self.macros.iter().any(|known| known == name);
        if guard || again || self.text.contains(&format!("#undef {name}\n")) {
            return;
        }
        self.macros.push(name.to_owned());
        let comment = comment.take().or_else(|| before.take().filter(|(last, _)| last + 1 == line).map(|(_, own)| own));
        *before = comment.clone().map(|comment| (self.line() - 1, comment));
        let defined = comment.as_ref().is_some_and(|comment| comment.text.contains("\\def"));
        let shown = if defined { format!("#define {name}") } else { one_line(&text) };
        self.add(
            Item { kind: Kind::Macro, name: name.to_owned(), declaration: shown, comment, line, members: vec![] },
            items,
        );
    }

    fn declaration(&mut self, scope: &Scope, comment: Option<Comment>, items: &mut Vec<Item>) {
        let line = self.line();
        if declaration::is_macro_use(self.rest()) {
            self.skip_line();
            return;
        }
        let (head, body) = self.head();
        if let (true, Some(name)) = (body, declaration::transparent(&head)) {
            let inner = Scope { path: format!("{}{name}", scope.path), class: None, public: true };
            let was = self.private;
            self.private |= name == "detail::";
            self.scope(inner, items);
            self.private = was;
            self.at += 1;
            return;
        }
        let shown = one_line(&head).replace("WASM_API_EXTERN ", "").replace("WASI_API_EXTERN ", "");
        let mut members = Vec::new();
        let mut tail = String::new();
        let structure = declaration::structure(&head).filter(|_| body);
        if let Some(structure) = &structure {
            let own = structure.name.clone();
            if structure.is_enum {
                self.enumerators(&mut members);
            } else {
                let path = if own.is_empty() { scope.path.clone() } else { format!("{}{own}::", scope.path) };
                self.scope(Scope { path, class: Some(own), public: !structure.is_class }, &mut members);
            }
            self.at += 1;
            tail = self.head().0.trim().to_owned();
        } else if body {
            self.skip_block();
        }
        if !scope.public {
            // What a private class hides needs no comments either.
            let hidden = line..=self.line();
            self.header.undocumented.retain(|(at, _)| !hidden.contains(at));
            return;
        }
        let Some((kind, name)) = declaration::name(&shown, structure.as_ref(), &tail, scope.class.as_deref()) else {
            if structure.is_some_and(|structure| structure.specializes) {
                let hidden = line..=self.line();
                self.header.undocumented.retain(|(at, _)| !hidden.contains(at));
            }
            return;
        };
        let declaration = match (&structure, tail.is_empty()) {
            (Some(_), false) => format!("{shown} {{…}} {tail}"),
            _ => declaration::without_initializers(&shown, body && structure.is_none()),
        };
        if comment.is_none() && declaration::speaks_for_itself(&declaration, &name, scope.class.as_deref()) {
            return;
        }
        if name.is_empty() {
            // A struct without a name: its members are those of what it is in.
            items.append(&mut members);
            return;
        }
        let name = format!("{}{name}", scope.path);
        // The members of C's structs go by the type's name; its enumerators are names of their own.
        if structure.is_some_and(|structure| structure.scoped || (!structure.is_enum && !tail.is_empty())) {
            for member in &mut members {
                let own = member.name.rsplit("::").next().unwrap_or_default();
                member.name = format!("{name}::{own}");
            }
        }
        self.add(Item { kind, name, declaration, comment, line, members }, items);
    }

    fn add(&mut self, item: Item, items: &mut Vec<Item>) {
        match item.comment {
            Some(_) => items.push(item),
            None if self.private => {}
            None => self.header.undocumented.push((item.line, item.name)),
        }
    }

    fn enumerators(&mut self, members: &mut Vec<Item>) {
        let mut comment = None;
        loop {
            self.skip_space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with('}') {
                return;
            } else if rest.starts_with("///") {
                comment = Some(self.line_comment());
            } else if rest.starts_with("//") || rest.starts_with('#') {
                self.skip_line();
            } else {
                let line = self.line();
                let end = rest.find([',', '}', '\n']).unwrap_or(rest.len());
                let declaration = one_line(&rest[..end]);
                let comma = rest[end..].starts_with(',');
                self.at += end + usize::from(comma);
                let name = declaration.split([' ', '=']).next().unwrap_or_default().to_owned();
                let comment = comment.take();
                self.add(Item { kind: Kind::Constant, name, declaration, comment, line, members: vec![] }, members);
            }
        }
    }

    /// The text up to a semicolon, which is passed, or to the brace of a body, which is passed too (then true).
    fn head(&mut self) -> (String, bool) {
        let mut head = String::new();
        let (mut depth, mut initializer) = (0usize, false);
        while let Some(next) = self.rest().chars().next() {
            if self.rest().starts_with("//") {
                self.skip_line();
                head.push('\n');
                continue;
            }
            if self.rest().starts_with("/*") {
                self.block_comment();
                continue;
            }
            self.at += next.len_utf8();
            match next {
                '"' => {
                    let end = self.rest().find('"').map_or(self.rest().len(), |end| end + 1);
                    head.push('"');
                    head.push_str(&self.text[self.at..self.at + end]);
                    self.at += end;
                    continue;
                }
                ';' if depth == 0 => return (head, false),
                // Directly behind a name it is the value of a member.
                '{' if depth == 0 && !initializer && !head.ends_with(char::is_alphanumeric) => return (head, true),
                '=' if depth == 0 && !head.contains("operator") => initializer = true,
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            // A template's defaults are no initializers.
            initializer &= !head.trim_start().starts_with("template") || declaration::template_ends(&head);
            head.push(next);
        }
        (head, false)
    }

    fn skip_block(&mut self) {
        let mut depth = 1usize;
        while let Some(next) = self.rest().chars().next() {
            if self.rest().starts_with("//") {
                self.skip_line();
                continue;
            }
            self.at += next.len_utf8();
            match next {
                '"' => {
                    let mut escaped = false;
                    while let Some(next) = self.rest().chars().next() {
                        self.at += next.len_utf8();
                        if next == '"' && !escaped {
                            break;
                        }
                        escaped = next == '\\' && !escaped;
                    }
                }
                '\'' => {
                    let end = if self.rest().starts_with('\\') { 3 } else { 2 };
                    self.at += end.min(self.rest().len());
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// Whether what follows a label of a class is public.
fn access(rest: &str) -> Option<bool> {
    let label = rest.lines().next()?.trim();
    match label {
        "public:" => Some(true),
        "private:" | "protected:" => Some(false),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        header("x.h", text).items.into_iter().map(|item| item.name).collect()
    }

    #[test]
    fn functions_types_and_macros_are_found() {
        let text = "/// One.\nWASM_API_EXTERN own wasm_x_t *wasm_x_new(\n    int (*f)(void), int b[]);\n/// A.\n#define A 1\n\
            #define B 2\n/// T.\ntypedef struct t {\n  /// X.\n  int x;\n} t_t;\n/// F.\ntypedef void (*f_t)(int);\n\
            /// S.\nstatic inline int s(void) {\n  return '}';\n}\n/// V.\ntypedef uint8_t v_t[16];\n";
        assert_eq!(names(text), ["wasm_x_new", "A", "B", "t_t", "f_t", "s", "v_t"]);
        assert_eq!(header("x.h", text).items[3].members[0].name, "t_t::x");
    }

    #[test]
    fn members_of_classes_are_found_and_private_ones_are_not() {
        let text = "namespace w {\nclass F;\n/// C.\ntemplate <typename T> class C : public B<T> {\n  int hidden;\npublic:\n\
            /// Makes.\n  explicit C(int a) : hidden(a) {}\n  C(const C &other) = default;\n  /// Is.\n  bool operator==(const C &o) \
            const { return true; }\n  /// On.\n  template <typename X, std::enable_if_t<is<X>, bool> = true>\n  Result<X> get() { return {}; }\n};\n}\n";
        let found = header("x.hh", text);
        assert_eq!(found.undocumented, []);
        assert_eq!(found.items[0].name, "w::C");
        let members: Vec<&str> = found.items[0].members.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(members, ["w::C::C", "w::C::operator==", "w::C::get"]);
        assert_eq!(found.items[0].members[0].declaration, "explicit C(int a)");
    }

    #[test]
    fn a_public_item_without_a_comment_is_reported() {
        let found = header("x.h", "/// One.\nint one(void);\n\nint two(void);\nenum e {\n  A,\n};\n");
        let lines: Vec<usize> = found.undocumented.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 6, 5]);
    }
}
