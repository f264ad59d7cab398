package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/consent"
)

// page renders the preferences page for a cookie value and a GPC field value, ""
// for none.
func (hs *harness) page(t *testing.T, cookie, gpc string) *node {
	t.Helper()
	r := httptest.NewRequest("GET", "/_cg/preferences?return_to=/a%3Fb%26c", nil)
	if cookie != "" {
		r.Header.Set("Cookie", "__Host-cg="+cookie)
	}
	if gpc != "" {
		r.Header.Set("Sec-GPC", gpc)
	}
	res := hs.do(r)
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v %v", res.StatusCode, res.Header, err)
	}
	if len(body) > 8<<10 {
		t.Errorf("%d bytes, want less than 8 KiB", len(body))
	}
	checkHeaders(t, "page", res)
	return parse(t, body)
}

// A node is an element of a parsed page.
type node struct{ *html.Node }

func parse(t *testing.T, body []byte) *node {
	t.Helper()
	n, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return &node{n}
}

// all returns the elements with the given name below n, in order.
func (n *node) all(name string) []*node {
	var out []*node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (d.Data == name || name == "*") {
			out = append(out, &node{d})
		}
	}
	return out
}

func (n *node) attr(name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func (n *node) get(name string) string { v, _ := n.attr(name); return v }

func (n *node) text() string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// hiddenField returns where the forms of a page return to, "" if there is none.
func hiddenField(t *testing.T, body []byte) string {
	t.Helper()
	value := ""
	for _, in := range parse(t, body).all("input") {
		if in.get("name") == "return_to" {
			if value != "" && value != in.get("value") {
				t.Errorf("forms return to %q and %q", value, in.get("value"))
			}
			value = in.get("value")
		}
	}
	return value
}

// buttons returns the actions on offer, in order.
func (n *node) buttons() string {
	var out []string
	for _, b := range n.all("button") {
		out = append(out, b.get("value"))
	}
	return strings.Join(out, " ")
}

// boxes returns the checkboxes as "id", "id+" if checked, "id=" if also disabled.
func (n *node) boxes() string {
	var out []string
	for _, in := range n.all("input") {
		if in.get("type") != "checkbox" {
			continue
		}
		s := in.get("value")
		if _, checked := in.attr("checked"); checked {
			s += "+"
		}
		if _, disabled := in.attr("disabled"); disabled {
			s += "="
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestPageShowsState(t *testing.T) {
	const choose, undo = "deny-all grant-all save", "deny-all grant-all save withdraw"
	for _, tc := range []struct {
		name, cookie, gpc, boxes, buttons string
		texts                             []string
		not                               string
	}{
		{"undecided", "", "", "necessary+= functional analytics marketing", choose,
			[]string{"You have not chosen yet. Everything optional is off.", "Always on: the site does not work without it."}, "signal"},
		{"granted", allGranted, "", "necessary+= functional+ analytics+ marketing+", undo,
			[]string{"You allowed everything. Chosen on 24 November 2025.", "You can take back what you allowed"}, "signal"},
		{"partial", "1~v1~t68n40~analytics", "", "necessary+= functional analytics+ marketing", undo,
			[]string{"You allowed some of it. Chosen on 24 November 2025."}, "signal"},
		{"denied", "1~v1~t68n40~", "", "necessary+= functional analytics marketing", choose,
			[]string{"You refused everything optional. Chosen on 24 November 2025."}, "signal"},
		{"granted, GPC", allGranted, "1", "necessary+= functional+ analytics+ marketing+", undo,
			[]string{"You allowed some of it.", "Your browser sends the signal Global Privacy Control, and we honour it. Off, whatever you choose here: Marketing.", "Off while your browser sends its privacy signal."}, "Do Not Track"},
		{"only what GPC takes away", "1~v1~t68n40~marketing", "1", "necessary+= functional analytics marketing+", undo,
			[]string{"What you allowed is off, because of your browser’s signal."}, "refused"},
		{"undecided, GPC", "", "1", "necessary+= functional analytics marketing", choose,
			[]string{"You have not chosen yet.", "Global Privacy Control"}, "refused"},
		{"GPC off", "", "0", "necessary+= functional analytics marketing", choose, nil, "Global Privacy Control"},
		{"malformed", "x", "", "necessary+= functional analytics marketing", choose, []string{"Your earlier choice could not be read", "You have not chosen yet."}, "Chosen on"},
		{"conflicting", "x; __Host-cg=y", "", "necessary+= functional analytics marketing", choose, []string{"two different choices"}, "Chosen on"},
		{"outdated", "1~v0~t68n40~marketing", "", "necessary+= functional analytics marketing", choose, []string{"What you can choose here has changed"}, "Chosen on"},
		{"expired", "1~v1~1~marketing", "", "necessary+= functional analytics marketing", choose, []string{"too long ago"}, "Chosen on"},
	} {
		p := newHarness(t).page(t, tc.cookie, tc.gpc)
		if got := p.boxes(); got != tc.boxes {
			t.Errorf("%s: boxes %s, want %s", tc.name, got, tc.boxes)
		}
		if got := p.buttons(); got != tc.buttons {
			t.Errorf("%s: buttons %s, want %s", tc.name, got, tc.buttons)
		}
		text := p.text()
		for _, want := range tc.texts {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in %q", tc.name, want, text)
			}
		}
		if strings.Contains(text, tc.not) {
			t.Errorf("%s: %q is in %q", tc.name, tc.not, text)
		}
	}
}

// TestPageNamesSignals checks which signals are said to take categories away.
func TestPageNamesSignals(t *testing.T) {
	for _, tc := range []struct {
		analytics, marketing consent.Signals
		want                 string
	}{
		{0, consent.GPC, "the signal Global Privacy Control, and we honour it. Off, whatever you choose here: Marketing."},
		{0, consent.DNT, "the signal Do Not Track, and we honour it. Off, whatever you choose here: Marketing."},
		{consent.DNT, consent.GPC, "the signal Global Privacy Control and Do Not Track, and we honour it. Off, whatever you choose here: Analytics, Marketing."},
	} {
		hs := newHarness(t)
		cats := hs.o.Resolver.Scheme.Categories
		cats[2].DeniedBy, cats[3].DeniedBy = tc.analytics, tc.marketing
		r := httptest.NewRequest("GET", "/_cg/preferences", nil)
		r.Header.Set("Sec-GPC", "1")
		r.Header.Set("DNT", "1")
		body, _ := io.ReadAll(hs.do(r).Body)
		if text := parse(t, body).text(); !strings.Contains(text, tc.want) {
			t.Errorf("%q is not in %q", tc.want, text)
		}
	}
}

func TestPageWithoutChoices(t *testing.T) {
	hs := newHarness(t)
	sc := hs.o.Resolver.Scheme
	sc.Categories = sc.Categories[:1]
	p := hs.page(t, "", "")
	if p.buttons() != "" || !strings.Contains(p.text(), "There is nothing to choose") {
		t.Errorf("%s: %s", p.buttons(), p.text())
	}
}

// TestPageIsAccessible checks what a parser can: the rest was looked at.
func TestPageIsAccessible(t *testing.T) {
	p := newHarness(t).page(t, allGranted, "1")
	ids, labels := map[string]bool{}, map[string]string{}
	for _, e := range p.all("*") {
		if id := e.get("id"); id != "" {
			if ids[id] {
				t.Errorf("id %s twice", id)
			}
			ids[id] = true
		}
		if f := e.get("for"); f != "" {
			labels[f] = e.text()
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "autofocus" || a.Key == "tabindex" {
				t.Errorf("<%s %s>", e.Data, a.Key)
			}
		}
	}
	if got := p.all("html")[0].get("lang"); got != "en" {
		t.Errorf("lang %q", got)
	}
	for name, want := range map[string]int{"title": 1, "main": 1, "h1": 1, "fieldset": 1, "legend": 1, "style": 1, "script": 0, "link": 0, "img": 0} {
		if got := len(p.all(name)); got != want {
			t.Errorf("%d <%s>, want %d", got, name, want)
		}
	}
	for _, in := range p.all("input") {
		if in.get("type") == "hidden" {
			continue
		}
		if labels[in.get("id")] == "" || !ids[in.get("aria-describedby")] {
			t.Errorf("%s has no label or description", in.get("id"))
		}
	}
	viewport := false
	for _, m := range p.all("meta") {
		viewport = viewport || m.get("name") == "viewport" && m.get("content") == "width=device-width, initial-scale=1"
	}
	if !viewport {
		t.Error("no viewport")
	}
	for _, f := range p.all("form") {
		if f.get("method") != "post" || f.get("action") != "/_cg/choice" || hiddenField(t, render(t, f)) != "/a?b&c" {
			t.Errorf("form %+v", f.Attr)
		}
	}
}

// TestEqualProminence compares the buttons that accept and refuse: the same in
// everything but what they say.
func TestEqualProminence(t *testing.T) {
	b := newHarness(t).page(t, "", "").all("button")
	if b[0].Parent != b[1].Parent || len(b[0].Attr) != 2 || len(b[1].Attr) != 2 || b[0].text() != "Refuse all" || b[1].text() != "Accept all" {
		t.Errorf("%+v\n%+v", b[0].Node, b[1].Node)
	}
	if strings.Contains(pageCSS, "nth-") || strings.Contains(pageCSS, "[value") || strings.Contains(pageCSS, "button:first") || strings.Contains(pageCSS, "button:last") {
		t.Error("the style tells buttons apart")
	}
	// The key Enter in a checkbox presses the first button of its form.
	for _, f := range newHarness(t).page(t, "", "").all("form") {
		if f.boxes() != "" && f.all("button")[0].get("value") != "save" {
			t.Errorf("Enter would press %s", f.buttons())
		}
	}
}

func render(t *testing.T, n *node) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := html.Render(&b, n.Node); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestStyleHash checks that the policy lets the page's style apply.
func TestStyleHash(t *testing.T) {
	hs := newHarness(t)
	for _, path := range []string{"/_cg/preferences", "/_cg/nothing"} {
		res := hs.do(httptest.NewRequest("GET", path, nil))
		body, _ := io.ReadAll(res.Body)
		css := parse(t, body).all("style")[0].FirstChild.Data
		sum := sha256.Sum256([]byte(css))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, want) || len(css) < 500 {
			t.Errorf("%s: %q is not in %q", path, want, csp)
		}
	}
}

// TestPageEscapes puts markup wherever others' text appears.
func TestPageEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	hs := newHarness(t, at("https", evil))
	cats := hs.o.Resolver.Scheme.Categories
	cats[1].Name, cats[1].Description = evil, evil
	for _, query := range []string{"", "?return_to=" + escapeAll("/"+evil)} {
		r := httptest.NewRequest("GET", "/_cg/preferences"+query, nil)
		body, _ := io.ReadAll(hs.do(r).Body)
		p := parse(t, body)
		if n := len(p.all("script")); n > 0 {
			t.Errorf("%d scripts in %s", n, body)
		}
		if query != "" && hiddenField(t, body) != "/"+evil {
			t.Errorf("returns to %q", hiddenField(t, body))
		}
	}
	for _, path := range []string{"/_cg/" + evil, "/_cg/choice?" + evil} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		body, _ := io.ReadAll(hs.do(r).Body)
		if strings.Contains(string(body), "alert") {
			t.Errorf("%s is echoed", path)
		}
	}
}
