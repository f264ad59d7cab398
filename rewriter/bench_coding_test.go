package rewriter

// What it costs to encode rewritten pages again, by every level that could be
// chosen, beside the rewriting itself:
//
//	go run ./test/bench -codings

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A level is one way to encode. Its writer is used again, as from a pool.
type level struct {
	name string
	open func() (resettable, error)
}

type resettable interface {
	io.WriteCloser
	Reset(io.Writer)
}

// levels are all that were weighed. Those named after a coding alone are the
// Encoder's.
func levels() (list []level) {
	add := func(name string, open func() (resettable, error)) { list = append(list, level{name, open}) }
	for _, coding := range []string{"gzip", "br", "zstd"} {
		add(coding, func() (resettable, error) { return encoders(coding).New().(codec), nil })
	}
	for i := 1; i <= 9; i++ {
		add(fmt.Sprintf("gzip %d", i), func() (resettable, error) { return gzip.NewWriterLevel(nil, i) })
	}
	// What most sites send is made by zlib, which this one follows.
	for _, i := range []int{1, 6} {
		add(fmt.Sprintf("gzip %d of the standard library", i), func() (resettable, error) { return stdgzip.NewWriterLevel(nil, i) })
	}
	for i := 0; i <= 6; i++ {
		add(fmt.Sprintf("br %d", i), func() (resettable, error) { return brotli.NewWriterLevel(nil, i), nil })
	}
	for i := 0; i <= 5; i++ {
		add(fmt.Sprintf("br %d of the newer encoder", i), func() (resettable, error) { return brotli.NewWriterV2(nil, i), nil })
	}
	for _, l := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		for _, window := range []int{256 << 10, zstdWindow, 1 << 20, 8 << 20} {
			add(fmt.Sprintf("zstd %v, window of %d KiB", l, window>>10), func() (resettable, error) {
				return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
					zstd.WithEncoderLevel(l), zstd.WithWindowSize(window))
			})
		}
	}
	return list
}

// BenchmarkCoding encodes the rewritten pages, and their first 16 KiB, after what is
// done to them in front of it.
func BenchmarkCoding(b *testing.B) {
	whole := corpus(b)
	var starts []benchPage
	for _, p := range whole {
		starts = append(starts, benchPage{p.name, p.doc[:min(len(p.doc), 16<<10)]})
	}
	for _, set := range []struct {
		name  string
		pages []benchPage
	}{{"pages", whole}, {"starts", starts}} {
		rw := New(Options{})
		var rewritten []benchPage
		for _, p := range set.pages {
			var out bytes.Buffer
			rw.Reset(&out, testPage(denied()))
			if _, err := rw.Write(p.doc); err != nil {
				b.Fatal(err)
			}
			if err := rw.Close(); err != nil {
				b.Fatal(err)
			}
			rewritten = append(rewritten, benchPage{p.name, out.Bytes()})
		}
		b.Run("rewriting/"+set.name, func(b *testing.B) {
			stage(b, set.pages, func(doc []byte) int { return pipe(b, rw, doc, 4<<10, testPage(denied())) })
		})
		for _, coding := range []string{"gzip", "br", "zstd"} {
			b.Run("decoding "+coding+"/"+set.name, func(b *testing.B) { benchmarkDecode(b, set.pages, coding) })
		}
		for _, l := range levels() {
			b.Run(l.name+"/"+set.name, func(b *testing.B) { benchmarkLevel(b, l, rewritten) })
		}
	}
}

func benchmarkLevel(b *testing.B, l level, pages []benchPage) {
	before := liveBytes()
	w, err := l.open()
	if err != nil {
		b.Fatal(err)
	}
	var out countWriter
	encode := func(doc []byte) int {
		w.Reset(&out)
		for _, piece := range cut(doc, 4<<10) {
			if _, err := w.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		return 0
	}
	for _, p := range pages { // the memory is there, as in a pool
		encode(p.doc)
	}
	coded, taken := out.n, liveBytes()-before
	stage(b, pages, encode)
	b.ReportMetric(float64(coded), "coded-B/op")
	b.ReportMetric(float64(taken), "stream-B")
}
