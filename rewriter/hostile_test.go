package rewriter

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/test/cases"
)

// A blocked script, a blocked picture and a blocked inline loader.
const (
	blockedScript = "https://connect.facebook.net/en_US/fbevents.js"
	blockedImage  = "https://www.facebook.com/tr?id=1&ev=PageView"
	blockedLoader = `!function(f,b,e,v,n,t,s){if(f.fbq)return;n=f.fbq=function(){n.callMethod?` +
		`n.callMethod.apply(n,arguments):n.queue.push(arguments)};if(!f._fbq)f._fbq=n;n.push=n;n.loaded=!0;` +
		`n.version='2.0';n.queue=[];t=b.createElement(e);t.async=!0;t.src=v;s=b.getElementsByTagName(e)[0];` +
		`s.parentNode.insertBefore(t,s)}(window,document,'script','https://connect.facebook.net/en_US/fbevents.js');` +
		`fbq('init','1');fbq('track','PageView');`
)

func expand(ss []string) []string {
	r := strings.NewReplacer("§S", blockedScript, "§P", blockedImage, "§L", blockedLoader, "§H", "connect.facebook.net")
	for i := range ss {
		ss[i] = r.Replace(ss[i])
	}
	return ss
}

// caseFiles returns the cases of some files of test/cases.
func caseFiles(names ...string) (some []cases.Case) {
	all, err := cases.Load()
	if err != nil {
		panic(err)
	}
	for _, c := range all {
		if slices.Contains(names, c.File) {
			some = append(some, c)
		}
	}
	return some
}

// documents returns the documents of some files of test/cases.
func documents(names ...string) (docs []string) {
	for _, c := range caseFiles(names...) {
		docs = append(docs, string(c.Document("")))
	}
	return docs
}

var (
	// hostileCases load or run something blocked in at least one parser.
	hostileCases = caseFiles("hostile", "parser", "sinks", "urls", "vendors")
	hostile      = documents("hostile", "parser", "sinks", "urls", "vendors")

	// inertCases mention vendors in ways that nobody loads or runs, or load nothing
	// that is blocked: they must leave as they came.
	inertCases = caseFiles("inert", "lookalikes", "ordinary")
	inertDocs  = documents("inert", "lookalikes", "ordinary")
)

var sizes = []int{0, 1, 2, 3, 7, 64, 4096}

func TestHostile(t *testing.T) {
	for _, c := range hostileCases {
		if c.Charset != "" || c.Plain {
			continue // the oracle knows UTF-8 and secure pages only
		}
		in := string(c.Document(""))
		// What the oracle, one reading of one parser, does not see, preload
		// scanners or older browsers do.
		if blind := len(live([]byte(in), denied(), true)) == 0 && len(live([]byte(in), denied(), false)) == 0; blind != c.Blind {
			t.Errorf("%s.txt:%d: the oracle sees nothing live: %v; the case says: %v: %.300s", c.File, c.Line, blind, c.Blind, in)
		}
		whole, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		for _, size := range sizes[1:] {
			if out, _ := rewrite(t, []byte(in), size, testPage(denied())); !bytes.Equal(out, whole) {
				t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
			}
		}
		for _, scripting := range []bool{true, false} {
			for _, l := range live(whole, denied(), scripting) {
				t.Errorf("scripting %v: live: %s\nin:  %s\nout: %s", scripting, l, in, whole)
			}
		}
		if got := restore(whole); string(got) != in && !usesOurWords([]byte(in)) {
			t.Errorf("in:       %s\nout:      %s\nrestored: %s", in, whole, got)
		}
		if bytes.Equal(whole, []byte(in)) {
			t.Errorf("untouched: %s", in)
		}
		if twice, _ := rewrite(t, whole, 0, testPage(denied())); !bytes.Equal(twice, whole) {
			t.Errorf("not idempotent\nonce:  %s\ntwice: %s", whole, twice)
		}
		all, _ := rewrite(t, []byte(in), 3, testPage(granted()))
		if string(all) != in {
			t.Errorf("granted, yet changed: %s\n%s", in, all)
		}
	}
}

func TestInert(t *testing.T) {
	for _, c := range inertCases {
		in := string(c.Document(""))
		p := testPage(denied())
		p.Charset = strings.TrimPrefix(c.Charset, "none")
		whole, _ := rewrite(t, []byte(in), 0, p)
		for _, size := range sizes {
			out, r := rewrite(t, []byte(in), size, p)
			if !bytes.Equal(out, whole) {
				t.Errorf("size %d differs\nin:    %.300q\nwhole: %.300q\nout:   %.300q", size, in, whole, out)
			}
			// Stubs for code that calls a vendor change nothing that is there.
			if same := string(stubPattern.ReplaceAll(out, nil)) == in; same != (c.Over == "") {
				t.Errorf("size %d: unchanged: %v\nin:  %.300q\nout: %.300q\n%+v", size, same, in, out, r.Counts)
				break
			}
		}
	}
}

// TestPairs puts every watched element directly behind every other one: what one
// tag left behind must not hide the next.
func TestPairs(t *testing.T) {
	var tags []string
	for _, tag := range []string{
		`<script src="§S"></script>`, `<script>§L</script>`, `<img src="§P">`, `<link rel=preload href="§S">`, `<iframe src="https://www.youtube.com/embed/x"></iframe>`,
		`<style>@import "§S";</style>`, `<noscript><img src="§P"></noscript>`, `<svg><image href="§P"/></svg>`, `<video poster="§P"></video>`, `<textarea>x</textarea>`,
		`<title>x</title>`, `<!--x-->`, `<math><mi>x</mi></math>`, `<select><option></select>`, `<template><img src="§P"></template>`, `<svg><title>x</title></svg>`,
		`<p style="background:url(§P)">`, `<input type=image src="§P">`, `<object data="https://www.youtube.com/v/x"></object>`, `<embed src="https://www.youtube.com/v/x">`,
	} {
		tags = append(tags, expand([]string{tag})...)
	}
	for _, a := range tags {
		for _, b := range tags {
			in := a + b
			out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
			for _, scripting := range []bool{true, false} {
				if l := live(out, denied(), scripting); len(l) > 0 {
					t.Errorf("live: %v\nin:  %s\nout: %s", l, in, out)
				}
			}
			if got := restore(out); string(got) != in {
				t.Errorf("in: %s\nrestored: %s", in, got)
			}
		}
	}
}

func TestUnrestrictedMeansNothingHeld(t *testing.T) {
	if !granted().Unrestricted() || denied().Unrestricted() {
		t.Fatal("the built-in policy must restrict a visitor who has not chosen, and nobody else")
	}
	if d := denied().Resource(policy.Script, policy.Location{Scheme: []byte("https"), Host: []byte("connect.facebook.net"), Path: []byte("/en_US/fbevents.js")}); d.Action != policy.Block {
		t.Fatal("the cases need a blocked vendor")
	}
}
