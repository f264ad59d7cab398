package rewriter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// encoderCodings are all that an Encoder applies.
var encoderCodings = []string{"gzip", "br", "zstd", ""}

// decodeOf returns the list a Decoder takes for a coding.
func decodeOf(coding string) []string {
	if coding == "" {
		return nil
	}
	return []string{coding}
}

// What was written before a Flush is out of a decoder after it, at every size of
// piece and however often is flushed.
func TestEncoderRoundTrip(t *testing.T) {
	text := testText(300 << 10)
	for _, coding := range encoderCodings {
		for _, size := range []int{1, 2, 15, 16, 100, 1000, 4 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, len(text)} {
			for _, every := range []int{0, 1, 2, 7} {
				t.Run(fmt.Sprintf("%s/%d/%d", coding, size, every), func(t *testing.T) {
					part := text
					if size < 100 {
						part = text[:1000]
					}
					roundTrip(t, coding, part, size, every)
				})
			}
		}
	}
}

func roundTrip(t *testing.T, coding string, text []byte, size, every int) {
	t.Helper()
	var wire, out bytes.Buffer
	e := NewEncoder(coding, &wire)
	d, err := NewDecoder(decodeOf(coding), &out, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	pass := func() {
		t.Helper()
		if _, err := d.Write(wire.Next(wire.Len())); err != nil {
			t.Fatal(err)
		}
	}
	written := 0
	for i := 1; written < len(text); i++ {
		n := min(size, len(text)-written)
		if k, err := e.Write(text[written : written+n]); k != n || err != nil {
			t.Fatalf("Write: %d, %v", k, err)
		}
		written += n
		if every > 0 && i%every == 0 {
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
			pass()
			if out.Len() != written {
				t.Fatalf("%d of %d bytes are out", out.Len(), written)
			}
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	pass()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), text) {
		t.Fatal("the text has changed")
	}
}

// A copy kept for everybody is in the coding the site chose, as without the
// gateway.
func TestKeptCoding(t *testing.T) {
	const all = "gzip, deflate, br, zstd"
	for _, c := range []struct {
		accept string
		site   []string
		want   string
	}{
		{all, []string{"gzip"}, "gzip"},
		{all, []string{"br"}, "br"},
		{all, []string{"zstd"}, "zstd"},
		{all, []string{"deflate"}, "zstd"}, // never applied
		{all, []string{"gzip", "br"}, "br"},
		{all, nil, ""},
		{"*", []string{"gzip"}, "gzip"},
		{"br", []string{"gzip"}, "br"},
		{"br, gzip;q=0", []string{"gzip"}, "br"},
		{"identity", []string{"gzip"}, ""},
		{"", []string{"gzip"}, ""},
		{"identity, gzip;q=0.5", []string{"gzip"}, ""},
	} {
		if got := KeptCoding([]string{c.accept}, c.site); got != c.want {
			t.Errorf("%q, site %q: %q, want %q", c.accept, c.site, got, c.want)
		}
	}
}

// Nothing but the header is not worth a packet, and an unneeded flush none at all.
func TestEncoderSendsNoHeaderAlone(t *testing.T) {
	for _, coding := range encoderCodings[:3] {
		var wire bytes.Buffer
		e := NewEncoder(coding, &wire)
		steps := []func() error{
			e.Flush,
			func() error { _, err := e.Write(nil); return err },
			e.Flush,
			func() error { _, err := e.Write([]byte("<p>")); return err },
		}
		for i, step := range steps {
			if err := step(); err != nil || wire.Len() > 0 {
				t.Errorf("%s, step %d: %d bytes, %v", coding, i, wire.Len(), err)
			}
		}
		if err := e.Flush(); err != nil || wire.Len() == 0 {
			t.Errorf("%s: %d bytes after the flush, %v", coding, wire.Len(), err)
		}
		n := wire.Len()
		if err := e.Flush(); err != nil || wire.Len() != n {
			t.Errorf("%s: a second flush sends %d bytes, %v", coding, wire.Len()-n, err)
		}
		e.Abort()
	}
}

// The coding of nothing is complete, and not empty.
func TestEncoderEmpty(t *testing.T) {
	for _, coding := range encoderCodings[:3] {
		var wire bytes.Buffer
		if err := NewEncoder(coding, &wire).Close(); err != nil || wire.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", coding, wire.Len(), err)
		}
		if got, err := push(t, []string{coding}, wire.Bytes(), 0); got != "" || err != nil {
			t.Errorf("%s: decodes to %q, %v", coding, got, err)
		}
	}
}

// A8: a page that was aborted never looks complete, wherever it was cut, and what
// was flushed is there.
func TestEncoderAbort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	text := testText(200 << 10)
	for _, coding := range encoderCodings[:3] {
		for _, n := range []int{1, 40, 5000, 64 << 10, 128 << 10, len(text)} {
			for _, flush := range []bool{false, true} {
				var wire bytes.Buffer
				e := NewEncoder(coding, &wire)
				if _, err := e.Write(text[:n]); err != nil {
					t.Fatal(err)
				}
				if flush {
					if err := e.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				before := wire.Len()
				e.Abort()
				e.Abort()
				if wire.Len() != before {
					t.Errorf("%s, %d bytes: Abort writes %d", coding, n, wire.Len()-before)
				}
				got, err := push(t, []string{coding}, wire.Bytes(), 0)
				if before > 0 && !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s, %d bytes, flush %v: looks complete: %v", coding, n, flush, err)
				}
				if !strings.HasPrefix(string(text), got) || flush && len(got) != n {
					t.Errorf("%s, %d bytes, flush %v: %d bytes decoded", coding, n, flush, len(got))
				}
				if _, err := e.Write([]byte("x")); err != errEncoderAborted {
					t.Errorf("%s: Write says %v", coding, err)
				}
				if err := e.Flush(); err != errEncoderAborted {
					t.Errorf("%s: Flush says %v", coding, err)
				}
				if err := e.Close(); err != errEncoderAborted || wire.Len() != before {
					t.Errorf("%s: Close says %v", coding, err)
				}
			}
		}
	}
}

// After Close nothing is written and nothing panics.
func TestEncoderClosed(t *testing.T) {
	for _, coding := range encoderCodings {
		var wire bytes.Buffer
		e := NewEncoder(coding, &wire)
		if _, err := e.Write([]byte("<p>")); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		n := wire.Len()
		if _, err := e.Write([]byte("x")); err != errEncoderClosed {
			t.Errorf("%q: Write says %v", coding, err)
		}
		if err := e.Flush(); err != errEncoderClosed {
			t.Errorf("%q: Flush says %v", coding, err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("%q: a second Close says %v", coding, err)
		}
		e.Abort()
		if wire.Len() != n {
			t.Errorf("%q: %d bytes after the end", coding, wire.Len()-n)
		}
	}
}

// E2: a codec that is used again remembers nothing of the page before, whatever
// that one ended with.
func TestEncoderReuse(t *testing.T) {
	text := testText(200 << 10)
	page := text[100<<10 : 170<<10]
	for _, coding := range encoderCodings[:3] {
		fresh := encodeOnce(t, coding, page)
		w := encoders(coding).New().(codec)
		for _, n := range []int{0, 1, 100, 64 << 10, 90 << 10, len(text)} {
			for _, end := range []string{"close", "abort", "error"} {
				out := countWriter{}
				if end == "error" {
					out.fail = 1
				}
				e := &Encoder{sink: encoderSink{dst: &out}, pool: poolOf(w)}
				_, _ = e.Write(text[:n])
				if end == "close" {
					_ = e.Close()
				}
				e.Abort()
				var wire bytes.Buffer
				e = &Encoder{sink: encoderSink{dst: &wire}, pool: poolOf(w)}
				_, _ = e.Write(page)
				if err := e.Close(); err != nil || !bytes.Equal(wire.Bytes(), fresh) {
					t.Errorf("%s, %s after %d bytes: other bytes than of a new one, %v", coding, end, n, err)
				}
			}
		}
	}
}

// poolOf returns a pool that gives out w.
func poolOf(w codec) *sync.Pool { return &sync.Pool{New: func() any { return w }} }

func encodeOnce(t testing.TB, coding string, text []byte) []byte {
	t.Helper()
	var wire bytes.Buffer
	e := NewEncoder(coding, &wire)
	if _, err := e.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return wire.Bytes()
}

// A codec comes from the pool once and goes back once, however the page ends; one
// that a panic interrupted does not.
func TestEncoderPool(t *testing.T) {
	text := testText(300 << 10)
	for _, coding := range encoderCodings[:3] {
		for _, c := range []struct {
			name string
			dst  io.Writer
			back int
			end  func(*Encoder)
		}{
			{"close", io.Discard, 1, func(e *Encoder) { _ = e.Close() }},
			{"abort", io.Discard, 1, func(e *Encoder) { e.Abort() }},
			{"all of them", io.Discard, 1, func(e *Encoder) { _ = e.Close(); e.Abort(); _ = e.Close() }},
			{"error", &countWriter{fail: 1}, 1, func(e *Encoder) { e.Abort() }},
			{"panic", panicWriter{}, 0, func(e *Encoder) { e.Abort() }},
		} {
			t.Run(coding+"/"+c.name, func(t *testing.T) {
				counted := &countCodec{codec: encoders(coding).New().(codec)}
				taken := 0
				e := &Encoder{sink: encoderSink{dst: c.dst}, pool: &sync.Pool{New: func() any { taken++; return counted }}}
				func() {
					defer func() { _ = recover() }()
					for range 3 {
						_, _ = e.Write(text)
						_ = e.Flush()
					}
				}()
				c.end(e)
				if taken != 1 || counted.released != c.back {
					t.Errorf("taken %d times, put back %d times", taken, counted.released)
				}
				if e.codec != nil {
					t.Error("the encoder holds on to it")
				}
				// A pool may lose what it was given, but not each time.
				pooled := false
				for i := 0; i < 50 && !pooled && c.back > 0; i++ {
					e := &Encoder{sink: encoderSink{dst: io.Discard}, pool: e.pool}
					before := taken
					_, _ = e.Write([]byte("x"))
					pooled = taken == before
					c.end(e)
				}
				if !pooled && c.back > 0 {
					t.Error("the pool never has it")
				}
			})
		}
	}
}

// A countCodec counts how often its memory is given back.
type countCodec struct {
	codec
	released int
}

func (c *countCodec) Reset(dst io.Writer) {
	if dst == nil {
		c.released++
	}
	c.codec.Reset(dst)
}

// A22: the destination's error comes back, on every later call too, and the
// destination is left alone.
func TestEncoderDestinationError(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	text := testText(300 << 10)
	for _, coding := range encoderCodings {
		for _, fail := range []int64{1, 20, 1000, 20 << 10} {
			out := countWriter{fail: fail}
			e := NewEncoder(coding, &out)
			var err error
			for i := 0; i < 30 && err == nil; i++ {
				if _, err = e.Write(text[i<<10 : (i+1)<<10]); err == nil {
					err = e.Flush()
				}
			}
			if err == nil {
				_, err = e.Write(text)
			}
			if err != errSink {
				t.Fatalf("%q: error %v", coding, err)
			}
			n := out.n
			if _, err := e.Write(text); err != errSink {
				t.Errorf("%q: Write says %v", coding, err)
			}
			if err := e.Flush(); err != errSink {
				t.Errorf("%q: Flush says %v", coding, err)
			}
			if err := e.Close(); err != errSink || out.n != n {
				t.Errorf("%q: Close says %v, %d bytes more", coding, err, out.n-n)
			}
			e.Abort()
		}
		// At the very end.
		out := countWriter{fail: 1}
		e := NewEncoder(coding, &out)
		_, err := e.Write([]byte("x"))
		if coding != "" && err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := e.Close(); err != errSink {
				t.Errorf("%q: Close says %v", coding, err)
			}
		}
	}
}

type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestEncoderShortWrite(t *testing.T) {
	for _, coding := range encoderCodings {
		e := NewEncoder(coding, shortWriter{})
		if _, err := e.Write(testText(300 << 10)); err != io.ErrShortWrite {
			t.Errorf("%q: %v", coding, err)
		}
		e.Abort()
	}
}

// A8: a panic of the destination reaches the caller, and the page never counts as
// complete.
func TestEncoderPanic(t *testing.T) {
	for _, coding := range encoderCodings {
		e := NewEncoder(coding, panicWriter{})
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%q: recovered %v", coding, p)
				}
			}()
			_, _ = e.Write(testText(300 << 10))
		}()
		if _, err := e.Write([]byte("x")); err == nil {
			t.Errorf("%q: Write goes on", coding)
		}
		if e.Close() == nil {
			t.Errorf("%q: Close calls it complete", coding)
		}
		e.Abort()
	}
}

func TestEncoderUnsupported(t *testing.T) {
	for _, coding := range []string{"deflate", "x-gzip", "identity", "dcb", "foo"} {
		e := NewEncoder(coding, io.Discard)
		if _, err := e.Write([]byte("x")); !errors.Is(err, ErrUnsupportedCoding) {
			t.Errorf("%q: Write says %v", coding, err)
		}
		if err := e.Close(); !errors.Is(err, ErrUnsupportedCoding) {
			t.Errorf("%q: Close says %v", coding, err)
		}
		e.Abort()
	}
}

// Many at once share the pools.
func TestEncoderConcurrent(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	text := testText(80 << 10)
	want := map[string][]byte{}
	for _, coding := range encoderCodings {
		want[coding] = encodeOnce(t, coding, text)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 12 {
				coding := encoderCodings[(i+j)%len(encoderCodings)]
				if j%3 == 0 {
					e := NewEncoder(coding, io.Discard)
					_, _ = e.Write(text[:j<<10])
					e.Abort()
				}
				if !bytes.Equal(encodeOnce(t, coding, text), want[coding]) {
					t.Errorf("%q: other bytes than alone", coding)
				}
			}
		})
	}
	wg.Wait()
}

// What a codec takes is about what Capacity says, also for a page much larger than
// its window.
func TestEncoderCapacity(t *testing.T) {
	page := bytes.Repeat(testText(1<<20), 4)
	for _, coding := range encoderCodings[:3] {
		before := liveBytes()
		w := encoders(coding).New().(codec)
		w.Reset(io.Discard)
		if _, err := w.Write(page); err != nil {
			t.Fatal(err)
		}
		taken := liveBytes() - before
		runtime.KeepAlive(w)
		says := int64(NewEncoder(coding, nil).Capacity())
		t.Logf("%s: %d KiB", coding, taken>>10)
		if taken > says || taken < says/2 {
			t.Errorf("%s: %d KiB taken, Capacity says %d", coding, taken>>10, says>>10)
		}
	}
	if n := NewEncoder("", nil).Capacity(); n != 0 {
		t.Errorf("a copy takes %d bytes", n)
	}
}

// liveBytes returns the size of all that is reachable.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// FuzzEncoder: what was encoded decodes to itself, however it was cut, flushed and
// stacked, and is out after every flush.
func FuzzEncoder(f *testing.F) {
	for i := range encoderCodings {
		f.Add([]byte("<p>hello hello hello</p><p>hello</p>"), uint8(i), uint8(4), uint64(i), uint16(i))
		f.Add(testText(3000), uint8(i), uint8(i), uint64(99), uint16(60))
	}
	f.Fuzz(func(t *testing.T, text []byte, inner, outer uint8, seed uint64, repeat uint16) {
		// Blocks and windows are larger than what a fuzzer makes.
		text = bytes.Repeat(text, min(int(repeat)+1, 1+(256<<10)/(len(text)+1)))
		in, out := encoderCodings[int(inner)%4], encoderCodings[int(outer)%4]
		r := rand.New(rand.NewPCG(seed, 0))
		var wire, got bytes.Buffer
		outside := NewEncoder(out, &wire)
		inside := NewEncoder(in, outside)
		defer outside.Abort()
		defer inside.Abort()
		d, err := NewDecoder(append(decodeOf(in), decodeOf(out)...), &got, Limits{MaxRatio: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Abort()
		pass := func() {
			if _, err := d.Write(wire.Next(wire.Len())); err != nil {
				t.Fatal(err)
			}
		}
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1<<r.IntN(18)))
			if _, err := inside.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			if r.IntN(4) > 0 {
				continue
			}
			if err := errors.Join(inside.Flush(), outside.Flush()); err != nil {
				t.Fatal(err)
			}
			pass()
			if got.Len() != len(text)-len(rest) {
				t.Fatalf("%s in %s: %d of %d bytes are out", in, out, got.Len(), len(text)-len(rest))
			}
		}
		if err := errors.Join(inside.Close(), outside.Close()); err != nil {
			t.Fatal(err)
		}
		pass()
		if err := d.Close(); err != nil || !bytes.Equal(got.Bytes(), text) {
			t.Fatalf("%s in %s: %d of %d bytes, %v", in, out, got.Len(), len(text), err)
		}
	})
}
