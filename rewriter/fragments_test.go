package rewriter

import (
	"bytes"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// fragments are the documents of the sinks and readings, and pieces that open or
// close a context around what follows.
func fragments() []string {
	list := []string{
		"<svg>", "</svg>", "<math>", "<noscript>", "</noscript>", "<!--", "-->", "<select>", "</select>", "<template>", "</template>", "<table>", "</table>",
		"<p>", "<b>", "</b>", "<a>", "</a>", "<script type=application/json>", "</script>", "<amp-analytics>", "</amp-analytics>", "<xmp>", "</xmp>",
		"<textarea>", "\"", "'", ">", "<![CDATA[", "]]>", "<frameset>", "<col>",
	}
	for _, s := range sinks {
		if strings.HasPrefix(s.doc, "<") {
			list = append(list, signs(s.doc, true), signs(s.doc, false))
		}
	}
	for _, cases := range readings {
		for _, c := range cases {
			list = append(list, signs(c.in, true))
		}
	}
	slices.Sort(list) // a map's order is not the same twice
	return list
}

// checkFragments joins up to six fragments, a third of them cut somewhere, and
// checks what a rewriter promises about any document.
func checkFragments(t *testing.T, list []string, seed int64) {
	t.Helper()
	r := rand.New(rand.NewSource(seed))
	var doc []byte
	for n := r.Intn(6) + 1; n > 0; n-- {
		s := list[r.Intn(len(list))]
		if r.Intn(3) == 0 {
			i, j := r.Intn(len(s)+1), r.Intn(len(s)+1)
			s = s[min(i, j):max(i, j)]
		}
		doc = append(doc, s...)
	}
	o := Options{}
	if r.Intn(2) == 0 {
		o = Options{MaxHold: minHold, MaxInline: minHold}
	}
	out, report, ok := tryRewriteWith(o, doc, 0, testPage(denied()))
	pieces, _, ok2 := tryRewriteWith(o, doc, 1+r.Intn(20), testPage(denied()))
	if ok != ok2 || ok && !bytes.Equal(out, pieces) {
		t.Errorf("seed %d: the output depends on the pieces\nin:     %q\nwhole:  %q\npieces: %q", seed, doc, out, pieces)
	}
	if !ok {
		return
	}
	for _, scripting := range []bool{true, false} {
		if l := live(out, denied(), scripting); len(l) > 0 && o.MaxInline == 0 {
			t.Errorf("seed %d: scripting %v: live: %s\nin:  %q\nout: %q", seed, scripting, l, doc, out)
		}
	}
	if got := restore(out); report.Overlong == 0 && !usesOurWords(doc) && !bytes.Equal(got, doc) {
		t.Errorf("seed %d: in:       %q\nrestored: %q", seed, doc, got)
	}
	if twice, _, ok := tryRewriteWith(o, out, 0, testPage(denied())); ok && !report.Diverged && !bytes.Equal(twice, out) {
		t.Errorf("seed %d: not idempotent\nin:    %q\nonce:  %q\ntwice: %q", seed, doc, out, twice)
	}
}

func TestFragments(t *testing.T) {
	list := fragments()
	n := int64(4000)
	if testing.Short() {
		n = 400
	}
	for seed := range n {
		checkFragments(t, list, seed)
	}
}

// FuzzFragments goes on where TestFragments stops.
func FuzzFragments(f *testing.F) {
	list := fragments()
	f.Add(int64(1))
	f.Fuzz(func(t *testing.T, seed int64) { checkFragments(t, list, seed) })
}
