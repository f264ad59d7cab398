package rewriter

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// seeds adds the hostile documents of testdata and small real markup.
func seeds(f *testing.F) {
	f.Helper()
	for _, s := range hostile {
		f.Add([]byte(s), uint16(3))
	}
	files, err := filepath.Glob("testdata/seed/*.html")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(61))
	}
}

// FuzzSafety: a full parser finds nothing in the output that a browser would
// load or run and the policy blocks, with scripting on and off.
func FuzzSafety(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		out, _, ok := tryRewrite(doc, int(size), testPage(denied()))
		if !ok {
			return
		}
		for _, scripting := range []bool{true, false} {
			for _, l := range live(out, denied(), scripting) {
				t.Errorf("scripting %v: live: %s\nin:  %q\nout: %q", scripting, l, doc, out)
			}
		}
	})
}

// FuzzLocality: cutting the insertions out of the output gives the input.
func FuzzLocality(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		if usesOurWords(doc) {
			return
		}
		out, r, ok := tryRewrite(doc, int(size), testPage(denied()))
		if !ok || r.Overlong > 0 {
			return
		}
		if got := restore(out); !bytes.Equal(got, doc) {
			t.Errorf("in:       %q\nout:      %q\nrestored: %q", doc, out, got)
		}
	})
}

// FuzzIdentity: with everything granted the output is the input.
func FuzzIdentity(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		p := testPage(granted())
		p.Stubs = false
		out, _, ok := tryRewrite(doc, int(size), p)
		if ok && !bytes.Equal(out, doc) && !bytes.Contains(out, []byte("data-cg-vendor="+Unclassified)) {
			t.Errorf("in:  %q\nout: %q", doc, out)
		}
	})
}

// FuzzChunks: the output does not depend on how the input is cut.
func FuzzChunks(f *testing.F) {
	seeds(f)
	pad := bytes.Repeat([]byte("x "), minHold)
	for _, s := range regressions {
		f.Add([]byte(s), uint16(5))
		// Inside the first tag, and inside the first quotes.
		for _, cut := range []string{">", `"`} {
			if i := bytes.IndexByte([]byte(s), cut[0]); i > 0 {
				f.Add([]byte(s[:i]+" "+string(pad)+s[i:]), uint16(700))
			}
		}
	}
	small := Options{MaxHold: minHold, MaxInline: minHold}
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		o := Options{}
		if size%2 == 1 {
			o = small // what is too long to be held is within reach
		}
		whole, _, ok := tryRewriteWith(o, doc, 0, testPage(denied()))
		pieces, _, ok2 := tryRewriteWith(o, doc, int(size)+1, testPage(denied()))
		single, _, ok3 := tryRewriteWith(o, doc, 1, testPage(denied()))
		if ok != ok2 || ok != ok3 {
			t.Fatalf("errors depend on the pieces: %v %v %v\n%q", ok, ok2, ok3, doc)
		}
		if ok && (!bytes.Equal(whole, pieces) || !bytes.Equal(whole, single)) {
			t.Errorf("in:     %q\nwhole:  %q\npieces: %q\nsingle: %q", doc, whole, pieces, single)
		}
	})
}

// FuzzIdempotence: a rewritten document has nothing left to hold.
func FuzzIdempotence(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		once, r, ok := tryRewrite(doc, int(size), testPage(denied()))
		if !ok || r.Diverged {
			return // a script of another reading may hold a marker in its text
		}
		twice, _, ok := tryRewrite(once, int(size), testPage(denied()))
		if ok && !bytes.Equal(once, twice) {
			t.Errorf("in:    %q\nonce:  %q\ntwice: %q", doc, once, twice)
		}
	})
}

// FuzzProgress: what is held stays below the cap, whatever comes.
func FuzzProgress(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		o := Options{MaxHold: minHold, MaxInline: minHold}
		rw := New(o)
		rw.Reset(discard{}, testPage(denied()))
		n := int(size)%64 + 1
		doc = bytes.Repeat(doc, 1+8*minHold/(len(doc)+1))
		for len(doc) > 0 {
			n := min(n, len(doc))
			if _, err := rw.Write(doc[:n]); err != nil {
				return
			}
			doc = doc[n:]
			// An inline script holds its tag, its text and the tag behind it.
			if held := rw.Held(); held > 4*minHold {
				t.Fatalf("%d bytes held", held)
			}
		}
		_ = rw.Close()
	})
}

// FuzzTrace: a document comes out the same, or is refused the same, whether or not
// somebody watches.
func FuzzTrace(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		o := Options{}
		if size%2 == 1 {
			o = Options{MaxHold: minHold, MaxInline: minHold}
			doc = bytes.Replace(doc, []byte(" "), bytes.Repeat([]byte(" x"), minHold), 1) // a long tag, perhaps
		}
		want, r, ok := tryRewriteWith(o, doc, int(size), testPage(denied()))
		o.Trace = func(TraceEvent) {}
		got, tr, ok2 := tryRewriteWith(o, doc, int(size), testPage(denied()))
		if ok != ok2 || !bytes.Equal(want, got) || ok && fmt.Sprint(*r) != fmt.Sprint(*tr) {
			t.Errorf("in:       %q\nuntraced: %q %v\ntraced:   %q %v", doc, want, r, got, tr)
		}
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// tryRewrite is rewrite for documents that may be refused as too tangled.
func tryRewrite(doc []byte, size int, p Page) ([]byte, *Report, bool) {
	return tryRewriteWith(Options{}, doc, size, p)
}

func tryRewriteWith(o Options, doc []byte, size int, p Page) ([]byte, *Report, bool) {
	var out bytes.Buffer
	rw := New(o)
	rw.Reset(&out, p)
	if size == 0 {
		size = len(doc) + 1
	}
	for rest := doc; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := rw.Write(rest[:n]); err != nil {
			return nil, nil, false
		}
		rest = rest[n:]
	}
	if err := rw.Close(); err != nil {
		return nil, nil, false
	}
	return out.Bytes(), rw.Report(), true
}
