package caddymodule

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// BenchmarkStage runs the whole handler in front of a site that answers from
// memory and a client that drops everything. It belongs to the table of
//
//	go run ./test/bench
func BenchmarkStage(b *testing.B) {
	pages := savedPages(b)
	h := benchHandler(b)
	for _, bm := range []struct {
		name, cookie string
		act          bool
	}{
		{"handler-without", "", false}, {"handler-undecided", "", true}, {"handler-granted", granted(b), true},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var size int64
			for _, p := range pages {
				size += int64(len(p))
			}
			b.SetBytes(size)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				for _, p := range pages {
					serveOnce(b, h, p, bm.cookie, bm.act)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(size), "bytes/op")
			b.ReportMetric(float64(len(pages)), "pages/op")
		})
	}
}

// benchHandler returns a handler as it is without options. There is no Caddy
// around it: nobody is to be told what it serves.
func benchHandler(b *testing.B) *Handler {
	b.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	b.Cleanup(cancel)
	m, err := registerMetrics(ctx.GetMetricsRegistry())
	if err != nil {
		b.Fatal(err)
	}
	m.first("announce")
	h := new(Handler)
	if err := h.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	h.logger = zap.NewNop()
	return h
}

// serveOnce answers one request for the page in pieces of 32 KiB, as Caddy's
// reverse proxy copies them.
func serveOnce(b *testing.B, h *Handler, page []byte, cookie string, act bool) {
	r := httptest.NewRequest(http.MethodGet, "http://site.test/", nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Cookie", cookie)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for rest := page; len(rest) > 0; {
			n, err := w.Write(rest[:min(len(rest), 32<<10)])
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	w := nowhere{http.Header{}}
	var err error
	if act {
		err = h.ServeHTTP(w, r, next)
	} else {
		err = next.ServeHTTP(w, r)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// nowhere is a client that reads everything and keeps nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) WriteHeader(int)             {}
func (w nowhere) Write(p []byte) (int, error) { return io.Discard.Write(p) }

// savedPages returns the saved pages of real sites, or the pages of the example
// site where there are none.
func savedPages(b *testing.B) (pages [][]byte) {
	b.Helper()
	for _, dir := range []string{"../../shared/data/pages", "../test/site"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.html"))
		if err != nil {
			b.Fatal(err)
		}
		for _, file := range files {
			page, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			pages = append(pages, page)
		}
		if len(pages) > 0 {
			return pages
		}
	}
	b.Fatal("no pages")
	return nil
}
