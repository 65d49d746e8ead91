//! What a declaration declares.

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Function,
    Type,
    Macro,
    /// An enumerator or a global constant.
    Constant,
    Field,
}

/// The beginning of a struct, union, class or enum.
pub struct Structure {
    pub name: String,
    pub is_enum: bool,
    /// An enum whose enumerators go by its name.
    pub scoped: bool,
    /// Members are private at first.
    pub is_class: bool,
    /// A specialization of a template, which has its description there.
    pub specializes: bool,
}

/// A macro that stands for declarations, on a line of its own.
pub fn is_macro_use(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    let name = line.split('(').next().unwrap_or_default();
    let shouted = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    shouted && line.ends_with(')') && line.contains('(')
}

/// What `extern "C"` and a namespace add to the names inside of them.
pub fn transparent(head: &str) -> Option<String> {
    let head = head.trim();
    if head == "extern \"C\"" {
        return Some(String::new());
    }
    head.strip_prefix("namespace").map(|name| format!("{}::", name.trim()))
}

pub fn structure(head: &str) -> Option<Structure> {
    let plain = without_template(head.trim());
    let plain = plain.strip_prefix("typedef ").unwrap_or(plain);
    let mut words = plain.split_whitespace();
    let keyword = words.next()?;
    if !matches!(keyword, "struct" | "union" | "class" | "enum") {
        return None;
    }
    let before_base = plain.split(" : ").next()?;
    if before_base.contains('(') {
        return None;
    }
    let mut name = words.next().unwrap_or_default();
    let scoped = keyword == "enum" && matches!(name, "class" | "struct");
    if scoped {
        name = words.next().unwrap_or_default();
    }
    let specializes = name.contains('<');
    let is_enum = keyword == "enum";
    Some(Structure { name: name.to_owned(), is_enum, scoped, is_class: keyword == "class", specializes })
}

/// The kind and name of what is declared, unless its description is with another declaration: announcements of types, friends,
/// definitions of what a class has declared.
pub fn name(shown: &str, structure: Option<&Structure>, tail: &str, class: Option<&str>) -> Option<(Kind, String)> {
    if let Some(structure) = structure {
        if structure.specializes {
            return None;
        }
        let is_typedef = shown.starts_with("typedef");
        return match (is_typedef, tail.is_empty()) {
            (true, false) => Some((Kind::Type, last_identifier(tail)?)),
            (false, false) => Some((Kind::Field, last_identifier(tail)?)),
            _ => Some((Kind::Type, structure.name.clone())),
        };
    }
    let plain = without_template(shown);
    let first = plain.split([' ', '(']).next()?;
    if let Some(alias) = plain.strip_prefix("using ") {
        let (name, _) = alias.split_once(" =")?;
        return Some((Kind::Type, name.to_owned()));
    }
    if matches!(first, "friend" | "static_assert") {
        return None;
    }
    let announced = matches!(first, "struct" | "class" | "union" | "enum");
    if announced && !plain.contains('(') && plain.trim_start_matches("enum class ").split(' ').count() <= 2 {
        return None;
    }
    if first == "typedef" {
        return match plain.find("(*") {
            Some(pointer) => Some((Kind::Type, first_identifier(&plain[pointer + 2..]))),
            None => Some((Kind::Type, last_identifier(plain.split('[').next()?)?)),
        };
    }
    if let Some(parameters) = parameters(plain) {
        if plain[parameters..].starts_with("(*") {
            return Some((Kind::Field, first_identifier(&plain[parameters + 2..])));
        }
        let name = function_name(&plain[..parameters])?;
        return (!name.contains("::")).then_some((Kind::Function, name));
    }
    let variable = plain.split(['=', '[', '{']).next()?.trim();
    let kind = if class.is_some() { Kind::Field } else { Kind::Constant };
    if variable.contains("::") && !variable.contains(' ') {
        return None;
    }
    Some((kind, last_identifier(variable)?))
}

/// Copying, moving, assigning and ending are what C++ says they are.
pub fn speaks_for_itself(shown: &str, name: &str, class: Option<&str>) -> bool {
    let Some(class) = class else { return false };
    let copies = name == class
        && (shown.contains(&format!("(const {class} &")) || shown.contains(&format!("({class} &&")))
        && !shown.contains(',');
    copies
        || name.starts_with('~')
        || name == "operator="
        || shown.ends_with("= default")
        || shown.ends_with("= delete")
}

/// A definition without what follows its parameters after a colon.
pub fn without_initializers(shown: &str, defines: bool) -> String {
    let start = shown.len() - without_template(shown).len();
    match parameters(&shown[start..]) {
        Some(_) if defines => match shown[start..].find(") : ") {
            Some(end) => shown[..start + end + 1].to_owned(),
            None => shown.split(" noexcept :").next().unwrap_or(shown).to_owned(),
        },
        _ => shown.to_owned(),
    }
}

/// Whether the text goes beyond the angle brackets that it begins with.
pub fn template_ends(text: &str) -> bool {
    let text = text.trim();
    !without_template(text).is_empty() && without_template(text) != text
}

/// What follows `template <...>`.
fn without_template(text: &str) -> &str {
    let Some(after) = text.strip_prefix("template") else { return text };
    let mut depth = 0usize;
    for (at, next) in after.char_indices() {
        match next {
            '<' => depth += 1,
            '>' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return without_template(after[at + 1..].trim_start());
                }
            }
            _ => {}
        }
    }
    ""
}

/// Where the parameters begin.
fn parameters(plain: &str) -> Option<usize> {
    if let Some(operator) = plain.find("operator") {
        let from = operator + "operator".len();
        let from = if plain[from..].starts_with("()") { from + 2 } else { from };
        return plain[from..].find('(').map(|at| from + at);
    }
    let mut depth = 0usize;
    for (at, next) in plain.char_indices() {
        match next {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '=' if depth == 0 => return None,
            '(' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn function_name(before: &str) -> Option<String> {
    match before.find("operator") {
        // An operator that a class has declared.
        Some(at) if before[..at].ends_with("::") => Some("::".to_owned()),
        Some(at) => Some(before[at..].trim().to_owned()),
        None => {
            let end = before.trim_end();
            let start = end.rfind(|c: char| !c.is_alphanumeric() && !"_:~".contains(c)).map_or(0, |at| at + 1);
            let name = &end[start..];
            (!name.is_empty()).then(|| name.to_owned())
        }
    }
}

fn first_identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn last_identifier(text: &str) -> Option<String> {
    let text = text.trim_end();
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    (start < text.len()).then(|| text[start..].to_owned())
}
