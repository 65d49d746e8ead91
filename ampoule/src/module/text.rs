//! The text format: what is accepted beyond what the parser takes, and which names go into the binary form.

use crate::error::{Error, ErrorKind};
use std::ops::Range;
use std::path::Path;
use wast::Wat;
use wast::core::{
    FuncKind, FunctionType, ImportItems, InnerTypeKind, ItemKind, ItemSig, ModuleField, ModuleKind, TagType, Type,
};
use wast::lexer::{Lexer, Token, TokenKind};
use wast::parser::{ParseBuffer, parse};

/// The binary form of a text, and the file that it was read from.
///
/// # Errors
/// [`ErrorKind::Text`] with the place and the reason.
pub(super) fn binary_of(text: &str, file: Option<&Path>) -> Result<Vec<u8>, Error> {
    let encoded = encode(text).map_err(|error| (error, None::<String>)).or_else(|(error, _)| {
        let rewritten = match error.message() {
            message if message.contains("branch_hint") => without_needless_hints(text),
            message if message.contains("legacy syntax") => with_core_references(text),
            _ => None,
        };
        match rewritten {
            Some(text) => encode(&text).map_err(|error| (error, Some(text))),
            None => Err((error, None)),
        }
    });
    encoded.map_err(|(mut error, rewritten)| {
        error.set_text(rewritten.as_deref().unwrap_or(text));
        if let Some(path) = file {
            error.set_path(path);
        }
        Error::new(ErrorKind::Text(error.to_string()))
    })
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = ParseBuffer::new(text)?;
    let mut wat = parse::<Wat>(&buffer)?;
    if let Wat::Module(module) = &mut wat
        && let ModuleKind::Text(fields) = &mut module.kind
    {
        fields.iter_mut().for_each(forget_parameters);
    }
    wat.encode()
}

/// Takes the names of parameters from types, tags and imports: nothing refers to them, and only the parameters of functions with a
/// body are listed in the `name` section.
fn forget_parameters(field: &mut ModuleField<'_>) {
    match field {
        ModuleField::Type(ty) => forget_in_type(ty),
        ModuleField::Rec(group) => group.types.iter_mut().for_each(forget_in_type),
        ModuleField::Import(imports) => match &mut imports.items {
            ImportItems::Single { sig, .. } | ImportItems::Group2 { sig, .. } => forget_in_item(sig),
            ImportItems::Group1 { items, .. } => items.iter_mut().for_each(|item| forget_in_item(&mut item.sig)),
        },
        ModuleField::Func(func) if matches!(func.kind, FuncKind::Import(..)) => {
            func.ty.inline.iter_mut().for_each(forget_in_signature);
        }
        ModuleField::Tag(tag) => forget_in_tag(&mut tag.ty),
        _ => {}
    }
}

fn forget_in_type(ty: &mut Type<'_>) {
    if let InnerTypeKind::Func(signature) = &mut ty.def.kind {
        forget_in_signature(signature);
    }
}

fn forget_in_item(item: &mut ItemSig<'_>) {
    match &mut item.kind {
        ItemKind::Func(ty) | ItemKind::FuncExact(ty) => ty.inline.iter_mut().for_each(forget_in_signature),
        ItemKind::Tag(ty) => forget_in_tag(ty),
        ItemKind::Table(_) | ItemKind::Memory(_) | ItemKind::Global(_) => {}
    }
}

fn forget_in_tag(TagType::Exception(ty): &mut TagType<'_>) {
    ty.inline.iter_mut().for_each(forget_in_signature);
}

fn forget_in_signature(signature: &mut FunctionType<'_>) {
    for (id, name, _) in &mut signature.params {
        (*id, *name) = (None, None);
    }
}

/// The text without the branch hints that the parser refuses though they do no harm: of several for one instruction all but the
/// first, and those that no instruction follows. Spaces take their place, so that what remains stays where it is. `None` where there
/// are none.
fn without_needless_hints(text: &str) -> Option<String> {
    let tokens = significant_tokens(text)?;
    let mut bytes = text.as_bytes().to_vec();
    let mut any = false;
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        let hints: Vec<Range<usize>> =
            rest.chunks_exact(HINT.len()).map_while(|tokens| is_hint(text, tokens).then(|| span(tokens))).collect();
        rest = &rest[hints.len() * HINT.len()..];
        let kept = if ends_instructions(text, rest) { 0 } else { 1 };
        for hint in hints.into_iter().skip(kept) {
            bytes[hint].fill(b' ');
            any = true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    if any { String::from_utf8(bytes).ok() } else { None }
}

/// `(@metadata.code.branch_hint "\01")`
const HINT: [TokenKind; 4] = [TokenKind::LParen, TokenKind::Annotation, TokenKind::String, TokenKind::RParen];

fn is_hint(text: &str, tokens: &[Token]) -> bool {
    tokens.iter().map(|token| token.kind).eq(HINT)
        && is_hint_name(text, &tokens[1])
        && matches!(*tokens[2].string(text), [0 | 1])
}

fn is_hint_name(text: &str, annotation: &Token) -> bool {
    annotation.annotation(text).is_ok_and(|name| name == "metadata.code.branch_hint")
}

fn span(tokens: &[Token]) -> Range<usize> {
    tokens[0].offset..tokens[tokens.len() - 1].offset + 1
}

/// Whether no instruction follows here: at the end of a list of them, or before `(then`.
fn ends_instructions(text: &str, tokens: &[Token]) -> bool {
    match tokens {
        [first, ..] if first.kind == TokenKind::RParen => true,
        [first, second, ..] => {
            first.kind == TokenKind::LParen && second.kind == TokenKind::Keyword && second.keyword(text) == "then"
        }
        _ => false,
    }
}

/// The text with the references to core items of a component written as the component model has it since its change #655, where
/// they are written as before: `(memory $i "m")` for `(memory (core memory $i "m"))`, and `(realloc (func $f))` for
/// `(realloc (core func $f))`. Programs that were written for 44.0.0 have either. `None` where there are none.
fn with_core_references(text: &str) -> Option<String> {
    let tokens = significant_tokens(text)?;
    let keyword = |token: &Token| if token.kind == TokenKind::Keyword { token.keyword(text) } else { "" };
    // Where something is missing, in order, and what.
    let mut missing: Vec<(usize, &str)> = Vec::new();
    for at in 0..tokens.len() {
        let [open, option, first, second, rest @ ..] = &tokens[at..] else { break };
        if open.kind != TokenKind::LParen {
            continue;
        }
        match (keyword(option), first.kind, second.kind) {
            ("memory", TokenKind::Id | TokenKind::Integer(_), TokenKind::String) => {
                let end = rest.iter().find(|token| token.kind != TokenKind::String)?;
                missing.extend([(first.offset, "(core memory "), (end.offset, ")")]);
            }
            ("realloc" | "post-return" | "callback" | "dtor", TokenKind::LParen, _) if keyword(second) == "func" => {
                missing.push((second.offset, "core "));
            }
            _ => {}
        }
    }
    let mut whole = String::with_capacity(text.len() + missing.len() * 16);
    let mut end = 0;
    for (offset, what) in &missing {
        whole += &text[end..*offset];
        whole += what;
        end = *offset;
    }
    if missing.is_empty() { None } else { Some(whole + &text[end..]) }
}

/// The tokens without space, comments and annotations other than branch hints. `None` where the text has none.
fn significant_tokens(text: &str) -> Option<Vec<Token>> {
    let lexer = Lexer::new(text);
    let mut tokens: Vec<Token> = Vec::new();
    // How many parentheses are open in the annotation that is being skipped.
    let mut skipping = 0usize;
    for token in lexer.iter(0) {
        let token = token.ok()?;
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => {}
            TokenKind::LParen if skipping > 0 => skipping += 1,
            TokenKind::RParen if skipping > 0 => skipping -= 1,
            _ if skipping > 0 => {}
            TokenKind::Annotation if !is_hint_name(text, &token) => {
                tokens.pop();
                skipping = 1;
            }
            _ => tokens.push(token),
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_core_items_may_be_written_as_before() {
        let rewritten = |text| with_core_references(text);
        let as_before =
            r#"(canon lift (core func $i "f") (memory $i "m") (realloc (func $i "r")) (post-return (func 0)))"#;
        let as_now = r#"(canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r")) (post-return (core func 0)))"#;
        assert_eq!(rewritten(as_before).as_deref(), Some(as_now));
        assert_eq!(
            rewritten("(resource (rep i32) (dtor (func 0)))").as_deref(),
            Some("(resource (rep i32) (dtor (core func 0)))")
        );
        for as_it_is in [
            as_now,
            r#"(memory $m 1) (memory (export "a") 1)"#,
            r#"(canon lower (func $f) (memory $m) (realloc $f))"#,
            "(memory",
        ] {
            assert_eq!(rewritten(as_it_is), None, "{as_it_is}");
        }
    }

    #[test]
    fn a_component_written_as_before_is_encoded() {
        let text = r#"(component
            (core module $m (memory (export "m") 1) (func (export "f") (param i32 i32)) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" string) (canon lift (core func $i "f") (memory $i "m") (realloc (func $i "r")))))"#;
        assert!(binary_of(text, None).is_ok());
        let error = binary_of(&text.replace("(param \"x\" string)", "(param \"x\" nothing)"), None).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
    }
}
