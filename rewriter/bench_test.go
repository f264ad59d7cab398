package rewriter

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// corpus joins nothing: each page is run on its own, as a gateway would.
func corpus(b *testing.B) ([][]byte, int64) {
	b.Helper()
	var docs [][]byte
	var n int64
	for _, d := range pages(b) {
		docs = append(docs, d)
		n += int64(len(d))
	}
	return docs, n
}

// BenchmarkHop is the floor: from '<' to '<' and nothing else.
func BenchmarkHop(b *testing.B) {
	docs, n := corpus(b)
	b.SetBytes(n)
	tags := 0
	for b.Loop() {
		for _, d := range docs {
			for i := 0; i < len(d); i++ {
				j := bytes.IndexByte(d[i:], '<')
				if j < 0 {
					break
				}
				i += j
				tags++
			}
		}
	}
}

// BenchmarkScan finds the edges of all tags.
func BenchmarkScan(b *testing.B) {
	docs, n := corpus(b)
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range docs {
			var s scan.Scanner
			for ev := s.Next(d, true); ev != scan.Done; ev = s.Next(d, true) {
			}
		}
	}
}

func benchmarkRewrite(b *testing.B, bound policy.Bound, size int) {
	docs, n := corpus(b)
	b.SetBytes(n)
	b.ReportAllocs()
	rw := New(Options{})
	for b.Loop() {
		for _, d := range docs {
			rw.Reset(io.Discard, testPage(bound))
			step := size
			if step == 0 {
				step = len(d)
			}
			for len(d) > 0 {
				k := min(step, len(d))
				if _, err := rw.Write(d[:k]); err != nil {
					b.Fatal(err)
				}
				d = d[k:]
			}
			if err := rw.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(docs)), "pages/op")
}

// BenchmarkRewrite judges everything for a visitor who agreed to nothing.
func BenchmarkRewrite(b *testing.B) {
	b.Run("whole", func(b *testing.B) { benchmarkRewrite(b, denied(), 0) })
	b.Run("4096", func(b *testing.B) { benchmarkRewrite(b, denied(), 4096) })
	b.Run("1024", func(b *testing.B) { benchmarkRewrite(b, denied(), 1024) })
}

// BenchmarkTokenizer is golang.org/x/net/html's tokenizer, reading tag names and
// attributes, with the host rules of the policy on sources, but without inline
// scripts, styles and output.
func BenchmarkTokenizer(b *testing.B) {
	docs, n := corpus(b)
	b.SetBytes(n)
	b.ReportAllocs()
	var base baseURL
	base.reset("https", testHost, "/")
	bound := denied()
	held := 0
	for b.Loop() {
		for _, d := range docs {
			z := html.NewTokenizer(bytes.NewReader(d))
			for tt := z.Next(); tt != html.ErrorToken; tt = z.Next() {
				if tt != html.StartTagToken && tt != html.SelfClosingTagToken {
					continue
				}
				_, more := z.TagName()
				for more {
					var k, v []byte
					k, v, more = z.TagAttr()
					if string(k) == "src" || string(k) == "href" {
						var loc policy.Location
						if base.resolve(v, &loc) == urlNet && bound.Resource(policy.Script, loc).Action == policy.Block {
							held++
						}
					}
				}
			}
		}
	}
}

// BenchmarkParse is the full parser.
func BenchmarkParse(b *testing.B) {
	docs, n := corpus(b)
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range docs {
			if _, err := html.Parse(bytes.NewReader(d)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
