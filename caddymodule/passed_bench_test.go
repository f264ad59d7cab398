package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkPassed measures what the handler adds to a request whose answer it
// passes on, as a browser asks for a style sheet, and to a granted page.
func BenchmarkPassed(b *testing.B) {
	h := benchHandler(b)
	for _, bm := range []struct{ name, accept, dest, cookie, contentType string }{
		{"css", "text/css,*/*;q=0.1", "style", "", "text/css"},
		{"css-cookies", "text/css,*/*;q=0.1", "style", "PHPSESSID=1; _ga=GA1.1.2; " + granted(b), "text/css"},
		{"json", "*/*", "empty", "PHPSESSID=1", "application/json"},
		{"granted-page", "text/html,*/*;q=0.8", "document", granted(b), "text/html; charset=utf-8"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "http://www.site.test/a/b", nil)
			for key, value := range map[string]string{
				"Accept": bm.accept, "Sec-Fetch-Dest": bm.dest, "Cookie": bm.cookie, "Accept-Encoding": "gzip, deflate, br, zstd",
				"User-Agent":      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
				"Accept-Language": "en-US,en;q=0.9", "Referer": "http://www.site.test/", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin",
			} {
				if value != "" {
					r.Header.Set(key, value)
				}
			}
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				header := w.Header()
				header["Content-Type"] = []string{bm.contentType}
				header["Etag"] = []string{`"abc"`}
				header["Cache-Control"] = []string{"public, max-age=60"}
				header["Date"] = []string{"Thu, 01 Jan 1970 00:01:00 GMT"}
				_, err := w.Write([]byte("x"))
				return err
			})
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(nowhere{http.Header{}}, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
