package protocol

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Markers of what every vendor page of these tests holds.
const (
	vendor = "https://www.googletagmanager.com/gtag/js"
	// tracked is a page with one resource of a vendor that waits for consent.
	tracked = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>t</title>` +
		`<script async src="` + vendor + `?id=G-TEST"></script></head><body><p>hello</p></body></html>`
	// live is what tracked must not hold any more once rewritten.
	live = ` src="` + vendor
)

// A site answers each request by the function registered for its path, which
// writes to the connection; the connection is closed afterwards.
type site struct {
	addr  string
	paths sync.Map // path -> func(net.Conn, *http.Request)
	n     atomic.Int64
}

type answerer = func(c net.Conn, r *http.Request)

func newSite(t *testing.T) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: ln.Addr().String()}
	var serving sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		ln.Close()
		open.Range(func(c, _ any) bool {
			c.(net.Conn).Close()
			return true
		})
		serving.Wait()
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			serving.Go(func() {
				defer open.Delete(c)
				s.serve(c)
			})
		}
	}()
	return s
}

func (s *site) serve(c net.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	if f, ok := s.paths.Load(r.URL.Path); ok {
		f.(answerer)(c, r)
		return
	}
	io.WriteString(c, response("404 Not Found", "no such path", "Content-Type: text/plain"))
}

// on registers f for a new path that ends in suffix.
func (s *site) on(suffix string, f answerer) string {
	path := fmt.Sprintf("/%d%s", s.n.Add(1), suffix)
	s.paths.Store(path, f)
	return path
}

// says is on for a site that always sends the same bytes.
func (s *site) says(parts ...string) string { return s.on("", saying(parts...)) }

func saying(parts ...string) answerer {
	return func(c net.Conn, r *http.Request) {
		for _, p := range parts {
			if r.Method == http.MethodHead && !strings.HasPrefix(p, "HTTP/1.1 1") {
				p, _, _ = strings.Cut(p, "\r\n\r\n")
				io.WriteString(c, p+"\r\n\r\n")
				return
			}
			if _, err := io.WriteString(c, p); err != nil {
				return
			}
		}
	}
}

// page is a complete HTTP response with a page.
func page(body string, fields ...string) string {
	return response("200 OK", body, append([]string{"Content-Type: text/html"}, fields...)...)
}

func response(status, body string, fields ...string) string {
	return head(status, append(fields, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

// head is the part of a response before the body.
func head(status string, fields ...string) string {
	h := "HTTP/1.1 " + status + "\r\n"
	for _, f := range fields {
		h += f + "\r\n"
	}
	return h + "\r\n"
}

// chunk is one chunk of a chunked body.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
