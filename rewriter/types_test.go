package rewriter

import (
	"strings"
	"testing"
)

// TestScriptTypes: what a script's type attribute makes of a source and of inline
// code. A type that is not known to be data is held both ways, since a library of
// the page or a preload scanner may take it for code. runs is what browsers do by
// themselves (HTML standard, section 4.12.1.1): whatever runs must be held.
func TestScriptTypes(t *testing.T) {
	const held, left = true, false
	for _, c := range []struct {
		attrs       string
		runs        bool // in browsers, without help
		src, inline bool
	}{
		{``, true, held, held},
		{`type`, true, held, held},
		{`type=""`, true, held, held},
		{`type=" "`, false, held, held},
		{`type="text/javascript"`, true, held, held},
		{`type="TEXT/JavaScript"`, true, held, held},
		{`type=" text/javascript	"`, true, held, held},
		{"type='\ntext/javascript\f'", true, held, held},
		{`type="text/javascript; charset=utf-8"`, false, held, held},
		{`type="text/javascript;"`, false, held, held},
		{"type=\"text/javascript\x00\"", false, held, held},
		{`type="application/javascript"`, true, held, held},
		{`type="application/x-javascript"`, true, held, held},
		{`type="application/ecmascript"`, true, held, held},
		{`type="application/x-ecmascript"`, true, held, held},
		{`type="text/ecmascript"`, true, held, held},
		{`type="text/x-ecmascript"`, true, held, held},
		{`type="text/x-javascript"`, true, held, held},
		{`type="text/jscript"`, true, held, held},
		{`type="text/livescript"`, true, held, held},
		{`type="text/javascript1.0"`, true, held, held},
		{`type="text/javascript1.5"`, true, held, held},
		{`type="text/javascript2.0"`, false, held, held},
		{`type="text/ecmascript1.0"`, false, held, held},
		{`type="text&sol;javascript"`, true, held, held},
		{`type="javascript"`, false, held, held},
		{`type=module`, true, held, held},
		{`type=MODULE`, true, held, held},
		{`type="module "`, true, held, held},
		{`type=module nomodule`, true, held, held},
		{`nomodule`, false, held, held},
		{`language=javascript`, true, held, held},
		{`language=JavaScript1.2`, true, held, held},
		{`language=vbscript`, false, held, held},
		{`type="" language=vbscript`, true, held, held},
		{`type="text/vbscript"`, false, held, held},
		{`for=window event=onload`, true, held, held},
		{`for=document event=onload`, false, held, held},
		{`type="text/babel"`, false, held, held},
		{`type="text/jsx"`, false, held, held},
		{`type="text/typescript"`, false, held, held},
		{`type="text/partytown"`, false, held, held},
		{`type="0a1b2c-text/javascript"`, false, held, held},
		{`type="text/coffeescript"`, false, held, held},
		{`type=text/plain type=module`, false, held, held},
		{`type=module type=text/plain`, true, held, held},
		{`type="text/plain"`, false, left, left},
		{`type="TEXT/PLAIN"`, false, left, left},
		{`type="text/plain; charset=x"`, false, left, left},
		{`type="text/template"`, false, left, left},
		{`type="text/x-handlebars-template"`, false, left, left},
		{`type="text/html"`, false, left, left},
		{`type="application/json"`, false, left, left},
		{`type="application/ld+json"`, false, left, left},
		{`type="Application/LD+JSON"`, false, left, left},
		{`type="x-shader/x-vertex"`, false, left, left},
		{`type=importmap`, false, held, left}, // not JSON, so it maps nothing
		{`type=speculationrules`, false, held, left},
	} {
		if c.runs && !(c.src && c.inline) {
			t.Errorf("%s: runs, yet the table leaves it", c.attrs)
		}
		for _, k := range []struct {
			what, in string
			held     bool
		}{
			{"src", `<script ` + c.attrs + ` src="` + blockedScript + `"></script>`, c.src},
			{"inline", `<script ` + c.attrs + `>` + blockedLoader + `</script>`, c.inline},
			{"own src", `<script ` + c.attrs + ` src="/own.js"></script>`, left},
			{"own inline", `<script ` + c.attrs + `>go()</script>`, left},
		} {
			out, _ := rewrite(t, []byte(k.in), 0, testPage(denied()))
			if got := string(out) != k.in; got != k.held {
				t.Errorf("%s, %s: held is %v\n%.200s", c.attrs, k.what, got, out)
			}
			if k.held && (strings.Count(string(out), " type=text/plain data-cg-") != 1 || string(restore(out)) != k.in) {
				t.Errorf("%s, %s: %.200s", c.attrs, k.what, out)
			}
			if l := live(out, denied(), true); len(l) > 0 {
				t.Errorf("%s, %s: live: %s", c.attrs, k.what, l)
			}
		}
	}
}
