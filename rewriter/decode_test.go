package rewriter

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

// flushWriter is what all encoders are.
type flushWriter interface {
	io.WriteCloser
	Flush() error
}

func testEncoder(tb testing.TB, kind string, w io.Writer) flushWriter {
	tb.Helper()
	switch kind {
	case "gzip":
		return gzip.NewWriter(w)
	case "zlib":
		return zlib.NewWriter(w)
	case "raw":
		f, err := flate.NewWriter(w, 6)
		if err != nil {
			tb.Fatal(err)
		}
		return f
	case "br":
		return brotli.NewWriterLevel(w, 5)
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10))
		if err != nil {
			tb.Fatal(err)
		}
		return z
	}
	tb.Fatalf("no encoder %q", kind)
	return nil
}

func testEncode(tb testing.TB, kind string, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := testEncoder(tb, kind, &b)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// testKinds are the encoders and the Content-Encoding they go by.
var testKinds = []struct{ kind, coding string }{
	{"gzip", "gzip"}, {"zlib", "deflate"}, {"raw", "deflate"}, {"br", "br"}, {"zstd", "zstd"},
}

// testText is text that compresses like a page: words, some of them repeated.
func testText(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, "<p class=c%d>word%d</p>\n", r.IntN(50), r.IntN(100000))
	}
	return b.Bytes()[:size]
}

// push decodes data in pieces of the given size (0: whole) and closes.
func push(t *testing.T, codings []string, data []byte, size int) (string, error) {
	t.Helper()
	var out bytes.Buffer
	d, err := NewDecoder(codings, &out, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	for size > 0 && len(data) > size {
		if _, err := d.Write(data[:size]); err != nil {
			return out.String(), err
		}
		data = data[size:]
	}
	if _, err := d.Write(data); err != nil {
		return out.String(), err
	}
	return out.String(), d.Close()
}

// A18: every coding, whole and in pieces, in every condition.
func TestDecoderA18(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	text := testText(200 << 10)
	for _, k := range testKinds {
		data := testEncode(t, k.kind, text)
		twice := append(bytes.Clone(data), testEncode(t, k.kind, []byte("tail"))...)
		garbage := append(bytes.Clone(data), "garbage behind the end"...)
		cases := []struct {
			name   string
			data   []byte
			want   string // "" with err: a prefix of text
			failed bool
		}{
			{"ok", data, string(text), false},
			{"empty", nil, "", false},
			{"empty content", testEncode(t, k.kind, nil), "", false},
			{"truncated", data[:len(data)/2], "", true},
			{"last byte missing", data[:len(data)-1], "", true},
			{"first byte only", data[:1], "", true},
			{"mislabelled", []byte("<!doctype html><title>not compressed at all</title>"), "", true},
			{"garbage tail", garbage, string(text), k.kind == "zstd"},
			{"second member", twice, string(text) + "tail", false},
		}
		if k.kind != "gzip" && k.kind != "zstd" {
			cases[len(cases)-1].want = string(text) // these formats have one stream
		}
		for _, c := range cases {
			for _, size := range []int{0, 1, 7, 4096} {
				t.Run(fmt.Sprintf("%s/%s/%d", k.kind, c.name, size), func(t *testing.T) {
					got, err := push(t, []string{k.coding}, c.data, size)
					if c.failed {
						if !errors.Is(err, ErrCorrupt) {
							t.Fatalf("error %v, want ErrCorrupt", err)
						}
						if !strings.HasPrefix(string(text), got) {
							t.Fatal("bytes written that are not of the text")
						}
						if c.name == "mislabelled" && k.kind != "raw" && k.kind != "zlib" && got != "" {
							t.Fatalf("wrote %q", got)
						}
						return
					}
					if err != nil || got != c.want {
						t.Fatalf("%d bytes, error %v; want %d bytes", len(got), err, len(c.want))
					}
				})
			}
		}
	}
}

func TestDecoderChecksums(t *testing.T) {
	for _, kind := range []string{"gzip", "zlib", "zstd"} {
		var b bytes.Buffer
		w := testEncoder(t, kind, &b)
		if z, ok := w.(*zstd.Encoder); ok {
			z.ResetContentSize(&b, -1)
		}
		_, _ = w.Write([]byte("hello"))
		_ = w.Close()
		data := b.Bytes()
		data[len(data)-1] ^= 1
		coding := kind
		if kind == "zlib" {
			coding = "deflate"
		}
		if _, err := push(t, []string{coding}, data, 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", kind, err)
		}
	}
}

// A body that ends right behind its data lacks its checksum, and is not complete.
func TestDecoderNoTrailer(t *testing.T) {
	for _, c := range []struct {
		kind, coding string
		trailer      int
	}{{"gzip", "gzip", 8}, {"zlib", "deflate", 4}} {
		data := testEncode(t, c.kind, []byte("hello"))
		if got, err := push(t, []string{c.coding}, data[:len(data)-c.trailer], 0); got != "hello" || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %q, %v", c.kind, got, err)
		}
	}
}

func TestDecoderGzipHeaderFields(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "page.html", "made today", []byte("extra field")
	_, _ = w.Write([]byte("hello"))
	_ = w.Close()
	withCRC := bytes.Clone(b.Bytes())
	withCRC[3] |= gzipHeaderCRC
	end := bytes.Index(withCRC, []byte("made today\x00")) + len("made today\x00")
	withCRC = append(append(bytes.Clone(withCRC[:end]), 0xab, 0xcd), withCRC[end:]...)
	for name, data := range map[string][]byte{"names": b.Bytes(), "header crc": withCRC} {
		for _, size := range []int{0, 1} {
			if got, err := push(t, []string{"gzip"}, data, size); got != "hello" || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func TestDecoderStacked(t *testing.T) {
	text := testText(50 << 10)
	for _, inner := range testKinds {
		for _, outer := range testKinds {
			data := testEncode(t, outer.kind, testEncode(t, inner.kind, text))
			for _, size := range []int{0, 1, 1000} {
				got, err := push(t, []string{inner.coding, outer.coding}, data, size)
				if err != nil || got != string(text) {
					t.Errorf("%s in %s by %d: %d bytes, %v", inner.kind, outer.kind, size, len(got), err)
				}
			}
			if _, err := push(t, []string{inner.coding, outer.coding}, data[:len(data)/2], 0); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s in %s truncated: %v", inner.kind, outer.kind, err)
			}
		}
	}
}

func TestDecoderUnsupported(t *testing.T) {
	for _, codings := range [][]string{{"foo"}, {"gzip", "foo"}, {"dcb"}, {"dcz"}, {"compress"}, {"gzip", "gzip", "gzip"}} {
		if _, err := NewDecoder(codings, io.Discard, Limits{}); !errors.Is(err, ErrUnsupportedCoding) {
			t.Errorf("%q: error %v", codings, err)
		}
	}
}

// A20: what the encoder flushed is out when Write returns.
func TestDecoderA20(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, k := range testKinds {
		for _, size := range []int{0, 1} {
			var wire, out bytes.Buffer
			enc := testEncoder(t, k.kind, &wire)
			d, err := NewDecoder([]string{k.coding}, &out, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			for i := range 50 {
				piece := fmt.Sprintf("<p>chunk %d %s</p>", i, strings.Repeat("x", i*i))
				want += piece
				if _, err := enc.Write([]byte(piece)); err != nil {
					t.Fatal(err)
				}
				if err := enc.Flush(); err != nil {
					t.Fatal(err)
				}
				b := wire.Next(wire.Len())
				for size > 0 && len(b) > size {
					if _, err := d.Write(b[:size]); err != nil {
						t.Fatal(err)
					}
					b = b[size:]
				}
				if _, err := d.Write(b); err != nil {
					t.Fatal(err)
				}
				if out.String() != want {
					t.Fatalf("%s: chunk %d is not out: %d of %d bytes", k.kind, i, out.Len(), len(want))
				}
			}
			_ = enc.Close()
			if _, err := d.Write(wire.Bytes()); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A block that is complete is out, though the encoder did not flush it.
func TestDecoderUnflushedBlock(t *testing.T) {
	// One stored block, not the last (RFC 1951, section 3.2.4).
	block := []byte("\x00\x05\x00\xfa\xffhello")
	zlibHeader := []byte("\x78\x9c")
	gzipHeader := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	for _, c := range []struct {
		coding string
		head   []byte
	}{{"deflate", nil}, {"deflate", zlibHeader}, {"gzip", gzipHeader}} {
		var out bytes.Buffer
		d, err := NewDecoder([]string{c.coding}, &out, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(append(bytes.Clone(c.head), block...)); err != nil || out.String() != "hello" {
			t.Errorf("%s with a header of %d bytes: %q, %v", c.coding, len(c.head), out.String(), err)
		}
		d.Abort()
	}
}

// Without flushes nothing but the block at hand may be missing.
func TestDecoderLag(t *testing.T) {
	text := testText(1 << 20)
	for _, k := range testKinds {
		data := testEncode(t, k.kind, text)
		var out bytes.Buffer
		d, err := NewDecoder([]string{k.coding}, &out, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		half := len(data) / 2
		if _, err := d.Write(data[:half]); err != nil {
			t.Fatal(err)
		}
		if lag := len(text)/2 - out.Len(); lag > 192<<10 {
			t.Errorf("%s: %d bytes behind", k.kind, lag)
		}
		d.Abort()
	}
}

// countWriter counts and checks that it is only called while allowed.
type countWriter struct {
	n    int64
	fail int64 // error once so many bytes came, 0 never
}

var errSink = errors.New("client went away")

func (w *countWriter) Write(b []byte) (int, error) {
	w.n += int64(len(b))
	if w.fail > 0 && w.n >= w.fail {
		return 0, errSink
	}
	return len(b), nil
}

// zeroBomb compresses so many MiB of zeros.
func zeroBomb(t *testing.T, kind string, mib int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := testEncoder(t, kind, &b)
	zeros := make([]byte, 1<<20)
	for range mib {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// E1: bombs end with an error after about 1 MiB, and memory stays flat.
func TestDecoderE1(t *testing.T) {
	for _, k := range testKinds {
		bomb := zeroBomb(t, k.kind, 64)
		for _, size := range []int{0, 100} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var out countWriter
			d, err := NewDecoder([]string{k.coding}, &out, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			rest := bomb
			for err == nil && len(rest) > 0 {
				n := len(rest)
				if size > 0 {
					n = min(n, size)
				}
				_, err = d.Write(rest[:n])
				rest = rest[n:]
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%s (%d bytes): error %v after %d bytes, want ErrTooLarge", k.kind, len(bomb), err, out.n)
			}
			if _, again := d.Write([]byte("x")); again != err {
				t.Errorf("%s: the next call says %v", k.kind, again)
			}
			if err := d.Close(); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: Close says %v", k.kind, err)
			}
			if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 16<<20 {
				t.Errorf("%s: %d bytes allocated in all", k.kind, grown)
			}
			if out.n > 2<<20 {
				t.Errorf("%s: %d bytes written", k.kind, out.n)
			}
			t.Logf("%s: %d compressed, %d written, %d KiB allocated", k.kind, len(bomb), out.n, (after.TotalAlloc-before.TotalAlloc)>>10)
		}
	}
}

func TestDecoderStackedBomb(t *testing.T) {
	inner := zeroBomb(t, "gzip", 64)
	bomb := testEncode(t, "gzip", inner)
	var out countWriter
	d, err := NewDecoder([]string{"gzip", "gzip"}, &out, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(bomb); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("error %v after %d bytes", err, out.n)
	}
	if out.n > 4<<20 {
		t.Errorf("%d bytes written of a bomb of %d", out.n, len(bomb))
	}
}

func TestDecoderZstdWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		window byte // Window_Descriptor, RFC 8878, section 3.1.1.1.2
		err    error
	}{
		{"512 MiB", 19 << 3, ErrTooLarge},
		{"16 MiB", 14 << 3, ErrTooLarge},
		{"8 MiB", 13 << 3, nil},
	} {
		// One frame with one empty raw block, the last.
		frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, c.window, 1, 0, 0}
		if _, err := push(t, []string{"zstd"}, frame, 0); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
	}
}

// E2: a window of the size most servers ask for is not allocated for every page.
func TestDecoderZstdReuse(t *testing.T) {
	const window, runs = 2 << 20, 40
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(testText(300 << 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		d, err := NewDecoder([]string{"zstd"}, io.Discard, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	// A pool may lose some, and loses a quarter under the race detector.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > runs*window/2 {
		t.Errorf("%d KiB allocated for each page", grown/runs>>10)
	}
}

func TestDecoderMaxOutput(t *testing.T) {
	text := testText(100 << 10)
	for _, k := range testKinds {
		data := testEncode(t, k.kind, text)
		for _, limit := range []int64{int64(len(text)), int64(len(text)) - 1} {
			var out countWriter
			d, err := NewDecoder([]string{k.coding}, &out, Limits{MaxOutput: limit})
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Write(data)
			if err == nil {
				err = d.Close()
			}
			if want := limit < int64(len(text)); errors.Is(err, ErrTooLarge) != want || out.n > limit {
				t.Errorf("%s, limit %d of %d: error %v, %d bytes written", k.kind, limit, len(text), err, out.n)
			}
		}
	}
}

// Very many tiny members must cost neither a window each nor more than linear time.
func TestDecoderManyMembers(t *testing.T) {
	member := testEncode(t, "gzip", nil)
	data := bytes.Repeat(member, 20000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got, err := push(t, []string{"gzip"}, data, 0); got != "" || err != nil {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes allocated for %d members", grown, 20000)
	}
}

// E2, A22: the destination's error comes back, on every later call too.
func TestDecoderDestinationError(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, k := range testKinds {
		data := testEncode(t, k.kind, testText(300<<10))
		out := countWriter{fail: 1}
		d, err := NewDecoder([]string{k.coding}, &out, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(data); err != errSink {
			t.Fatalf("%s: error %v", k.kind, err)
		}
		n := out.n
		if _, err := d.Write(data); err != errSink {
			t.Errorf("%s: then %v", k.kind, err)
		}
		if err := d.Close(); err != errSink || out.n != n {
			t.Errorf("%s: Close says %v, %d bytes more", k.kind, err, out.n-n)
		}
	}
}

// E2: Abort releases everything, at any point, and nothing is written after it.
func TestDecoderAbort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	text := testText(64 << 10)
	for _, k := range testKinds {
		data := testEncode(t, k.kind, text)
		for i := range 300 {
			var out countWriter
			d, err := NewDecoder([]string{k.coding}, &out, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Write(data[:len(data)*i/300]); err != nil {
				t.Fatal(err)
			}
			n := out.n
			d.Abort()
			d.Abort()
			if _, err := d.Write(data); err == nil {
				t.Fatal("Write after Abort succeeds")
			}
			if err := d.Close(); err == nil {
				t.Fatal("Close after Abort succeeds")
			}
			if out.n != n {
				t.Fatalf("%s: %d bytes written after Abort", k.kind, out.n-n)
			}
		}
		// After a complete body Abort changes nothing.
		got, err := push(t, []string{k.coding}, data, 0)
		if err != nil || got != string(text) {
			t.Fatalf("%s: pooled memory is damaged: %d bytes, %v", k.kind, len(got), err)
		}
	}
}

type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic(http.ErrAbortHandler) }

// A8: a panic of the destination reaches the caller, and the body never counts
// as complete.
func TestDecoderPanic(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, k := range testKinds {
		d, err := NewDecoder([]string{k.coding}, panicWriter{}, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%s: recovered %v", k.kind, p)
				}
			}()
			_, _ = d.Write(testEncode(t, k.kind, testText(64<<10)))
			t.Errorf("%s: no panic", k.kind)
		}()
		if _, err := d.Write([]byte("x")); err == nil {
			t.Errorf("%s: Write goes on", k.kind)
		}
		if d.Close() == nil {
			t.Errorf("%s: Close calls it complete", k.kind)
		}
		d.Abort()
	}
}

func TestDecoderCopiesWithoutCodings(t *testing.T) {
	if got, err := push(t, nil, []byte("plain"), 2); got != "plain" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCodings(t *testing.T) {
	for _, c := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"identity"}, nil},
		{[]string{" GZip "}, []string{"gzip"}},
		{[]string{"x-gzip"}, []string{"gzip"}},
		{[]string{"gzip, br"}, []string{"gzip", "br"}},
		{[]string{"gzip", ",zstd,\tidentity"}, []string{"gzip", "zstd"}},
		{[]string{"utf-8"}, []string{"utf-8"}},
	} {
		if got := Codings(http.Header{"Content-Encoding": c.lines}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

// A17
func TestNarrowAcceptEncodingA17(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"gzip, deflate, br, zstd, dcb, dcz"}, "gzip, deflate, br, zstd"},
		{[]string{"dcb, dcz"}, "identity"},
		{[]string{"gzip;q=0.5, *;q=0, foo", "BR ; q=1"}, "gzip;q=0.5, BR ; q=1"},
		{[]string{"*"}, "identity"},
		{[]string{"identity;q=0, br;q=0"}, "br;q=0"},
		{[]string{"identity;q=0"}, "identity"},
		{[]string{""}, "identity"},
		{nil, "identity"},
	} {
		h := http.Header{"Accept-Encoding": c.lines, "Available-Dictionary": {":abc:"}, "Dictionary-Id": {`"x"`}}
		NarrowAcceptEncoding(h)
		if want := (http.Header{"Accept-Encoding": {c.want}}); !reflect.DeepEqual(h, want) {
			t.Errorf("%q: %v, want %v", c.lines, h, want)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for i, k := range testKinds {
		f.Add(testEncode(f, k.kind, []byte("<p>hello hello hello</p>")), uint8(i), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, which, size uint8) {
		coding := testKinds[int(which)%len(testKinds)].coding
		whole, errWhole := push(t, []string{coding}, data, 0)
		pieces, errPieces := push(t, []string{coding}, data, int(size)%64+1)
		if (errWhole == nil) != (errPieces == nil) {
			t.Fatalf("whole: %v, in pieces: %v", errWhole, errPieces)
		}
		if errWhole == nil && whole != pieces {
			t.Fatal("the output depends on the pieces")
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	text := testText(100 << 10)
	for _, k := range testKinds {
		data := testEncode(b, k.kind, text)
		b.Run(k.kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				d, err := NewDecoder([]string{k.coding}, io.Discard, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				for rest := data; len(rest) > 0; rest = rest[min(len(rest), 4096):] {
					if _, err := d.Write(rest[:min(len(rest), 4096)]); err != nil {
						b.Fatal(err)
					}
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
