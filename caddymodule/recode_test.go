package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net"
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

// A20: the compressor does not keep the beginning of a page from the visitor while
// the site is slow, though nobody flushes a page of known length.
func TestRecodeNoDelay(t *testing.T) {
	text := randomText(100_000)
	body := encoded(t, "gzip", []byte(tracked+text))
	seen := make(chan bool)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(body))
		c.Write(body[:len(body)/2])
		<-seen
		c.Write(body[len(body)/2:])
	})
	g := start(t, proxy(addr))
	for _, coding := range []string{"gzip", "br", "zstd"} {
		req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", coding)
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		dec, err := rewriter.NewDecoder([]string{resp.Header.Get("Content-Encoding")}, &got, rewriter.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for got.Len() < 10_000 {
			n, err := resp.Body.Read(buf)
			if err != nil {
				t.Fatalf("%s: %d bytes of text, then %v", coding, got.Len(), err)
			}
			if _, err := dec.Write(buf[:n]); err != nil {
				t.Fatal(err)
			}
		}
		seen <- true
		if _, err := io.Copy(dec, resp.Body); err != nil {
			t.Fatal(err)
		}
		if err := dec.Close(); err != nil || !strings.HasSuffix(got.String(), text) {
			t.Errorf("%s: %d bytes of text, %v", coding, got.Len(), err)
		}
		resp.Body.Close()
	}
}

// E7: before memory for pages runs out, they leave uncompressed.
func TestRecodeScarce(t *testing.T) {
	g := start(t, proxy(answering(t, page(string(encoded(t, "gzip", []byte(tracked))), "Content-Encoding: gzip")), "max_memory 16MiB"))
	for _, used := range []int64{0, 8 << 20} {
		inHand.Add(used)
		got := g.get("/", "Accept-Encoding", "gzip")
		inHand.Add(-used)
		if coded := got.Header.Get("Content-Encoding") != ""; coded != (used == 0) || !g.counted(outcomeRewritten, 1+float64(used>>23)) {
			t.Errorf("%d bytes in use: %v", used, got.Header)
		}
		if text := decodedBody(t, got); strings.Contains(text, live) || !strings.Contains(text, "hello") {
			t.Errorf("%q", text)
		}
	}
}
