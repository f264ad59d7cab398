package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/rewriter"
)

// A page the site compressed leaves compressed if the client takes it, also where
// Caddy's encode stands outside, and one that it did not is left to that.
func TestRecode(t *testing.T) {
	long := tracked + strings.Repeat("<p>some text of a page</p>\n", 400)
	zipped := page(string(encoded(t, "gzip", []byte(long))), "Content-Encoding: gzip", `ETag: "a"`)
	plain := page(long, `ETag: "a"`)
	for name, tc := range map[string]struct {
		before, response, accept, method string
		coding, tag                      string // tag without its variant
	}{
		"same":                    {"", zipped, "gzip", "GET", "gzip", `W/"a~ce`},
		"another":                 {"", zipped, "br", "GET", "br", `W/"a~ce`},
		"zstd":                    {"", zipped, "gzip, deflate, br, zstd", "GET", "zstd", `W/"a~ce`},
		"none":                    {"", zipped, "", "GET", "", `W/"a~ce`},
		"refused":                 {"", zipped, "gzip;q=0, identity", "GET", "", `W/"a~ce`},
		"head":                    {"", zipped, "gzip", "HEAD", "gzip", `W/"a~ce`},
		"not by the site":         {"", plain, "gzip", "GET", "", `"a~cg`},
		"encode":                  {"encode gzip", zipped, "gzip", "GET", "gzip", `W/"a~ce`},
		"encode, another":         {"encode gzip", zipped, "br", "GET", "br", `W/"a~ce`},
		"encode, not by the site": {"encode gzip", plain, "gzip", "GET", "gzip", `"a~cg`},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, tc.before+"\nconsent\nreverse_proxy "+answering(t, tc.response))
			got := g.do(tc.method, "/", "Accept-Encoding", tc.accept)
			if coding := got.Header.Get("Content-Encoding"); coding != tc.coding {
				t.Errorf("sent in %q", coding)
			}
			if tag := got.Header.Get("ETag"); !strings.HasPrefix(tag, tc.tag) {
				t.Errorf("tag %s", tag)
			}
			if tc.response == zipped && strings.Count(strings.Join(got.Header["Vary"], ", "), "Accept-Encoding") != 1 {
				t.Errorf("Vary %q", got.Header["Vary"])
			}
			if tc.method == "HEAD" {
				return
			}
			if text := decodedBody(t, got); strings.Contains(text, live) || !strings.HasSuffix(text, "page</p>\n") {
				t.Errorf("%q", tail(text))
			}
		})
	}
}

// A page that breaks off in the middle has no valid end in its coding either.
func TestRecodeBrokenOff(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		body := encoded(t, coding, []byte(tracked+randomText(500_000)))
		g := start(t, proxy(answering(t, page(string(body[:len(body)/2]), "Content-Encoding: "+coding))))
		req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", coding)
		resp, err := plainClient.Do(req)
		if err == nil {
			var text bytes.Buffer
			dec, derr := rewriter.NewDecoder([]string{coding}, &text, rewriter.Limits{})
			if derr != nil {
				t.Fatal(derr)
			}
			if _, err = io.Copy(dec, resp.Body); err == nil {
				t.Errorf("%s: looks complete", coding)
			}
			if dec.Close() == nil {
				t.Errorf("%s: has an end, after %d bytes of text", coding, text.Len())
			}
			resp.Body.Close()
		}
		if !g.counted(outcomeAborted, 1) {
			t.Errorf("%s: not counted", coding)
		}
	}
}
