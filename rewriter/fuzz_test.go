package rewriter

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

// A byte-preserving rewriter promises nine properties. Each has the fuzz target
// named after it: those of one document and its output stand here, the others in
// structure_test.go, linear_test.go and end_test.go.

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

// FuzzIdentity: where no rule applies the output is the input. None does if
// everything is granted, nor if nothing was found that must be held.
func FuzzIdentity(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		for _, b := range []policy.Bound{granted(), denied()} {
			p := testPage(b)
			p.Stubs = false
			out, r, ok := tryRewrite(doc, int(size), p)
			if ok && nothingHeld(r) && !bytes.Equal(out, doc) {
				t.Errorf("in:  %q\nout: %q", doc, out)
			}
			if ok && b.Unrestricted() && !nothingHeld(r) && r.Overlong == 0 {
				t.Errorf("held although everything is granted: %+v\n%q", r, doc)
			}
		}
	})
}

func nothingHeld(r *Report) bool {
	return !slices.ContainsFunc(r.Counts, func(c Count) bool { return c.Action == policy.Block })
}

// FuzzDeterminism: the output depends on the document only, not on how it is cut
// nor on what the Rewriter did before.
func FuzzDeterminism(f *testing.F) {
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
		whole, report, ok := tryRewriteWith(o, doc, 0, testPage(denied()))
		pieces, _, ok2 := tryRewriteWith(o, doc, int(size)+1, testPage(denied()))
		single, _, ok3 := tryRewriteWith(o, doc, 1, testPage(denied()))
		if ok != ok2 || ok != ok3 {
			t.Fatalf("errors depend on the pieces: %v %v %v\n%q", ok, ok2, ok3, doc)
		}
		if ok && (!bytes.Equal(whole, pieces) || !bytes.Equal(whole, single)) {
			t.Errorf("in:     %q\nwhole:  %q\npieces: %q\nsingle: %q", doc, whole, pieces, single)
		}
		// Again, with a Rewriter that broke off in the middle of a document.
		rw := New(o)
		rw.Reset(discard{}, testPage(denied()))
		_, _ = rw.Write(doc[:int(size)*7919%(len(doc)+1)])
		rw.Release()
		var again bytes.Buffer
		ok4 := feedAll(rw, &again, doc, int(size)+1, testPage(denied())) == nil
		if ok != ok4 || ok && !bytes.Equal(whole, again.Bytes()) {
			t.Errorf("in:    %q\nnew:   %q\nused:  %q", doc, whole, again.Bytes())
		}
		if ok && !reflect.DeepEqual(report.Counts, rw.Report().Counts) {
			t.Errorf("in: %q\nreports: %+v\nand:     %+v", doc, report, rw.Report())
		}
	})
}

// FuzzIdempotence: a rewritten document has nothing left to hold, whoever comes
// next: the same visitor, or one who granted everything.
func FuzzIdempotence(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		once, r, ok := tryRewrite(doc, int(size), testPage(denied()))
		if !ok || r.Diverged {
			return // a script of another reading may hold a marker in its text
		}
		open := testPage(granted())
		if all, r, ok := tryRewrite(once, int(size), open); ok && r.Overlong == 0 && !bytes.Equal(once, all) {
			t.Errorf("in:      %q\nonce:    %q\ngranted: %q", doc, once, all)
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
	if err := feedAll(rw, &out, doc, size, p); err != nil {
		return nil, nil, false
	}
	return out.Bytes(), rw.Report(), true
}

// feedAll sends doc through rw in pieces of the given size; 0 means whole.
func feedAll(rw *Rewriter, dst io.Writer, doc []byte, size int, p Page) error {
	rw.Reset(dst, p)
	if size == 0 {
		size = len(doc) + 1
	}
	for rest := doc; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := rw.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return rw.Close()
}
