//! Several texts in one set, as `templates:` of a notification configuration gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use gotemplate::{Env, TemplateSet, Value, functions};
use proptest::prelude::*;

fn set(texts: &[(&str, &str)]) -> TemplateSet {
    let mut set = TemplateSet::new(functions::alertmanager());
    for (name, text) in texts {
        set.parse(name, text).unwrap();
    }
    set
}

#[test]
fn a_later_definition_replaces_an_earlier_and_a_blank_one_does_not() {
    let base = ("default.tmpl", "{{ define \"title\" }}old{{ end }}{{ define \"text\" }}{{ template \"title\" . }}!{{ end }}");
    let own = ("own.tmpl", "{{ define \"title\" }}new {{ . }}{{ end }}{{ define \"text\" }}\n{{ end }}");
    let set = set(&[base, own]);
    assert_eq!(set.render("text", &Value::Int(1), &Env::at_ms(0)).unwrap(), "new 1!");
    assert!(set.defines("title") && !set.defines("nope"));
}

#[test]
fn a_text_of_its_own_may_call_the_set() {
    let set = set(&[("t", "{{ define \"a\" }}<{{ . }}>{{ end }}")]);
    let env = Env::at_ms(0);
    assert_eq!(set.render_text("", "{{ template \"a\" .x }} plain", &Value::strings([("x", "1")]), &env).unwrap(), "<1> plain");
    assert_eq!(set.render_text("", "{{/* nothing */}}", &Value::Nil, &env).unwrap(), "");
    assert_eq!(set.render_text("", "{{ nope }}", &Value::Nil, &env).unwrap_err().to_string(), "template: :1: function \"nope\" not defined");
    assert_eq!(set.render("nope", &Value::Nil, &env).unwrap_err().to_string(), "template: nope: no template \"nope\" in this set");
}

#[test]
fn an_error_names_the_file_and_the_template() {
    let set = set(&[("f.tmpl", "{{ define \"a\" }}\n  {{ .x.y.z }}{{ end }}")]);
    let error = set.render("a", &Value::strings([("x", "1")]), &Env::at_ms(0)).unwrap_err();
    assert_eq!(error.to_string(), "template: f.tmpl:2:7: executing \"a\" at <.x.y.z>: can't evaluate field y in type string");
    assert_eq!((error.line, error.column), (2, 8));
}

#[test]
fn a_failed_parse_changes_nothing() {
    let mut set = set(&[("t", "{{ define \"a\" }}1{{ end }}")]);
    assert!(set.parse("u", "{{ define \"a\" }}2{{ end }}{{ if }}").is_err());
    assert_eq!(set.render("a", &Value::Nil, &Env::at_ms(0)).unwrap(), "1");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\{\\{|\\}\\}|-|[ .|$()\"`'/*:=,]|if|range|with|end|else|define|template|printf|index|len|slice|[a-c0-9x]|\\PC){0,40}") {
        let mut set = TemplateSet::new(functions::dingtalk());
        if set.parse("t", &text).is_ok() {
            let data = Value::map([("a", Value::list([Value::Int(1)])), ("b", Value::str("x"))]);
            let _ = set.render("t", &data, &Env::at_ms(0));
        }
    }

    #[test]
    fn no_format_makes_it_panic(format in "(%|[-+# 0-9.*]|\\[|\\]|[vsdqxfegtcbU]|\\PC){0,20}", n in any::<i64>(), v in any::<f64>(), s in "\\PC{0,8}") {
        let args = [Value::Int(n), Value::Float(v), Value::str(s), Value::Nil];
        let _ = gotemplate::format::sprintf(&format, &args);
    }
}
