package rewriter

import (
	"bytes"
	"strings"
	"testing"
)

// regressions are documents that once got past the rewriter. Browsers fetch
// something blocked from each; the oracle, one parser, sees it in few of them.
var regressions = documents("regress")

func TestRegressions(t *testing.T) {
	for _, in := range regressions {
		whole, _, ok := tryRewrite([]byte(in), 0, testPage(denied()))
		if !ok || string(whole) == in {
			t.Errorf("untouched: %s", in)
			continue
		}
		for _, size := range sizes[1:] {
			if out, _, _ := tryRewrite([]byte(in), size, testPage(denied())); !bytes.Equal(out, whole) {
				t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
			}
		}
		for _, scripting := range []bool{true, false} {
			for _, l := range live(whole, denied(), scripting) {
				t.Errorf("live: %s\nin:  %s\nout: %s", l, in, whole)
			}
		}
		if got := restore(whole); string(got) != in {
			t.Errorf("in:       %s\nout:      %s\nrestored: %s", in, whole, got)
		}
		if twice, r, _ := tryRewrite(whole, 0, testPage(denied())); !r.Diverged && !bytes.Equal(twice, whole) {
			t.Errorf("not idempotent\nonce:  %s\ntwice: %s", whole, twice)
		}
		if all, _, _ := tryRewrite([]byte(in), 3, testPage(granted())); string(all) != in {
			t.Errorf("granted, yet changed: %s\n%s", in, all)
		}
	}
}

// Tags longer than MaxHold are judged piece by piece: every cut must come to the
// same result, and one that hides something in another reading is refused.
func TestLongTags(t *testing.T) {
	for _, c := range caseFiles("long") {
		for _, before := range []string{"", "<script></script>", "<p>x</p>"} { // the long tag need not be the first
			checkLongTag(t, before+string(c.Document("")), c.Refused)
		}
	}
}

func checkLongTag(t *testing.T, in string, refused bool) {
	t.Helper()
	whole, _, ok := tryRewrite([]byte(in), 0, testPage(denied()))
	if ok == refused {
		t.Errorf("refused: %v: %.60s…%s", !ok, in, in[len(in)-60:])
	}
	if ok {
		if string(whole) == in || !bytes.Equal(restore(whole), []byte(in)) {
			t.Errorf("untouched or not restored: %.60s…%s", in, in[len(in)-60:])
		}
		if l := append(live(whole, denied(), true), live(whole, denied(), false)...); len(l) > 0 {
			t.Errorf("live: %.200q\n%.60s", l, in)
		}
	}
	for _, size := range []int{1, 2, 3, 5, 7, 1000, 4096, 4097, 32768} {
		out, _, ok2 := tryRewrite([]byte(in), size, testPage(denied()))
		if ok != ok2 || !bytes.Equal(out, whole) {
			t.Errorf("size %d differs (%v, %v): %.60s…%s", size, ok, ok2, in, in[len(in)-60:])
		}
	}
}

// An empty element of svg has no text to wait for.
func TestEmptyElementsHoldNothing(t *testing.T) {
	for _, in := range []string{`<svg><style/></svg>`, `<svg><script/></svg>`, `<svg><script /></svg><script src=/a.js></script>`, `</p ` + strings.Repeat("x ", 40000) + `><!-- `} {
		rw := New(Options{})
		rw.Reset(discard{}, testPage(denied()))
		if _, err := rw.Write([]byte(in)); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := rw.Write([]byte("<p>" + strings.Repeat("x", 4000) + "</p>")); err != nil {
				t.Fatal(err)
			}
		}
		if rw.Held() > 100 {
			t.Errorf("%.40s: %d bytes held", in, rw.Held())
		}
	}
}

// A stub that an event handler needs goes where a script may stand.
func TestLateStubs(t *testing.T) {
	const button = `<button onclick="fbq('track','x')">a</button>`
	for in, want := range map[string]bool{
		button: true, button + `</body></html>`: true, button + `<p>x<script nonce="abc">go()</script>`: true,
		button + `<textarea>abc`: false, button + `<plaintext>abc`: false, button + `<style>a{}`: false, button + `<!-- x`: false, button + `<p title="`: false,
		`<frameset><frame src=/a></frameset>` + button: false, `<template>` + button: false, `<noscript>` + button: false, `<svg>` + button: false,
	} {
		out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if got := bytes.Contains(out, []byte("<script ")) && bytes.Contains(out, []byte("data-cg-stub=meta-pixel")); got != want {
			t.Errorf("stub: %v\nin:  %s\nout: %s", got, in, out)
		}
		if strings.Contains(in, "nonce") && !bytes.Contains(out, []byte(`<script nonce="abc" data-cg-stub`)) {
			t.Errorf("no nonce: %s", out)
		}
	}
}

// The second byte of a character may look like a backslash; in a page that says
// so it is none.
func TestDoubleBytes(t *testing.T) {
	for _, c := range caseFiles("doublebytes") {
		in := string(c.Document(""))
		p := testPage(denied())
		p.Charset = c.Charset
		if out, _, ok := tryRewrite([]byte(in), 3, p); !ok || string(out) == in {
			t.Errorf("%s: untouched: %q", c.Name, in)
		} else if string(restore(out)) != in {
			t.Errorf("%s: not restored: %q", c.Name, out)
		}
	}
}
