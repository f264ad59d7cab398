package policy

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// crossing holds the signatures that are all marks: they have too many spellings
// with white space, which hides them.
var crossing = []string{"s.t();"}

func TestInlineAnchorsKnowWhiteSpace(t *testing.T) {
	m := catalogMatcher(t)
	var got []string
	for i := range m.patterns {
		p := &m.patterns[i]
		if p.tight {
			got = append(got, p.text)
		}
	}
	if !slices.Equal(got, crossing) {
		t.Errorf("signatures that white space can hide: %q, want %q", got, crossing)
	}
}

func TestInlineShapes(t *testing.T) {
	for text, want := range map[string]inlineShape{
		"f._fbq": codeShape, "google_conversion_id=": codeShape, "'clarity','script'": codeShape, "s.t();": codeShape, "CE2.": codeShape,
		"'facebook-jssdk'": literalShape,
		"fbevents.js":      addressShape, "matomo.js'": addressShape, "s.adroll.com": addressShape, "cdn.tag.example.fr": addressShape,
		"data-telegram-login": addressShape, "//munchkin.marketo.net": addressShape, "/sdk.js#xfbml": addressShape, "example.org/t?id=${": addressShape,
	} {
		if got := shapeOf(text); got != want {
			t.Errorf("shape of %s is %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "abc", "'a'/'b'", "//////"} {
		if inlineUsable(text) {
			t.Errorf("signature %q should be refused", text)
		}
	}
}

func TestInlineBlockedVendorsOnly(t *testing.T) {
	m := catalogMatcher(t)
	code := []byte("(function(c,l,a,r,i){var t=l.createElement(r);t.src='https://www.clarity.ms/tag/'+i})(window,document,'clarity','script','x');" +
		"fbq('track','Lead');")
	if loader, calls := m.match(code, noVendor, nil); loader != nil || calls != nil {
		t.Errorf("everything granted: got %v, %v", loader, calls)
	}
	only := func(id string) func(*Vendor) bool { return func(v *Vendor) bool { return v.ID == id } }
	loader, calls := m.match(code, only("meta-pixel"), nil)
	if loader != nil || len(calls) != 1 || calls[0].ID != "meta-pixel" {
		t.Errorf("only the pixel refused: got %v, %v", loader, calls)
	}
	before := []*Vendor{{ID: "kept"}}
	loader, calls = m.match(code, only("microsoft-clarity"), before)
	if loader == nil || loader.ID != "microsoft-clarity" || len(calls) != 1 || calls[0] != before[0] {
		t.Errorf("only clarity refused: got %v, %v", loader, calls)
	}
}

// tokens cuts a script as the matcher's lexer does.
func tokens(code []byte) (list []jsToken, l *jsLexer) {
	l = &jsLexer{src: code, lineStart: true}
	for t := l.next(); t.kind != jsEnd; t = l.next() {
		list = append(list, t)
		l.shift(t)
	}
	return list, l
}

// respaced puts space between the tokens of a script, but for those that are one
// operator only side by side.
func respaced(code []byte, space string) []byte {
	list, _ := tokens(code)
	var out []byte
	last := 0
	for i, t := range list {
		if i > 0 && (loose(list[i-1]) || loose(t)) && list[i-1].kind != jsComment && !within(list[i-1]) && !(t.kind == jsChunk && !t.opensChunk()) {
			out = append(out, code[last:t.start]...)
			out = append(out, space...)
			last = t.start
		}
	}
	return append(out, code[last:]...)
}

func loose(t jsToken) bool {
	return t.kind != jsMark || bytes.IndexByte([]byte("()[]{};,"), t.mark) >= 0
}

// within tells a token behind which template text may go on.
func within(t jsToken) bool { return t.kind == jsChunk && !t.closesChunk() }

// requoted swaps the quotes of plain string literals.
func requoted(code []byte) []byte {
	out := bytes.Clone(code)
	list, _ := tokens(code)
	for _, t := range list {
		if t.kind != jsString || bytes.ContainsAny(code[t.start+1:t.end-1], "'\"\\") {
			continue
		}
		quote := byte('\'')
		if code[t.start] == '\'' {
			quote = '"'
		}
		out[t.start], out[t.end-1] = quote, quote
	}
	return out
}

func TestInlineSpellingKeepsTheAnswer(t *testing.T) {
	m := catalogMatcher(t)
	for _, file := range inlineFiles {
		for _, c := range readInlineCases(t, file) {
			if _, l := tokens([]byte(c.code)); l.lost || l.cut || strings.Contains(c.code, "s.t()") {
				continue
			}
			for _, space := range []string{" ", "\t \u00a0", "\ufeff ", strings.Repeat(" ", 300)} {
				code := respaced([]byte(c.code), space)
				if got := inlineAnswer(m, code); got != c.want {
					t.Errorf("%s/%s with %.8q between tokens: got %s, want %s\n%.2000s", file, c.name, space, got, c.want, code)
				}
			}
			if code := requoted([]byte(c.code)); inlineAnswer(m, code) != c.want {
				t.Errorf("%s/%s with other quotes: got %s, want %s\n%s", file, c.name, inlineAnswer(m, code), c.want, code)
			}
			// Surroundings of a script make no difference, nor where it begins.
			code := []byte("\n;void 0;\n" + c.code + "\n;void 0;\n")
			if got := inlineAnswer(m, code); got != c.want {
				t.Errorf("%s/%s with code around: got %s, want %s", file, c.name, got, c.want)
			}
		}
	}
}

// U+2028 ends a comment, which cannot be seen in a corpus file.
func TestInlineLineSeparatorEndsComment(t *testing.T) {
	m := catalogMatcher(t)
	code := "// note\u2028var s = document.createElement('script'); s.src = '//connect.facebook.net/en_US/fbevents.js';"
	if got := inlineAnswer(m, []byte(code)); got != "meta-pixel" {
		t.Errorf("got %s, want meta-pixel", got)
	}
}

// A script longer than the peek is seen in part: a program may go on to load
// what it has named, a page's state does not.
func TestInlineCutOff(t *testing.T) {
	m := catalogMatcher(t)
	state := `window.__STATE__={"a":[` + strings.Repeat(`{"t":"text","n":1},`, 2000) + `{"u":"https://connect.facebook.net/en_US/fbevents.js"},{"t":"and so`
	if got := inlineAnswer(m, []byte(state)); got != "-" {
		t.Errorf("state: got %s, want -", got)
	}
	program := `!function(){` + strings.Repeat(`function a(b){return b+1}`, 2000) + `var u="https://connect.facebook.net/en_US/fbevents.js";function z(`
	if got := inlineAnswer(m, []byte(program)); got != "meta-pixel" {
		t.Errorf("program: got %s, want meta-pixel", got)
	}
}

// A slash behind a closing brace divides, or begins a regular expression. Where
// the guess leads into a literal without an end, it was wrong, and comments are
// not to be trusted either.
func TestInlineFailsClosedAfterAWrongGuess(t *testing.T) {
	m := catalogMatcher(t)
	code := `var a={b:1}/2,c="/*";d="*/";s.src="//connect.facebook.net/en_US/fbevents.js";document.body.appendChild(s);e=1/2`
	if got := inlineAnswer(m, []byte(code)); got != "meta-pixel" {
		t.Errorf("got %s, want meta-pixel", got)
	}
}

func TestInlineAllocatesNothingWithoutHits(t *testing.T) {
	m := catalogMatcher(t)
	for _, code := range []string{
		"", "x", "document.documentElement.className='js'",
		strings.Repeat("function f(a,b){return a.call(b,'event','track',\"\\n\")}\n", 500),
		`window.__NUXT__={u:"https:\u002F\u002Fexample.org\u002F","html":"\u003cp\u003e"}`,
	} {
		b := []byte(code)
		if n := testing.AllocsPerRun(50, func() { m.match(b, anyVendor, nil) }); n != 0 {
			t.Errorf("%.40q: %v allocations", code, n)
		}
	}
}

// hostileScripts would hurt the matcher if it looked at anything twice for each hit.
func hostileScripts(size int) (scripts []string) {
	for _, unit := range []string{
		"fbevents.js", "'fbevents.js'", "\"<script src='fbevents.js", "'+fbevents.js+'", "fbq(", "fbq('track'", "f._fbq=",
		"gtag          ", "\\/", "\\\\\\\"", "((((", "`${", "/*", "<!--", "/[", "}/", "\\u0066bq(", "<script", "//", "\n-->", "a=>", "'", "_paq.push([",
		"\"https://www.clarity.ms/tag/\",", "=", "%3D%3D", "&lt;", "google_conversion_id =",
	} {
		scripts = append(scripts,
			strings.Repeat(unit, size/len(unit)),
			"x=\""+strings.Repeat(unit, size/len(unit)),
			"gtag"+strings.Repeat(" ", size/2)+strings.Repeat(unit, size/2/len(unit)))
	}
	return scripts
}

// BenchmarkInlineLinear gives the matcher a mebibyte, and half of it, of each
// hostile script. The worst ratio of the two times is near 2 if the work is linear.
func BenchmarkInlineLinear(b *testing.B) {
	m := catalogMatcher(b)
	whole, half := hostileScripts(1<<20), hostileScripts(1<<19)
	worst, unit := 0.0, ""
	took := func(code string) time.Duration {
		start := time.Now()
		m.match([]byte(code), anyVendor, nil)
		return time.Since(start)
	}
	for b.Loop() {
		for i := range whole {
			short := min(took(half[i]), took(half[i]), took(half[i]))
			long := min(took(whole[i]), took(whole[i]), took(whole[i]))
			if r := float64(long) / float64(short); r > worst {
				worst, unit = r, whole[i][:min(24, len(whole[i]))]
			}
		}
	}
	b.ReportMetric(worst, "worst-ratio")
	b.Logf("worst: %q", unit)
}

const ownLoader = "\n;(function(d){var s=d.createElement('script');s.src='https://connect.facebook.net/en_US/fbevents.js';d.head.appendChild(s)})(document);"

// slowSearch is search without the scan: every signature at every byte.
func slowSearch(m *inlineMatcher, code []byte) []inlineHit {
	var hits []inlineHit
	for i := range code {
		for k := range m.patterns {
			if start, end, ok := m.patterns[k].locate(code, i, m.patterns[k].anchor); ok {
				hits = append(hits, inlineHit{start, end, k})
			}
		}
	}
	return hits
}

func compareHits(a, b inlineHit) int {
	return slices.Compare([]int{a.start, a.end, a.pattern}, []int{b.start, b.end, b.pattern})
}

func FuzzInline(f *testing.F) {
	m := catalogMatcher(f)
	for _, file := range inlineFiles {
		for _, c := range readInlineCases(f, file) {
			f.Add([]byte(c.code))
		}
	}
	f.Add([]byte("gtag\u2003('event'"))
	f.Add([]byte("bar re = /\\"))
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 1<<12 {
			return
		}
		before := bytes.Clone(code)
		answer := inlineAnswer(m, code)
		if !bytes.Equal(code, before) {
			t.Fatal("match changed the script")
		}
		// The scan misses nothing that comparing everywhere finds, once hidden
		// letters are plain.
		if firstHidden(code) >= 0 {
			broken := brokenEscape.Match(code)
			if code = reveal(nil, code); firstHidden(code) >= 0 && !broken {
				t.Fatalf("letters still hidden in %q", code)
			}
		}
		fast, slow := m.search(code, anyVendor, nil), slowSearch(m, code)
		slices.SortFunc(fast, compareHits)
		slices.SortFunc(slow, compareHits)
		if !slices.Equal(fast, slow) {
			t.Fatalf("the scan found %v, comparing everywhere %v", fast, slow)
		}
		// Tokens follow one another and end where the script ends.
		list, l := tokens(code)
		at := 0
		for _, tok := range list {
			if tok.start < at || tok.end <= tok.start {
				t.Fatalf("token %+v behind byte %d", tok, at)
			}
			at = tok.end
		}
		if rest := bytes.Trim(code[at:], " "); len(list) == 0 && len(rest) > 0 && nextByte(rest, 0) != 0 {
			t.Fatalf("no tokens in %q", code)
		}
		// A loader on its own line counts behind every script that can be read.
		if l.lost || l.cut || len(l.stack) > 0 {
			return
		}
		if with := inlineAnswer(m, append(before, ownLoader...)); strings.HasPrefix(with, "-") {
			t.Fatalf("a loader behind this script is not seen; alone it gives %s", answer)
		}
	})
}

// TestInlinePages runs over the scripts of real pages. The code around every hit
// was read: of the 102 loaders, 91 fetch the vendor or are its agent; 11 only set
// it up for a file that follows (6 with google_conversion_id, 4 with NREUM.info, 1
// with _hjSettings), which the catalog counts as loading. The counts guard against
// change; they do not show that nothing is missed.
func TestInlinePages(t *testing.T) {
	m := catalogMatcher(t)
	scripts, names := pageScripts(t)
	loaders, calls := map[string]int{}, 0
	for i, code := range scripts {
		loader, called := m.match(code, anyVendor, nil)
		if loader != nil {
			loaders[loader.ID]++
			t.Logf("%s: script %d of %d bytes loads %s", names[i], i, len(code), loader.ID)
		} else if len(called) > 0 {
			calls++
		}
	}
	want := map[string]int{
		"google-tag-manager": 14, "google-universal-analytics": 14, "meta-pixel": 13, "new-relic": 9, "facebook-embed": 7,
		"google-ads": 6, "hotjar": 4, "matomo": 4, "x-embed": 4, "chartbeat": 2, "comscore": 2, "google-doubleclick": 2,
		"google-fonts": 2, "pinterest-tag": 2, "taboola": 2, "amazon-ads": 1, "cloudflare": 1, "disqus": 1, "heap": 1,
		"mailchimp": 1, "microsoft-clarity": 1, "microsoft-uet": 1, "mixpanel": 1, "quantcast": 1, "segment": 1,
		"sharethis": 1, "shopify": 1, "tiktok-pixel": 1, "vwo": 1, "x-pixel": 1,
	}
	if !maps.Equal(loaders, want) {
		t.Errorf("loaders by vendor: %v, want %v", loaders, want)
	}
	if calls != 102 {
		t.Errorf("%d scripts only call vendors, want 102", calls)
	}
}

// brokenEscape is one that no script may have, or a short octal one of a control:
// what follows it, revealed, may make it another. Such a script does not run, and no
// signature has controls.
var brokenEscape = regexp.MustCompile(`\\[0-7]{1,2}\\|\\u[0-9a-fA-F]{0,3}([^0-9a-fA-F{]|$)|\\x[0-9a-fA-F]?([^0-9a-fA-F]|$)|\\u\{`)

// A script in a string may write any letter as an escape; whether the scan meets
// the bytes in front of an anchor at an even place or at an odd one is all the same.
func TestInlineEscapesInFrontOfAnchors(t *testing.T) {
	m := catalogMatcher(t)
	for i := range m.patterns {
		p := &m.patterns[i]
		c := byte(0)
		if p.anchor > 0 {
			c = p.text[p.anchor-1]
		}
		if !isNameByte(c) {
			continue
		}
		for pad := range 2 {
			escaped := `\\x` + string([]byte{hexDigits[c>>4], hexDigits[c&15]})
			code := []byte(strings.Repeat(" ", pad) + p.text[:p.anchor-1] + escaped + p.text[p.anchor:] + "      ")
			fast, slow := m.search(code, anyVendor, nil), slowSearch(m, code)
			slices.SortFunc(fast, compareHits)
			slices.SortFunc(slow, compareHits)
			if !slices.Equal(fast, slow) {
				t.Errorf("%s: found %v, there are %v", code, fast, slow)
			}
		}
	}
}
