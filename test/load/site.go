package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/consentgate/consentgate/test/pages"
)

// A body is what the site answers for a path.
type body struct {
	contentType  string
	plain, gzip  []byte
	chunked      bool // no Content-Length, as from an application that streams
	early        bool // the first bytes at once, the rest after a moment
	stall        int  // so many bytes, and then nothing
	dynamic      bool // sets a cookie
	compressible bool // sent in gzip to who takes it
}

// A site is the upstream of both sides. It lives in this process: its CPU time is
// not the gateway's.
type site struct {
	addr   string
	server *http.Server
	bodies map[string]*body
	stop   chan struct{} // ends stalled answers
	// stalled counts the answers that wait, with what they had to send sent.
	stalled atomic.Int64
}

// startSite serves the bodies.
func startSite(bodies map[string]*body) (*site, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &site{addr: ln.Addr().String(), bodies: bodies, stop: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(ln) }()
	return s, nil
}

func (s *site) close() {
	close(s.stop)
	_ = s.server.Close()
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := s.bodies[r.URL.Path]
	if b == nil {
		http.NotFound(w, r)
		return
	}
	data := b.plain
	h := w.Header()
	h.Set("Content-Type", b.contentType)
	h.Set("ETag", `"5f3c-61a0b2c4"`)
	if b.compressible && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		data = b.gzip
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
	}
	if b.dynamic {
		h.Set("Set-Cookie", "sessionid=s3ss10n; Path=/; HttpOnly; SameSite=Lax")
		h.Set("Cache-Control", "no-cache")
	} else {
		h.Set("Cache-Control", "public, max-age=86400")
	}
	switch {
	case b.stall > 0:
		s.sendAndStall(w, r, data[:min(b.stall, len(data))])
		return
	case b.early:
		_, _ = w.Write(data[:min(earlyBytes, len(data))])
		_ = http.NewResponseController(w).Flush()
		data = data[min(earlyBytes, len(data)):]
	case !b.chunked:
		h.Set("Content-Length", strconv.Itoa(len(data)))
	}
	for len(data) > 0 {
		n, err := w.Write(data[:min(len(data), 16<<10)])
		if err != nil {
			return
		}
		data = data[n:]
	}
}

// earlyBytes is what the site has of a page before it knows the rest: the head.
const earlyBytes = 4 << 10

func (s *site) sendAndStall(w http.ResponseWriter, r *http.Request, data []byte) {
	_, err := w.Write(data)
	if err != nil || http.NewResponseController(w).Flush() != nil {
		return
	}
	s.stalled.Add(1)
	defer s.stalled.Add(-1)
	select {
	case <-r.Context().Done():
	case <-s.stop:
	}
}

// A corpus is what there is to ask for, as paths.
type corpus struct {
	bodies map[string]*body
	large  []string // pages of about 286 KB
	small  []string // pages of about 40 KB
	note   string   // where the pages are from
}

const (
	largeMean = 286 << 10
	smallMean = 40 << 10
)

// newCorpus makes the bodies.
func newCorpus() (*corpus, error) {
	saved, err := pages.Saved()
	if err != nil {
		return nil, err
	}
	c := &corpus{bodies: map[string]*body{}}
	var large, small []pages.Page
	if len(saved) > 0 {
		large = pages.Mix(saved, largeMean)
		for _, p := range saved {
			if len(p.Doc) <= 2*smallMean {
				small = append(small, p)
			}
		}
		c.note = "saved pages of real sites"
	} else {
		large = pages.Made(120<<10, 200<<10, 280<<10, 350<<10, 480<<10)
		small = pages.Made(4<<10, 12<<10, 30<<10, 60<<10, 90<<10)
		c.note = "made pages, for there are no saved ones at ../shared/data/pages"
	}
	c.note += fmt.Sprintf("; large: %d of %d KiB in the mean, small: %d of %d KiB",
		len(large), pages.Mean(large)>>10, len(small), pages.Mean(small)>>10)
	if c.large, err = c.add("large", large); err != nil {
		return nil, err
	}
	if c.small, err = c.add("small", small); err != nil {
		return nil, err
	}
	return c, c.addOthers(large)
}

// add puts pages in, in three forms each: with and without Content-Length, and in
// gzip. It returns the paths of the first form.
func (c *corpus) add(kind string, list []pages.Page) (paths []string, err error) {
	for _, p := range list {
		path := "/" + kind + "/" + p.Name
		b := body{contentType: "text/html; charset=utf-8", plain: p.Doc, dynamic: true}
		if b.gzip, err = compress(p.Doc); err != nil {
			return nil, err
		}
		chunked, compressed := b, b
		chunked.chunked, compressed.compressible = true, true
		c.bodies[path], c.bodies["/chunked"+path], c.bodies["/gzip"+path] = &b, &chunked, &compressed
		paths = append(paths, path)
	}
	return paths, nil
}

// addOthers puts in what is not a page, and what does not end.
func (c *corpus) addOthers(large []pages.Page) error {
	random := func(n int) []byte { // pictures do not compress
		src := rand.NewChaCha8([32]byte{1})
		b := make([]byte, n)
		_, _ = src.Read(b)
		return b
	}
	c.bodies["/site.css"] = &body{contentType: "text/css", plain: bytes.Repeat([]byte("a.b > c { color: red; margin: 0 auto }\n"), 1000)}
	c.bodies["/site.js"] = &body{contentType: "text/javascript", plain: bytes.Repeat([]byte("function f(x) { return x + 1 }\n"), 4000)}
	c.bodies["/photo.png"] = &body{contentType: "image/png", plain: random(80 << 10)}
	c.bodies["/icon.png"] = &body{contentType: "image/png", plain: random(3 << 10)}
	c.bodies["/api/items"] = &body{contentType: "application/json", dynamic: true, plain: []byte(`{"items":[` + strings.Repeat(`{"id":1,"name":"item","price":"9.99"},`, 50) + `{}]}`)}
	page := large[len(large)-1].Doc
	c.bodies["/early"] = &body{contentType: "text/html; charset=utf-8", plain: page[:min(len(page), 64<<10)], early: true, dynamic: true}

	held := pages.Make(20 << 10)
	stalled := body{contentType: "text/html; charset=utf-8", plain: held, stall: len(held), dynamic: true, compressible: true}
	var err error
	// The coding is broken off in its middle, where its state is largest.
	if stalled.gzip, err = compress(pages.Make(400 << 10)); err != nil {
		return err
	}
	c.bodies["/stalled"] = &stalled
	open := append(held[:4<<10:4<<10], "<script>"...)
	open = append(open, bytes.Repeat([]byte("var a = 1;\n"), 5600)...)
	c.bodies["/open"] = &body{contentType: "text/html; charset=utf-8", plain: open, stall: len(open), dynamic: true}
	c.bodies["/stalled.json"] = &body{contentType: "application/json", plain: held, stall: len(held)}
	return nil
}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}
