package rewriter

import (
	"bytes"
	"io"
	"testing"
)

// FuzzEnd: at a clean end everything that came in has gone out. Where the input
// breaks off instead, what has gone out begins what a clean end would have given,
// lacks the held bytes and nothing else, and nothing follows. Where the output
// breaks off, nothing is tried again.
func FuzzEnd(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		if usesOurWords(doc) {
			return
		}
		clean, r, ok := tryRewrite(doc, int(size)%97+1, testPage(denied()))
		if !ok || r.Overlong > 0 {
			return
		}
		if r.BytesIn != int64(len(doc)) || r.BytesOut != int64(len(clean)) || len(restore(clean)) != len(doc) {
			t.Errorf("%d bytes came, %d went, %d of them the document's\nin:  %q\nout: %q", len(doc), len(clean), len(restore(clean)), doc, clean)
		}
		brokenInput(t, doc, clean, int(size))
		brokenOutput(t, doc, clean, int(size))
	})
}

// brokenInput gives a Rewriter the beginning of doc and lets go of it, as after
// the failure of the site.
func brokenInput(t *testing.T, doc, clean []byte, size int) {
	t.Helper()
	var out bytes.Buffer
	rw := New(Options{})
	rw.Reset(&out, testPage(denied()))
	for _, piece := range cut(doc[:size%(len(doc)+1)], size%61+1) {
		if _, err := rw.Write(piece); err != nil {
			t.Fatalf("%v: the whole document had no error: %q", err, doc)
		}
	}
	n, held := size%(len(doc)+1), rw.Held()
	rw.Release()
	if _, err := rw.Write([]byte(">")); err != ErrClosed || rw.Close() != nil {
		t.Errorf("writing goes on: %v", err)
	}
	sent := out.Bytes()
	if !bytes.HasPrefix(clean, sent) {
		t.Errorf("broken off after %d bytes\nin:    %q\nsent:  %q\nclean: %q", n, doc, sent, clean)
	}
	if got := restore(sent); !bytes.Equal(got, doc[:n-held]) {
		t.Errorf("broken off after %d bytes, %d held\nin:       %q\nsent:     %q\nrestored: %q", n, held, doc, sent, got)
	}
}

// brokenOutput lets the visitor go away in the middle of the answer.
func brokenOutput(t *testing.T, doc, clean []byte, size int) {
	t.Helper()
	if len(clean) == 0 {
		return
	}
	out := brokenPipe{left: size % len(clean)}
	rw := New(Options{})
	rw.Reset(&out, testPage(denied()))
	failed := false
	for _, piece := range cut(doc, size%61+1) {
		_, err := rw.Write(piece)
		if failed && err == nil {
			t.Errorf("a write after the failed one has no error: %q", doc)
		}
		failed = failed || err != nil
	}
	if err := rw.Close(); err == nil {
		t.Errorf("closed without an error: %q", doc)
	}
	if !bytes.HasPrefix(clean, out.got) || out.after > 0 {
		t.Errorf("%d writes after the failed one\nin:    %q\nsent:  %q\nclean: %q", out.after, doc, out.got, clean)
	}
}

func cut(doc []byte, size int) (pieces [][]byte) {
	for len(doc) > 0 {
		n := min(size, len(doc))
		pieces, doc = append(pieces, doc[:n]), doc[n:]
	}
	return pieces
}

// A brokenPipe takes so many bytes, and then fails for ever.
type brokenPipe struct {
	left   int
	got    []byte
	failed bool
	after  int // writes since
}

func (p *brokenPipe) Write(b []byte) (int, error) {
	if p.failed {
		p.after++
	}
	n := min(p.left, len(b))
	p.got = append(p.got, b[:n]...)
	p.left -= n
	if n < len(b) {
		p.failed = true
		return n, io.ErrClosedPipe
	}
	return n, nil
}
