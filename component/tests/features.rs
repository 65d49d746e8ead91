//! What components may have, switch by switch: with what words one that needs a switch is refused, and that it is not with the switch.

use ampoule::{Config, Engine, Features};
use ampoule_component::Component;

/// What a component without the feature is refused with; nothing where it is accepted.
fn refusal(features: Features, text: &str) -> Option<String> {
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    Component::new(&engine, text.as_bytes()).err().map(|error| error.to_string())
}

/// A component that needs a switch, the switch, and the words.
type Case = (fn(&mut Features) -> &mut bool, &'static str, &'static str);

const CASES: &[Case] = &[
    (|f| &mut f.component_model, "(component)", "component model feature is not enabled"),
    (
        |f| &mut f.component_model_map,
        "(component (type (map u32 u32)))",
        "Maps require the component model map feature",
    ),
    (
        |f| &mut f.component_model_async,
        "(component (type (future u32)))",
        "`future` requires the component model async feature",
    ),
    (
        |f| &mut f.concurrency_support,
        "(component (type (stream u32)))",
        "`stream` requires the component model async feature",
    ),
    (
        |f| &mut f.component_model_forward,
        "(component (type $s (stream u8)) (core func (canon stream.forward $s)))",
        "`stream.forward` requires the component model forward feature",
    ),
    (
        |f| &mut f.component_model_forward,
        "(component (type $f (future u8)) (core func (canon future.forward $f)))",
        "`future.forward` requires the component model forward feature",
    ),
    (
        |f| &mut f.component_model_error_context,
        "(component (type error-context))",
        "`error-context` requires the component model error-context feature",
    ),
    (
        |f| &mut f.component_model_fixed_length_lists,
        "(component (type (list u32 4)))",
        "Fixed-length lists require the component model fixed-length lists feature",
    ),
    (
        |f| &mut f.component_model_implements,
        r#"(component (import "a" (implements "a:b/c") (instance)))"#,
        "the `cm-implements` feature is not active",
    ),
    (
        |f| &mut f.component_model_canonical_names,
        r#"(component (import "a:b/c@1" (version-suffix ".2.3") (instance)))"#,
        "the `cm-canon-names` feature is not active",
    ),
    (
        |f| &mut f.component_model_nested_names,
        r#"(component (import "a:b:c/d" (instance)))"#,
        "expected `/` after package name",
    ),
];

#[test]
fn what_needs_a_switch_is_refused_without_it_and_only_then() {
    for (switch, text, words) in CASES {
        let mut features = Features::default();
        *switch(&mut features) = true;
        assert_eq!(refusal(features, text), None, "{text}");
        *switch(&mut features) = false;
        let refusal = refusal(features, text).unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

/// There are switches for what there is no support for yet; they change nothing.
#[test]
fn what_there_is_no_support_for_is_refused_whatever_is_switched_on() {
    let features = Features {
        component_model_values: true,
        component_model_memory64: true,
        component_model_gc: true,
        ..Features::default()
    };
    for (text, words) in [
        (r#"(component (import "x" (value u32)))"#, "support for component model `value`s is not enabled"),
        ("(component (type (resource (rep i64))))", "resources with `i64` require the `cm64` feature to be enabled"),
    ] {
        let refusal = refusal(features, text).unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn what_is_stable_is_on_by_default() {
    for text in [
        "(component (type (map string u32)) (type (stream u8)) (type (future)))",
        r#"(component (import "a" (implements "a:b/c") (external-id "x") (instance)))"#,
    ] {
        assert_eq!(refusal(Features::default(), text), None, "{text}");
    }
}
