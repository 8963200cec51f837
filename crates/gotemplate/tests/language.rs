//! The language itself: a table of templates on one piece of data, with what they print or how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use gotemplate::{Arity, Env, Functions, Kv, Object, TemplateSet, Value};

#[derive(Debug)]
struct Person;

impl Object for Person {
    fn type_name(&self) -> &'static str {
        "test.Person"
    }

    fn field(&self, name: &str) -> Option<Value> {
        (name == "Name").then(|| Value::str("Ann"))
    }

    fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Greet" => Some(Ok(Value::from(format!("hello {}", args.first().and_then(Value::as_str).unwrap_or("nobody"))))),
            "Fail" => Some(Err("cannot".to_owned())),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(Arc<str>, Value)> {
        vec![("Name".into(), Value::str("Ann"))]
    }
}

fn table() -> Functions {
    let mut table = Functions::builtin();
    table.insert("fail", Arity::exactly(0), |_, _| Err("no".to_owned()));
    table.insert("two", Arity::exactly(2), |_, args| Ok(Value::from(format!("{:?}", args.iter().map(Value::as_int).collect::<Vec<_>>()))));
    table.insert("upper", Arity::exactly(1), |_, args| Ok(Value::from(args.first().and_then(Value::as_str).unwrap_or("?").to_uppercase())));
    table.insert("zero", Arity::exactly(0), |_, _| Ok(Value::map([("a", Value::Int(1))])));
    table
}

fn data() -> Value {
    Value::record(
        "test.Data",
        [
            ("Labels", Value::strings([("b", "2"), ("a", "1")])),
            ("KV", Kv::value([("zone", "z"), ("alertname", "A"), ("job", "j")])),
            ("List", Value::list_of(["x", "y", "z"])),
            ("Empty", Value::list([])),
            ("Any", Value::map([("k", Value::Int(7))])),
            ("Value", Value::Float(1.5)),
            ("N", Value::Int(3)),
            ("T", Value::Bool(true)),
            ("Nil", Value::Nil),
            ("Html", Value::str("<b>")),
            ("Person", Value::object(Person)),
            ("Start", Value::time_ms(1_709_622_489_000)),
        ],
    )
}

fn render(text: &str) -> Result<String, String> {
    let mut set = TemplateSet::new(table());
    set.parse("t", text).map_err(|error| error.to_string())?;
    set.render("t", &data(), &Env::at_ms(0)).map_err(|error| error.to_string())
}

#[test]
fn what_templates_print() {
    let cases: &[(&str, &str)] = &[
        ("plain", "plain"),
        ("{{ .N }} {{.Value}} {{.T}}", "3 1.5 true"),
        ("a {{- .N -}} b", "a3b"),
        ("a\n  {{- /* gone */ -}}\n b", "ab"),
        ("{{/* c */}}x", "x"),
        ("{{ \"q\\n\\u00e9\\x41\" }}{{ `raw\\n` }}{{ 'A' }}", "q\néAraw\\n65"),
        ("{{ 0x10 }} {{ 1e3 }} {{ -5 }} {{ 1_000 }} {{ 0b101 }} {{ 017 }}", "16 1000 -5 1000 5 15"),
        ("{{ .Labels.a }}[{{ .Labels.nope }}]", "1[]"),
        ("{{ .Any.nope }} {{ .Nil }} {{ .Any.k }}", "<no value> <no value> 7"),
        ("{{ .Labels }} {{ .List }} {{ .Person }}", "map[a:1 b:2] [x y z] {Ann}"),
        ("{{ if .T }}y{{ end }}{{ if .Empty }}n{{ else }}e{{ end }}", "ye"),
        ("{{ if false }}1{{ else if eq .N 3 }}2{{ else }}3{{ end }}", "2"),
        ("{{ range .List }}{{ . }},{{ else }}none{{ end }}", "x,y,z,"),
        ("{{ range .Empty }}{{ . }}{{ else }}none{{ end }}", "none"),
        ("{{ range $i, $x := .List }}{{ $i }}{{ $x }} {{ end }}", "0x 1y 2z "),
        ("{{ range $k, $v := .Labels }}{{ $k }}={{ $v }};{{ end }}", "a=1;b=2;"),
        ("{{ range $x := .List }}{{ if eq $x \"y\" }}{{ continue }}{{ end }}{{ $x }}{{ end }}", "xz"),
        ("{{ range $x := .List }}{{ if eq $x \"y\" }}{{ break }}{{ end }}{{ $x }}{{ end }}", "x"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ with .Person }}{{ .Name }}{{ end }}{{ with .Nil }}x{{ else }}none{{ end }}", "Annnone"),
        ("{{ with .Nil }}a{{ else with .N }}{{ . }}{{ end }}", "3"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ("{{ $s := \"\" }}{{ range $i, $x := .List }}{{ $s = print $s $x }}{{ end }}{{ $s }}", "xyz"),
        ("{{ define \"a\" }}<{{ . }}>{{ end }}{{ template \"a\" .N }}{{ template \"a\" }}", "<3><<no value>>"),
        ("{{ block \"b\" .N }}[{{ . }}]{{ end }}", "[3]"),
        ("{{ $.N }}{{ range .List }}{{ $.N }}{{ end }}", "3333"),
        ("{{ .Person.Greet \"you\" }} {{ .Person.Greet }}", "hello you hello nobody"),
        ("{{ \"me\" | .Person.Greet | upper }}", "HELLO ME"),
        ("{{ (.Person.Greet \"x\") | printf \"%q\" }}", "\"hello x\""),
        ("{{ (index .Labels \"a\") }} {{ index .List 1 }} {{ index .Any \"k\" }}", "1 y 7"),
        ("{{ len .List }} {{ len .Labels }} {{ len \"abc\" }}", "3 2 3"),
        ("{{ slice .List 1 }} {{ slice \"abcdef\" 1 3 }}", "[y z] bc"),
        ("{{ printf \"%.2f%%\" .Value }} {{ printf \"%d items\" .N }}", "1.50% 3 items"),
        ("{{ .Value | printf \"%.1f\" }}", "1.5"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" 5 }} {{ not 0 }}", "0 5 true"),
        ("{{ and false (fail) }} {{ or true (fail) }}", "false true"),
        ("{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ lt 1.5 2.5 }} {{ ge 2 2 }} {{ gt \"b\" \"a\" }}", "true true true true true"),
        ("{{ html .Html }} {{ urlquery \"a b&c\" }} {{ js \"'<\" }}", "&lt;b&gt; a+b%26c \\'\\u003C"),
        ("{{ print 1 2 \"x\" }} {{ println \"y\" }}", "1 2x y\n"),
        ("{{ zero.a }} {{ (zero).a }}", "1 1"),
        ("{{ .KV.SortedPairs.Names }} {{ .KV.Names.Join \",\" }} {{ .KV.job }}", "[alertname job zone] alertname,job,zone j"),
        ("{{ range .KV.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}", "alertname=A job=j zone=z "),
        ("{{ with .KV.Remove .List }}{{ len . }}{{ end }} {{ (.KV.Remove (.KV.Names)).Values }}", "3 []"),
        ("{{ .KV }}", "alertname=A, job=j, zone=z"),
        ("{{ .Start.Format \"2006-01-02 15:04:05\" }}", "2024-03-05 07:08:09"),
        ("{{ (.Start.Add 28800e9).Format \"15:04\" }}", "15:08"),
        ("{{ (.Start.In \"Asia/Shanghai\").Format \"15:04 MST\" }} {{ .Start.UTC.Hour }}", "15:08 CST 7"),
        ("{{ .Start.Unix }} {{ .Start.Month }} {{ printf \"%d\" .Start.Month }} {{ .Start.Weekday }}", "1709622489 March 3 Tuesday"),
        ("{{ .Start }}", "2024-03-05 07:08:09 +0000 UTC"),
        ("{{ (.Start.Sub .Start).Seconds }} {{ .Start.IsZero }}", "0 false"),
        ("{{ two 1 2.0 }}", "[Some(1), Some(2)]"),
        ("}} { {", "}} { {"),
    ];
    for (text, want) in cases {
        assert_eq!(render(text).as_deref(), Ok(*want), "{text}");
    }
}

#[test]
fn how_templates_fail() {
    let cases: &[(&str, &str)] = &[
        ("{{ nope }}", "template: t:1: function \"nope\" not defined"),
        ("a\n{{ $x }}", "template: t:2: undefined variable \"$x\""),
        ("{{ $x = 1 }}", "template: t:1: undefined variable \"$x\""),
        ("{{ if .T }}", "template: t:1: unexpected EOF"),
        ("{{ end }}", "template: t:1: unexpected {{end}}"),
        ("{{ else }}", "template: t:1: unexpected {{else}}"),
        ("{{ }}", "template: t:1: missing value for command"),
        ("{{ if }}{{ end }}", "template: t:1: missing value for if"),
        ("{{ 1 | 2 }}", "template: t:1: non executable command in pipeline stage 2"),
        ("{{ .N | }}", "template: t:1: missing value for command"),
        ("{{ 1.x }}", "template: t:1: bad number syntax: \"1.x\""),
        ("{{ \"a\".x }}", "template: t:1: unexpected . after term \"\\\"a\\\"\""),
        ("{{ break }}", "template: t:1: {{break}} outside {{range}}"),
        ("{{ .N", "template: t:1: unclosed action"),
        ("{{ (1 }}", "template: t:1: unclosed left paren"),
        ("{{ template }}", "template: t:1: unexpected \"}}\" in template clause"),
        ("{{ .N.Foo }}", "template: t:1:5: executing \"t\" at <.N.Foo>: can't evaluate field Foo in type int"),
        ("{{ .Nope }}", "template: t:1:3: executing \"t\" at <.Nope>: can't evaluate field Nope in type test.Data"),
        ("{{ index .List 9 }}", "template: t:1:3: executing \"t\" at <index .List 9>: error calling index: index out of range: 9"),
        ("x\n  {{ fail }}", "template: t:2:5: executing \"t\" at <fail>: error calling fail: no"),
        ("{{ upper }}", "template: t:1:3: executing \"t\" at <upper>: wrong number of args for upper: want 1 got 0"),
        ("{{ eq 1 1.0 }}", "template: t:1:3: executing \"t\" at <eq 1 1.0>: error calling eq: incompatible types for comparison: int and float64"),
        ("{{ lt .List 1 }}", "template: t:1:3: executing \"t\" at <lt .List 1>: error calling lt: invalid type for comparison"),
        ("{{ printf .N }}", "template: t:1:3: executing \"t\" at <printf .N>: wrong type for value; expected string; got int"),
        ("{{ .N 1 }}", "template: t:1:3: executing \"t\" at <.N>: N is not a method but has arguments"),
        ("{{ 1 2 }}", "template: t:1:3: executing \"t\" at <1>: can't give argument to non-function 1"),
        ("{{ nil }}", "template: t:1:3: executing \"t\" at <nil>: nil is not a command"),
        ("{{ range .T }}{{ end }}", "template: t:1:9: executing \"t\" at <.T>: range can't iterate over true"),
        ("{{ template \"no\" }}", "template: t:1:12: executing \"t\" at <{{template \"no\"}}>: template \"no\" not defined"),
        ("{{ .Person.Fail }}", "template: t:1:10: executing \"t\" at <.Person.Fail>: error calling Fail: cannot"),
        ("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}", "depth (100)"),
    ];
    for (text, want) in cases {
        let error = render(text).expect_err(text);
        assert!(error == *want || error.ends_with(want), "{text}\n got  {error}\n want {want}");
    }
}

#[test]
fn what_is_wrong_is_also_told_in_chinese() {
    let cases: &[(&str, &str)] = &[
        ("{{ nope }}", "没有函数 \"nope\""),
        ("{{ $x }}", "未定义的变量 \"$x\""),
        ("{{ if 1 }}", "模板意外结束，缺少 {{end}}"),
        ("{{ template }}", "template clause 中不应出现 \"}}\""),
        ("{{ break }}", "{{break}} 只能用在 {{range}} 之中"),
        ("{{ 1 | 2 }}", "管道的第 2 段不能执行"),
        ("{{ \"a\".x }}", "\"\\\"a\\\"\" 之后不应有 ."),
        ("{{ 1", "缺少 }}"),
        ("{{ 'a }}", "字符常量没有结束"),
    ];
    for (text, want) in cases {
        let mut set = TemplateSet::new(table());
        let error = set.parse("t", text).expect_err(text);
        assert_eq!(error.zh(), *want, "{text}");
    }
}

#[test]
fn every_rendering_is_bounded() {
    let endless = "{{ range 1000000000 }}{{ range 1000000000 }}x{{ end }}{{ end }}";
    assert!(render(endless).unwrap_err().contains("exceeded 100000 steps"));
    let big = "{{ range 90000 }}0123456789abcdefghijklmnopqrstuvwxyz{{ end }}";
    assert!(render(big).unwrap_err().contains("bytes of output"));
    let deep = format!("{}1{}", "{{ (".to_owned() + &"(".repeat(5000), ")".repeat(5001) + " }}");
    assert!(render(&deep).unwrap_err().contains("nested more than"));
}
