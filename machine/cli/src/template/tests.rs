//! What Go prints, as was found with Go's own implementation or its documentation.

use serde_json::{Value, json};

use super::{Missing, Template};

fn data() -> Value {
    json!({
        "Name": "dev", "CPU": 2, "Active": false, "Empty": "", "Nil": null,
        "List": ["a", "b"], "None": [],
        "Driver": {"IPAddress": "127.0.0.1", "Memory": 1024, "Labels": {"k": "v", "a": "b"}},
    })
}

fn with(missing: Missing, text: &str) -> String {
    match Template::parse(text).and_then(|template| template.render(&data(), missing)) {
        Ok(text) => text,
        Err(error) => format!("! {error}"),
    }
}

fn render(text: &str) -> String {
    with(Missing::NoValue, text)
}

#[test]
fn fields_are_printed() {
    assert_eq!(render("x {{.Name}} y"), "x dev y");
    assert_eq!(render("{{ .Driver.IPAddress }}:{{.CPU}}"), "127.0.0.1:2");
    assert_eq!(render("{{.List}} {{.Driver.Labels}} {{.Active}}"), "[a b] map[a:b k:v] false");
    assert_eq!(render("{{$.Name}}{{(.Driver).Memory}}"), "dev1024");
}

#[test]
fn what_is_not_there_has_no_value_in_a_map_and_is_an_error_in_a_struct() {
    assert_eq!(render("{{.Nope}} {{.Nil}}"), "<no value> <no value>");
    assert_eq!(
        render("{{.Nope.More}}"),
        "! template: :1:2: executing \"\" at <.Nope.More>: nil pointer evaluating interface {}.More"
    );
    assert_eq!(
        with(Missing::Error, "\n {{.Nope}}"),
        "! template: :2:3: executing \"\" at <.Nope>: can't evaluate field Nope"
    );
    assert_eq!(
        render("{{.Name.More}}"),
        "! template: :1:2: executing \"\" at <.Name.More>: can't evaluate field More in type string"
    );
}

#[test]
fn conditions_choose() {
    assert_eq!(render("{{if .Active}}yes{{else}}no{{end}}"), "no");
    assert_eq!(render("{{if .Empty}}1{{else if .CPU}}2{{else}}3{{end}}"), "2");
    assert_eq!(render("{{if eq .Name \"x\" \"dev\"}}1{{end}}{{if ne .CPU 2}}2{{end}}"), "1");
    assert_eq!(render("{{if and .Name (gt .CPU 1) (not .Active)}}ok{{end}}"), "ok");
    assert_eq!(render("{{or .Empty .Nope \"else\"}} {{and .Name .Empty .Nope.X}}"), "else ");
    assert_eq!(render("{{if lt 1 2}}a{{end}}{{if le 2 1}}b{{end}}{{if ge 2 2}}c{{end}}"), "ac");
}

#[test]
fn with_and_range_change_the_dot() {
    assert_eq!(render("{{with .Driver}}{{.IPAddress}} {{$.Name}}{{end}}"), "127.0.0.1 dev");
    assert_eq!(render("{{with .Nope}}1{{else}}2{{end}}"), "2");
    assert_eq!(render("{{with $x := .CPU}}{{$x}}{{end}}"), "2");
    assert_eq!(render("{{range .List}}<{{.}}>{{end}}"), "<a><b>");
    assert_eq!(render("{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}"), "0=a 1=b ");
    assert_eq!(render("{{range $k, $v := .Driver.Labels}}{{$k}}{{$v}} {{end}}"), "ab kv ");
    assert_eq!(render("{{range .None}}1{{else}}none{{end}}"), "none");
    assert_eq!(render("{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}"), "a");
    assert_eq!(render("{{range .List}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{end}}"), "b");
}

#[test]
fn variables_live_until_their_end() {
    assert_eq!(render("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}"), "2");
    assert_eq!(render("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}"), "1");
    assert_eq!(
        render("{{if true}}{{$x := 2}}{{end}}{{$x}}"),
        "! template: :1: undefined variable \"$x\""
    );
}

#[test]
fn functions_and_pipelines() {
    assert_eq!(
        render("{{json .List}} {{.Driver.Labels | json}}"),
        r#"["a","b"] {"a":"b","k":"v"}"#
    );
    assert_eq!(render("{{prettyjson .List}}"), "[\n    \"a\",\n    \"b\"\n]");
    assert_eq!(render("{{len .List}} {{len .Name}} {{index .List 1}}"), "2 3 b");
    assert_eq!(
        render("{{index .Driver \"Labels\" \"k\"}} {{index .Driver \"x\"}}"),
        "v <no value>"
    );
    assert_eq!(render("{{join .List \", \"}} {{upper .Name}} {{title .Name}}"), "a, b DEV Dev");
    assert_eq!(
        render("{{printf \"%-5s|%3d|%05.1f|%q|%v|%%\" .Name .CPU 1.25 `x` .List}}"),
        "dev  |  2|001.2|\"x\"|[a b]|%"
    );
    assert_eq!(render("{{.CPU | printf \"%d-%s\" 7}}"), "7-%!s(int=2)");
    assert_eq!(render("{{printf \"%d\"}}"), "%!d(MISSING)");
    assert_eq!(render("{{\"a\\tb\" | printf \"%s\"}}{{print 1 2 \"x\" 3}}"), "a\tb1 2x3");
    assert_eq!(render("{{slice .Name 1 2}}{{truncate .Name 2}}"), "ede");
}

#[test]
fn blanks_are_trimmed_where_asked_for_and_comments_vanish() {
    assert_eq!(render("a {{- .CPU -}} b"), "a2b");
    assert_eq!(render("a {{/* no }} */}} b{{- /* x */ -}} c"), "a  bc");
    assert_eq!(render("{{-1}}"), "-1");
}

#[test]
fn mistakes_are_told_as_go_tells_them() {
    for (text, what) in [
        ("{{.Name", "template: :1: unclosed action"),
        ("\n{{", "template: :2: unclosed action"),
        ("{{}}", "template: :1: missing value for command"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ("{{if .Name}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{else}}", "template: :1: unexpected {{else}}"),
        ("{{nope .Name}}", "template: :1: function \"nope\" not defined"),
        ("{{\"abc}}", "template: :1: unterminated quoted string"),
        ("{{(.Name}}", "template: :1: unclosed left paren"),
        ("{{.Name)}}", "template: :1: unexpected right paren"),
        ("{{.Name}x}", "template: :1: unexpected \"}\" in operand"),
        ("{{#}}", "template: :1: unexpected bad character U+0023 '#'"),
        ("{{1x}}", "template: :1: bad number syntax: \"1x\""),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{/* x", "template: :1: unclosed comment"),
    ] {
        assert_eq!(render(text), format!("! {what}"), "{text}");
    }
    for (text, what) in [
        ("{{index .List 5}}", "error calling index: index out of range: 5"),
        ("{{len 3}}", "error calling len: len of type int"),
        ("{{lower}}", "wrong number of args for lower: want 1 got 0"),
        ("{{.Name .CPU}}", "can't give argument to non-function .Name"),
        ("{{range .Name}}{{end}}", "range can't iterate over dev"),
    ] {
        assert!(render(text).ends_with(what), "{text}: {}", render(text));
    }
}

#[test]
fn the_fields_a_template_looks_at_are_known() {
    let fields = |text: &str| {
        let template = Template::parse(text).unwrap();
        template.fields().map(|names| names.into_iter().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(
        fields("{{.Name}} {{if .State}}{{$.URL}}{{end}}").as_deref(),
        Some("Name State URL")
    );
    assert_eq!(fields("{{(.A).B | printf \"%s\"}}").as_deref(), Some("A"));
    assert_eq!(fields("x").as_deref(), Some(""));
    assert_eq!(fields("{{json .}}"), None);
    assert_eq!(fields("{{$}}"), None);
}
