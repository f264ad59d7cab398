package rewriter

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// pages are saved pages of real sites. They are other people's and not part of
// the project, so tests that want them run only where they are.
func pages(t testing.TB) map[string][]byte {
	t.Helper()
	const dir = "../../shared/data/pages"
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		t.Skip("no saved pages at " + dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages in %s: %v", dir, err)
	}
	m := make(map[string][]byte, len(files))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(f)] = b
	}
	return m
}

// TestPages: on real pages, at every chunk size, nothing blocked is left for a
// full parser to find, every byte outside the insertions is the input's, and
// with everything granted the page is untouched.
func TestPages(t *testing.T) {
	held := 0
	for name, doc := range pages(t) {
		whole, r := rewrite(t, doc, 0, testPage(denied()))
		for _, c := range r.Counts {
			if c.Action == 0 {
				held += c.N
			}
		}
		for _, size := range sizes[1:] {
			if out, _ := rewrite(t, doc, size, testPage(denied())); !bytes.Equal(out, whole) {
				t.Errorf("%s: size %d differs", name, size)
			}
			if out, _ := rewrite(t, doc, size, testPage(granted())); !bytes.Equal(out, doc) {
				t.Errorf("%s: size %d: granted, yet changed", name, size)
			}
		}
		for _, scripting := range []bool{true, false} {
			if l := live(whole, denied(), scripting); len(l) > 0 {
				t.Errorf("%s: scripting %v: live: %q", name, scripting, l)
			}
		}
		if r.Overlong == 0 && !usesOurWords(doc) && !bytes.Equal(restore(whole), doc) {
			t.Errorf("%s: cutting out the insertions does not give the page back", name)
		}
		if r.Diverged {
			t.Logf("%s: readings diverge", name)
		}
	}
	if held == 0 {
		t.Error("nothing was held on any page")
	}
	t.Logf("%d resources held", held)
}
