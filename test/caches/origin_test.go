package caches

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// vendorScripts are the scripts of every page, by the category each waits for.
var vendorScripts = map[string]string{
	"functional": "https://widget.intercom.io/widget/a1",
	"analytics":  "https://www.google-analytics.com/analytics.js",
	"marketing":  "https://connect.facebook.net/en_US/fbevents.js",
}

// tracker is the pair of a cookie that waits for analytics.
const tracker = "_ga=GA1.1.7.7"

// dated is the Last-Modified of everything that has one.
var dated = time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)

// A thing is what the site has under one path.
type thing struct {
	path string
	kind string   // Content-Type
	head []string // pairs of header names and values
	etag string   // with quotes
	date bool     // has a Last-Modified
	gzip bool     // compressed for those who accept it
	by   string   // request field the body differs by
	code int      // 200 if 0
	made string   // tells versions of the body apart
}

func (d *thing) page() bool { return strings.HasPrefix(d.kind, "text/html") }

// body returns the body for a value of the field it differs by.
func (d *thing) body(value string) string {
	if !d.page() {
		return fmt.Sprintf("%s %s\n", d.mark(value), strings.Repeat("file ", 40))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>%s</title>\n", d.path)
	for _, category := range []string{"functional", "analytics", "marketing"} {
		fmt.Fprintf(&b, "<script src=\"%s\"></script>\n", vendorScripts[category])
	}
	fmt.Fprintf(&b, "<script src=\"/s/app.js\"></script></head>\n<body><p>%s</p></body></html>\n", d.mark(value))
	return b.String()
}

// mark tells the bodies of a page apart.
func (d *thing) mark(value string) string { return d.path + d.made + " for [" + value + "]" }

// differsBy returns the part of a request that decides on the body.
func (d *thing) differsBy(h http.Header) string {
	switch d.by {
	case "":
		return ""
	case "Cookie": // signed in or not
		if strings.Contains(strings.Join(h["Cookie"], "; "), "session=") {
			return "member"
		}
		return "guest"
	}
	return h.Get(d.by)
}

const pageType = "text/html; charset=utf-8"

// things is the site: pages and files with every kind of validator and
// permission to store.
func things() []*thing {
	public := []string{"Cache-Control", "public, max-age=600"}
	cdn := []string{"Cache-Control", "public, max-age=60, s-maxage=600"}
	return []*thing{
		{path: "/p/strong", kind: pageType, head: cdn, etag: `"strong"`},
		{path: "/p/weak", kind: pageType, head: []string{"Cache-Control", "max-age=600"}, etag: `W/"weak"`},
		{path: "/p/dated", kind: pageType, head: public, date: true},
		{path: "/p/both", kind: pageType, head: public, etag: `"both"`, date: true},
		{path: "/p/none", kind: pageType, head: public},
		{path: "/p/revalidate", kind: pageType, head: []string{"Cache-Control", "public, s-maxage=600, max-age=0, must-revalidate"}, etag: `"re"`},
		{path: "/p/no-cache", kind: pageType, head: []string{"Cache-Control", "no-cache"}, etag: `"nc"`},
		{path: "/p/silent", kind: pageType, etag: `"silent"`, date: true},
		{path: "/p/accel", kind: pageType, head: []string{"X-Accel-Expires", "600", "Surrogate-Control", "max-age=600", "CDN-Cache-Control", "max-age=600"}, etag: `"accel"`},
		{path: "/p/language", kind: pageType, head: append([]string{"Vary", "Accept-Language"}, public...), etag: `"lang"`, by: "Accept-Language"},
		{path: "/p/member", kind: pageType, head: append([]string{"Vary", "Cookie"}, public...), etag: `"member"`, by: "Cookie"},
		{path: "/p/gzip", kind: pageType, head: append([]string{"Vary", "Accept-Encoding"}, public...), etag: `"gz"`, gzip: true},
		{path: "/p/tracked", kind: pageType, head: append([]string{"Set-Cookie", tracker + "; Path=/"}, public...), etag: `"tracked"`},
		{path: "/p/session", kind: pageType, head: []string{"Set-Cookie", "session=s1; Path=/; HttpOnly", "Cache-Control", "no-store"}},
		{path: "/p/gone", kind: pageType, head: public, code: http.StatusNotFound},
		{path: "/p/moved", kind: pageType, head: append([]string{"Location", "/p/strong"}, public...), code: http.StatusMovedPermanently},

		{path: "/s/app.js", kind: "text/javascript", head: cdn, etag: `"js"`},
		{path: "/s/app.css", kind: "text/css", head: public, etag: `W/"css"`, date: true},
		{path: "/s/logo.png", kind: "image/png", head: public, date: true},
		{path: "/s/data.json", kind: "application/json", head: append([]string{"Vary", "Accept-Encoding"}, public...), etag: `"json"`, gzip: true},
	}
}

// dependent are files whose headers are filtered by what the visitor granted.
func dependent() []*thing {
	public := []string{"Cache-Control", "public, max-age=600"}
	return []*thing{
		{path: "/t/pixel.gif", kind: "image/gif", head: append([]string{"Set-Cookie", tracker + "; Path=/"}, public...), etag: `"pixel"`},
		{path: "/t/hint.css", kind: "text/css", head: append([]string{"Link", "<" + vendorScripts["marketing"] + ">; rel=preload; as=script"}, public...), etag: `"hint"`},
		{path: "/t/both.js", kind: "text/javascript", head: append([]string{"Set-Cookie", tracker + "; Path=/", "Link", "<" + vendorScripts["marketing"] + ">; rel=preload; as=script"}, public...), etag: `"both-js"`},
	}
}

// An origin is the site's server.
type origin struct {
	addr string

	mu    sync.Mutex
	hits  int            // requests that came
	paths map[string]int // by path
	last  *http.Request  // as it came
}

// count returns how many requests came, and by path.
func (o *origin) count() (hits int, paths map[string]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hits, maps.Clone(o.paths)
}

// latest returns the last request that came.
func (o *origin) latest() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// serve starts a site of the given things.
func serve(t testing.TB, list []*thing) *origin {
	t.Helper()
	site := make(map[string]*thing, len(list))
	for _, d := range list {
		site[d.path] = d
	}
	return listen(t, func(w http.ResponseWriter, r *http.Request) {
		if d := site[r.URL.Path]; d != nil {
			d.answer(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

// listen starts a site with a handler of the test's own.
func listen(t testing.TB, handler http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{paths: make(map[string]int)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.hits++
		o.paths[r.URL.Path]++
		o.last = r
		o.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	o.addr = server.Listener.Addr().String()
	return o
}

// answer serves the thing as a site does: conditional requests, ranges, HEAD.
func (d *thing) answer(w http.ResponseWriter, r *http.Request) {
	value := d.differsBy(r.Header)
	body, suffix := []byte(d.body(value)), ""
	if value != "" {
		suffix = "-" + strings.Map(letters, value)
	}
	h := w.Header()
	h.Set("Content-Type", d.kind)
	for i := 0; i < len(d.head); i += 2 {
		h.Add(d.head[i], d.head[i+1])
	}
	if d.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, suffix = zip(body), suffix+"-gz"
	}
	if d.etag != "" {
		h.Set("ETag", strings.TrimSuffix(d.etag, `"`)+suffix+`"`)
	}
	if d.code != 0 {
		w.WriteHeader(d.code)
		_, _ = w.Write(body)
		return
	}
	var modified time.Time
	if d.date {
		modified = dated
		if d.made != "" {
			modified = dated.AddDate(0, 1, 0)
		}
	}
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

func letters(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return -1
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}
