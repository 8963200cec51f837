//! The function tables of Prometheus, Alertmanager and the DingTalk webhook: what each function gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use gotemplate::{Env, Escape, Functions, Host, Kv, TemplateSet, Value, functions};
use jiff::tz::TimeZone;

/// 2024-03-05 07:08:09.500 UTC.
const NOW_MS: i64 = 1_709_622_489_500;

struct Prometheus;

impl Host for Prometheus {
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let sample = |instance: &str, value: f64| {
            let labels = Value::strings([("instance", instance), ("__value__", "text")]);
            Value::record("template.sample", [("Labels", labels), ("Value", Value::Float(value))])
        };
        match (name, args.first().and_then(Value::as_str)) {
            ("query", Some("none")) => Some(Ok(Value::list([]))),
            ("query", Some("bad")) => Some(Err("parse error".to_owned())),
            ("query", _) => Some(Ok(Value::list([sample("b", 2.0), sample("a", 1.0)]))),
            ("externalURL", _) => Some(Ok(Value::str("http://w:9099/base"))),
            ("pathPrefix", _) => Some(Ok(Value::str("/base"))),
            _ => None,
        }
    }
}

fn render(table: Functions, text: &str, env: &Env<'_>) -> String {
    let mut set = TemplateSet::new(table);
    let data = Value::record(
        "test.Data",
        [
            ("Start", Value::time_ms(NOW_MS - 5_400_000)),
            ("V", Value::Float(1_234_567.0)),
            ("Labels", Kv::value([("alertname", "A"), ("job", "j")])),
            ("List", Value::list_of(["b", "a", "b"])),
            ("Nil", Value::Nil),
        ],
    );
    set.parse("t", text).and_then(|()| set.render("t", &data, env)).unwrap_or_else(|error| error.message)
}

fn check(table: &Functions, env: &Env<'_>, cases: &[(&str, &str)]) {
    for (text, want) in cases {
        assert_eq!(render(table.clone(), text, env), *want, "{text}");
    }
}

#[test]
fn numbers_for_people() {
    let table = functions::prometheus();
    for (function, cases) in [
        (
            "humanize",
            &[
                ("0.0", "0"),
                ("1.0", "1"),
                ("1234567.0", "1.235M"),
                ("0.12", "120m"),
                ("-12345678.0", "-12.35M"),
                ("9223372036854775807", "9.223E"),
                ("\"1500\"", "1.5k"),
                ("0.0000001", "100n"),
            ][..],
        ),
        ("humanize1024", &[("0.0", "0"), ("1.0", "1"), ("1048576.0", "1Mi"), ("1536", "1.5ki"), ("0.5", "0.5"), ("9223372036854775807", "8Ei")]),
        (
            "humanizeDuration",
            &[
                ("0.0", "0s"),
                ("1.0", "1s"),
                ("60.5", "1m 0s"),
                ("899.99", "14m 59s"),
                ("3600.0", "1h 0m 0s"),
                ("86400.0", "1d 0h 0m 0s"),
                ("-183845.0", "-2d 3h 4m 5s"),
                ("1.2345", "1.234s"),
                ("12.345", "12.35s"),
                ("0.1", "100ms"),
                ("0.0001", "100us"),
                ("0.12345", "123.5ms"),
            ],
        ),
        ("humanizePercentage", &[("0.1234567", "12.35%"), ("-0.22222", "-22.22%"), ("1.23456", "123.5%"), ("1234567.0", "1.235e+08%")]),
        ("humanizeTimestamp", &[("1435065584.128", "2015-06-23 13:19:44.128 +0000 UTC"), ("0.0", "1970-01-01 00:00:00 +0000 UTC")]),
    ] {
        for (argument, want) in cases {
            let text = format!("{{{{ {function} {argument} }}}}");
            assert_eq!(render(table.clone(), &text, &Env::at_ms(0)), *want, "{text}");
        }
    }
    let special = render(table.clone(), "{{ humanizeTimestamp 1e300 }}", &Env::at_ms(0));
    assert!(special.contains("cannot be represented"), "{special}");
    assert!(render(table, "{{ humanize \"x\" }}", &Env::at_ms(0)).contains("invalid syntax"));
}

#[test]
fn the_functions_of_rule_annotations() {
    let host = Prometheus;
    let env = Env::at_ms(NOW_MS).with_host(&host);
    check(
        &functions::prometheus(),
        &env,
        &[
            ("{{ query \"x\" | first | label \"instance\" }} {{ query \"x\" | first | value }} {{ query \"x\" | first | strvalue }}", "b 2 text"),
            ("{{ range query \"x\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}", "a=1 b=2 "),
            ("{{ query \"none\" | first }}", "error calling first: first() called on vector with no elements"),
            ("{{ query \"bad\" }}", "error calling query: parse error"),
            ("{{ with query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"),
            ("{{ now }}", "1.7096224895e+09"),
            ("{{ externalURL }} {{ pathPrefix }}", "http://w:9099/base /base"),
            ("{{ graphLink \"up == 0\" }} {{ tableLink \"a\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=a&g0.tab=1"),
            ("{{ title \"aa bb CC\" }} {{ toUpper \"a\" }} {{ toLower \"B\" }}", "Aa Bb CC A b"),
            ("{{ match \"a+\" \"caat\" }} {{ reReplaceAll \"(a)(b)\" \"$2${1}x\" \"ab ab\" }}", "true bax bax"),
            ("{{ stripPort \"h.d:90\" }} {{ stripPort \"[::1]:90\" }} {{ stripPort \"::1\" }} {{ stripPort \"h\" }}", "h.d ::1 ::1 h"),
            ("{{ stripDomain \"h.d.e:90\" }} {{ stripDomain \"10.0.0.1:90\" }} {{ stripDomain \"h.d\" }}", "h:90 10.0.0.1:90 h"),
            ("{{ $a := args 1 \"x\" }}{{ $a.arg0 }}{{ $a.arg1 }}", "1x"),
            ("{{ parseDuration \"1h30m\" }} {{ (toTime 1709622489.0).Year }} {{ (toDuration 90.5).String }}", "5400 2024 1m30.5s"),
            ("{{ urlQueryEscape \"a b&\" }} {{ safeHtml \"<b>\" }}", "a+b%26 <b>"),
            ("{{ toUpper 1 }}", "wrong type for value; expected string; got int"),
        ],
    );
}

#[test]
fn the_functions_of_notifications() {
    let env = Env::at_ms(NOW_MS).in_zone(TimeZone::get("Asia/Shanghai").unwrap());
    check(
        &functions::alertmanager(),
        &env,
        &[
            ("{{ title \"fIRING now\" }} {{ trimSpace \" a \" }} {{ join \", \" .List }}", "Firing Now a b, a, b"),
            ("{{ .Labels.Values | join \"/\" }} {{ (stringSlice \"x\" \"y\") | join \"-\" }}", "A/j x-y"),
            ("{{ date \"2006-01-02 15:04\" .Start }} {{ (tz \"Asia/Shanghai\" .Start).Format \"15:04 MST\" }}", "2024-03-05 05:38 13:38 CST"),
            ("{{ .Start.Local.Format \"15:04:05\" }} {{ now.Format \"15:04\" }}", "13:38:09 15:08"),
            ("{{ since .Start }} {{ humanizeDuration (since .Start) }}", "1h30m0s 1h 30m 0s"),
            ("{{ (toDate \"2006-01-02\" \"2024-05-06\").Month }} {{ (toDate \"2006\" \"x\").IsZero }}", "May true"),
            ("{{ toJson .Labels }} {{ base64encode \"hi\" }} {{ base64decode \"aGk=\" }}", "{\"alertname\":\"A\",\"job\":\"j\"} aGk= hi"),
            ("{{ $d := dict \"a\" 1 \"b\" }}{{ $d.a }}[{{ $d.b }}] {{ append (list 1) 2 }} {{ urlUnescape \"a+b%26\" }}", "1[] [1 2] a b&"),
            ("{{ tz \"No/Where\" .Start }}", "error calling tz: unknown time zone No/Where"),
        ],
    );
}

#[test]
fn the_functions_of_dingtalk_messages() {
    check(
        &functions::dingtalk(),
        &Env::at_ms(NOW_MS),
        &[
            ("{{ markdown \"a_b*c`d\" }}", "a\\_b\\*c\\`d"),
            (
                "{{ trim \" a \" }}|{{ trimAll \"-\" \"--a-\" }}|{{ trimPrefix \"a\" \"ab\" }}|{{ trimSuffix \"b\" \"ab\" }}|{{ nospace \"a b\" }}",
                "a|a|b|a|ab",
            ),
            ("{{ trunc 2 \"中文字\" }} {{ trunc -1 \"abc\" }} {{ abbrev 5 \"abcdefgh\" }} {{ substr 1 3 \"abcd\" }}", "中文 c ab... bc"),
            (
                "{{ upper \"a\" }}{{ lower \"B\" }} {{ contains \"b\" \"abc\" }} {{ hasPrefix \"a\" \"abc\" }} {{ hasSuffix \"a\" \"abc\" }}",
                "Ab true true false",
            ),
            (
                "{{ \"abc\" | replace \"b\" \"x\" }} {{ quote \"a\" 1 }} {{ squote \"a\" }} {{ cat \"a\" 1 }} {{ repeat 3 \"ab\" }}",
                "axc \"a\" \"1\" 'a' a 1 ababab",
            ),
            (
                "{{ default \"d\" \"\" }} {{ default \"d\" \"x\" }} {{ .Nil | default \"n\" }} {{ empty 0 }} {{ coalesce 0 \"\" 5 }} {{ true | ternary \"y\" \"n\" }}",
                "d x n true 5 y",
            ),
            (
                "{{ splitList \",\" \"a,b\" }} {{ (split \",\" \"a,b\")._1 }} {{ first .List }} {{ last .List }} {{ rest .List }} {{ initial .List }}",
                "[a b] b b b [a b] [b a]",
            ),
            (
                "{{ uniq .List }} {{ sortAlpha .List }} {{ reverse .List }} {{ has \"a\" .List }} {{ without .List \"b\" }} {{ keys (dict \"k\" 1) }}",
                "[b a] [a b b] [b a b] true [a] [k]",
            ),
            (
                "{{ add 1 2 3 }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ max 1 3 2 }} {{ min 3 1 }} {{ round 1.2345 2 }} {{ int \"3\" }}",
                "6 3 6 3 1 3 1 1.23 3",
            ),
            ("{{ div 1 0 }}", "error calling div: integer divide by zero"),
            (
                "{{ dateInZone \"15:04\" .Start \"Asia/Shanghai\" }} {{ date \"15:04\" .Start }} {{ ago .Start }} {{ duration 95 }}",
                "13:38 05:38 1h30m0s 1m35s",
            ),
            ("{{ indent 2 \"a\\nb\" }}{{ nindent 1 \"c\" }} {{ plural \"one\" \"many\" 2 }} {{ b64enc \"a\" }}", "  a\n  b\n c many YQ=="),
            ("{{ (.Start.Add 28800e9).Format \"2006-01-02 15:04:05\" }}", "2024-03-05 13:38:09"),
        ],
    );
}

#[test]
fn html_output_is_escaped_unless_it_is_marked_safe() {
    let env = Env::at_ms(0).escaping(Escape::Html);
    let text = "<a href=\"{{ \"x\\\"y\" }}\">{{ \"<b>\" }}</a>{{ safeHtml \"<i>\" }}";
    assert_eq!(render(functions::alertmanager(), text, &env), "<a href=\"x&#34;y\">&lt;b&gt;</a><i>");
}
