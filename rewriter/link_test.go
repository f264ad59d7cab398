package rewriter

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

var linkBase = Base{Scheme: "https", Host: "shop.example:8443", Path: "/a/page"}

// decisionTally collects what is counted about URLs, as "kind action".
type decisionTally map[string]int

func (c decisionTally) add(d policy.Decision, k policy.Kind) { c[k.String()+" "+d.Action.String()]++ }

const (
	blockedURL  = "https://www.google-analytics.com/analytics.js"
	blockedHost = "https://connect.facebook.net"
)

func TestFilterLinkA6(t *testing.T) {
	const own = "</own.css>; rel=preload; as=style"
	blocked := "<" + blockedURL + ">; rel=preload; as=script"
	for _, c := range []struct {
		name     string
		in, want []string
	}{
		{"first kept", []string{own + ", " + blocked}, []string{own}},
		{"first gone", []string{blocked + " ,\t " + own}, []string{own}},
		{"middle gone", []string{own + " , " + blocked + ",  " + own}, []string{own + " ,  " + own}},
		{"several lines", []string{blocked, own, blocked}, []string{own}},
		{"all gone", []string{blocked + "," + blocked}, nil},
		{"nothing to do", []string{own + " ,, " + own + ","}, []string{own + " ,, " + own + ","}},
		{"comma in URL and string", []string{`</a,b>; rel=preload; title="x, y; \"z\", ", ` + blocked}, []string{`</a,b>; rel=preload; title="x, y; \"z\", "`}},
		{"protocol-relative", []string{"<//www.google-analytics.com/a.js>;rel=preload"}, nil},
		{"odd spelling", []string{`< hTTps:\\WWW.google-analytics.com/a.js>;rel=preload`}, nil},
		{"rel quoted", []string{"<" + blockedURL + `>; as=script; ReL = "nofollow PreLoad"`}, nil},
		{"rel in single quotes", []string{"<" + blockedURL + ">; rel='preload'"}, nil},
		{"second rel", []string{"<" + blockedURL + ">; rel=canonical; rel=preload"}, nil},
		{"modulepreload", []string{"<" + blockedURL + ">; rel=modulepreload"}, nil},
		{"prefetch", []string{"<" + blockedURL + ">; rel=prefetch"}, nil},
		{"preconnect", []string{"<" + blockedHost + ">; rel=preconnect; crossorigin"}, nil},
		{"dns-prefetch", []string{"<" + blockedHost + ">; rel=dns-prefetch"}, nil},
		{"stylesheet", []string{"<" + blockedURL + ">; rel=stylesheet"}, nil},
		{"icon", []string{"<" + blockedURL + `>; rel="shortcut icon"`}, nil},
		{"dictionary", []string{"<" + blockedURL + `>; rel="compression-dictionary"`}, nil},
		{"imagesrcset", []string{`</a.png>; rel=preload; as=image; imagesrcset="/a.png 1x, ` + blockedURL + ` 2x"`}, nil},
		{"own imagesrcset", []string{`</a.png>; rel=preload; as=image; imagesrcset="/a.png 1x, /b.png 2x"`}, []string{`</a.png>; rel=preload; as=image; imagesrcset="/a.png 1x, /b.png 2x"`}},
		{"canonical stays", []string{"<" + blockedURL + ">; rel=canonical"}, []string{"<" + blockedURL + ">; rel=canonical"}},
		{"no rel", []string{"<" + blockedURL + ">"}, []string{"<" + blockedURL + ">"}},
		{"unknown third party", []string{"<https://cdn.example.net/x.js>; rel=preload"}, []string{"<https://cdn.example.net/x.js>; rel=preload"}},
		{"hidden in a string", []string{`</a>; rel=preload; title="x, <` + blockedURL + `>; rel=preload"`}, nil},
		{"hidden behind a quote", []string{`</a>; rel=next; title="x, <` + blockedURL + `>; rel=preload`}, nil},
		{"relation behind an open quote", []string{"<" + blockedURL + `>; title="x; rel=preload`}, nil},
		{"no brackets", []string{blockedURL + "; rel=preload"}, nil},
		{"no closing bracket", []string{"<" + blockedURL + "; rel=preload"}, nil},
		{"no semicolon", []string{"<" + blockedURL + "> rel=preload"}, nil},
		{"unreadable, harmless", []string{"foo; title=bar"}, []string{"foo; title=bar"}},
		{"unreadable URL", []string{"<http://[::1>; rel=preload"}, nil},
		{"the page itself", []string{"<>; rel=preload, <#x>; rel=next"}, []string{"<>; rel=preload, <#x>; rel=next"}},
	} {
		h := http.Header{"Link": append([]string(nil), c.in...)}
		FilterLink(h, headerBound(t), linkBase, decisionTally{}.add)
		if !reflect.DeepEqual(h["Link"], c.want) {
			t.Errorf("%s: %q, want %q", c.name, h["Link"], c.want)
		}
		if _, has := h["Link"]; has && c.want == nil {
			t.Errorf("%s: the key stays", c.name)
		}
		h = http.Header{"Link": append([]string(nil), c.in...)}
		FilterLink(h, headerBoundAll(t), linkBase, decisionTally{}.add)
		if !reflect.DeepEqual(h["Link"], c.in) {
			t.Errorf("%s, granted: %q", c.name, h["Link"])
		}
	}
}

func TestFilterLinkCounts(t *testing.T) {
	h := http.Header{"Link": {
		"</own.css>; rel=preload, <" + blockedURL + ">; rel=preload, <" + blockedURL + ">; rel=modulepreload",
		"<" + blockedURL + ">; rel=stylesheet, <" + blockedHost + "/x.png>; rel=icon, <" + blockedURL + ">; rel=author",
	}}
	tally := decisionTally{}
	FilterLink(h, headerBound(t), linkBase, tally.add)
	want := decisionTally{"hint allow": 1, "hint block": 1, "script block": 1, "style block": 1, "image block": 1}
	if !reflect.DeepEqual(tally, want) {
		t.Errorf("counted %v, want %v", tally, want)
	}
}

func TestFilterRefresh(t *testing.T) {
	for _, c := range []struct {
		line string
		kept bool
	}{
		{"5", true},
		{"0; url=/next", true},
		{"0; url=https://cdn.example.net/", true},
		{"0; url=" + blockedURL, false},
		{"0;URL='" + blockedURL + "'", false},
		{"0, " + blockedURL, false},
		{"0 url = //www.google-analytics.com/a.js", false},
		{"x;url=" + blockedURL, false}, // unreadable
		{"x", true},
	} {
		h := http.Header{"Refresh": {c.line}}
		tally := decisionTally{}
		FilterRefresh(h, headerBound(t), linkBase, tally.add)
		if _, kept := h["Refresh"]; kept != c.kept {
			t.Errorf("%q: kept %v", c.line, kept)
		}
		if blocked := tally["refresh block"] == 1; blocked == c.kept {
			t.Errorf("%q: counted %v", c.line, tally)
		}
		h = http.Header{"Refresh": {c.line}}
		FilterRefresh(h, headerBoundAll(t), linkBase, tally.add)
		if !reflect.DeepEqual(h["Refresh"], []string{c.line}) {
			t.Errorf("%q, granted: %q", c.line, h)
		}
	}
}

// H9: each header with and without consent.
func TestFilterReportingH9(t *testing.T) {
	const os = "Attribution-Reporting-Register-OS-Source"
	osKey := http.CanonicalHeaderKey(os)
	for _, c := range []struct {
		name     string
		in, want http.Header
	}{
		{"endpoints",
			http.Header{"Reporting-Endpoints": {`own="/r", ga="` + blockedURL + `", ext="https://cdn.example.net/r"`}},
			http.Header{"Reporting-Endpoints": {`own="/r", ext="https://cdn.example.net/r"`}}},
		{"endpoints, all", http.Header{"Reporting-Endpoints": {`ga="` + blockedURL + `"`}}, http.Header{}},
		{"endpoints, unreadable", http.Header{"Reporting-Endpoints": {`own="/r", ga=` + blockedURL, `x="/open`}},
			http.Header{"Reporting-Endpoints": {`own="/r"`}}},
		{"speculation rules", http.Header{"Speculation-Rules": {`"/rules.json", "` + blockedURL + `"`}},
			http.Header{"Speculation-Rules": {`"/rules.json"`}}},
		{"report-to",
			http.Header{"Report-To": {`{"group":"a","endpoints":[{"url":"https://shop.example/r"}]}, {"group":"b","endpoints":[{"url":"` + strings.ReplaceAll(blockedURL, "/", `\/`) + `"}]}`}, "Nel": {`{"report_to":"b","max_age":1}`}},
			http.Header{"Report-To": {`{"group":"a","endpoints":[{"url":"https://shop.example/r"}]}`}}},
		{"report-to, nothing to do",
			http.Header{"Report-To": {`{"group":"a",  "endpoints":[{"url":"/r"}]},{}`}, "Nel": {`{"report_to":"a"}`}},
			http.Header{"Report-To": {`{"group":"a",  "endpoints":[{"url":"/r"}]},{}`}, "Nel": {`{"report_to":"a"}`}}},
		{"report-to, unreadable", http.Header{"Report-To": {`{"url":"` + blockedURL}, "Nel": {"{}"}}, http.Header{}},
		{"attribution source", http.Header{"Attribution-Reporting-Register-Source": {`{"destination":"` + blockedHost + `"}`}}, http.Header{}},
		{"attribution source, own", http.Header{"Attribution-Reporting-Register-Source": {`{"destination":"https://shop.example","x":[1]}`}},
			http.Header{"Attribution-Reporting-Register-Source": {`{"destination":"https://shop.example","x":[1]}`}}},
		{"attribution trigger, unreadable", http.Header{"Attribution-Reporting-Register-Trigger": {`{`}}, http.Header{}},
		{"os source", http.Header{osKey: {`"` + blockedURL + `", "https://shop.example/s"; debug-reporting`}},
			http.Header{osKey: {`"https://shop.example/s"; debug-reporting`}}},
		{"topics", http.Header{"Observe-Browsing-Topics": {"?1"}}, http.Header{}},
		{"left alone",
			http.Header{"Supports-Loading-Mode": {"credentialed-prerender"}, "Content-Security-Policy": {"report-uri " + blockedURL}},
			http.Header{"Supports-Loading-Mode": {"credentialed-prerender"}, "Content-Security-Policy": {"report-uri " + blockedURL}}},
	} {
		h := c.in.Clone()
		tally := decisionTally{}
		FilterReporting(h, headerBound(t), linkBase, tally.add)
		if !reflect.DeepEqual(h, c.want) {
			t.Errorf("%s: %q, want %q", c.name, h, c.want)
		}
		h = c.in.Clone()
		FilterReporting(h, headerBoundAll(t), linkBase, tally.add)
		if !reflect.DeepEqual(h, c.in) {
			t.Errorf("%s, granted: %q", c.name, h)
		}
	}
}

func FuzzFilterLink(f *testing.F) {
	f.Add("</own.css>; rel=preload, <"+blockedURL+">; rel=preload", "<x>; rel=next")
	f.Add(`</a,b>; rel="preload"; title="x, \"<`+blockedURL+`>`, ",,")
	f.Add("<"+blockedURL+">;rel='preload', <a>", `<b>;imagesrcset="`+blockedURL+` 1x, b";rel=preload`)
	none, all := headerBound(f), headerBoundAll(f)
	f.Fuzz(func(t *testing.T, one, two string) {
		lines := []string{one, two}
		h := http.Header{"Link": append([]string(nil), lines...)}
		FilterLink(h, all, linkBase, decisionTally{}.add)
		if !reflect.DeepEqual(h["Link"], lines) {
			t.Fatalf("%q, granted: %q", lines, h)
		}
		FilterLink(h, none, linkBase, decisionTally{}.add)
		rest := one + "\n" + two
		for _, line := range h["Link"] {
			if !subsequence(rest, line) {
				t.Fatalf("%q became %q", lines, h)
			}
		}
		once := h.Clone()
		FilterLink(h, none, linkBase, func(d policy.Decision, k policy.Kind) {
			if d.Action == policy.Block {
				t.Fatalf("%q became %q, which is judged otherwise again", lines, once)
			}
		})
		if !reflect.DeepEqual(h, once) {
			t.Fatalf("filtered twice: %q, %q", once, h)
		}
		// A preload that stays in plain form is an allowed one.
		j := newHeaderJudge(none, linkBase, decisionTally{}.add)
		for _, line := range h["Link"] {
			url, params, ok := strings.Cut(line, ">")
			if ok && params == "; rel=preload" && url[0] == '<' && j.blocked(url[1:], policy.Hint) {
				t.Fatalf("%q became %q", lines, h)
			}
		}
	})
}

// Each field is found in all spellings of its name, beside others and alone.
func TestFilterHintsSpellings(t *testing.T) {
	values := map[string]string{
		"Link":                    "<" + blockedURL + ">; rel=preload",
		"Refresh":                 "0;url=" + blockedURL,
		"Report-To":               `{"endpoints":[{"url":"` + blockedURL + `"}]}`,
		"Observe-Browsing-Topics": "?1",
		"Reporting-Endpoints":     `a="` + blockedURL + `"`,
		"Speculation-Rules":       `"` + blockedURL + `"`,
		reportingLists[2]:         `"` + blockedURL + `"`,
		reportingLists[3]:         `"` + blockedURL + `"`,
		reportingObjects[0]:       `{"destination":"` + blockedURL + `"}`,
		reportingObjects[1]:       `{"destination":"` + blockedURL + `"}`,
	}
	if len(values) != len(hintFields.names) {
		t.Fatalf("%d values for %d fields", len(values), len(hintFields.names))
	}
	for _, field := range hintFields.names {
		for _, key := range []string{field, http.CanonicalHeaderKey(field), strings.ToLower(field), trailerPrefix + field} {
			for _, others := range []http.Header{{}, {"Content-Type": {"text/css"}, "Etag": {`"a"`}, "Server": {"x"}, "Expires": {"0"}}} {
				h := others.Clone()
				h[key] = []string{values[field]}
				FilterHints(h, headerBound(t), linkBase, decisionTally{}.add)
				if !reflect.DeepEqual(h, others) {
					t.Errorf("%s: %q", key, h)
				}
				h[key] = []string{values[field]}
				FilterHints(h, headerBoundAll(t), linkBase, decisionTally{}.add)
				if h[key] == nil {
					t.Errorf("%s goes though all is granted", key)
				}
			}
		}
	}
}
