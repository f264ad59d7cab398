package protocol

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/consentgate/consentgate/test/gate"
)

// hinted answers in four steps; each hints at something of the site's own and at
// something that waits for consent.
var hinted = []string{
	head("102 Processing"),
	head("103 Early Hints", "Link: </own.css>; rel=preload; as=style, <"+vendor+">; rel=preload; as=script", "Set-Cookie: session=2"),
	head("103 Early Hints", "Link: </own.js>; rel=preload; as=script", "Link: <"+vendor+">; rel=modulepreload", "X-Early: yes"),
	page(tracked, "Link: <https://www.google-analytics.com>; rel=preconnect", "Link: </final.css>; rel=preload; as=style",
		"Set-Cookie: session=1", "Set-Cookie: _ga=1"),
}

func statuses(a answer) []int {
	var list []int
	for _, e := range a.early {
		list = append(list, e.status)
	}
	return list
}

// A4.
func rowInformational(e env) {
	path := e.w.site.says(append([]string{head("100 Continue")}, hinted...)...)
	got, without := e.get(path), e.ask(http.MethodGet, twin(e.s.name), path)
	if fmt.Sprint(statuses(got)) != fmt.Sprint(statuses(without)) || !slices.Equal(statuses(got)[max(0, len(got.early)-3):], []int{102, 103, 103}) {
		e.Errorf("got %v, without the gateway %v", statuses(got), statuses(without))
	}
	if got.StatusCode != http.StatusOK {
		e.Errorf("final answer %s", got.Status)
	}
	for _, early := range got.early {
		if early.header["Set-Cookie"] != nil {
			e.Errorf("%d sets cookies: %v", early.status, early.header)
		}
	}
	e.isRewritten(got)
}

// A5.
func rowAfterHints(e env) {
	got := e.get(e.w.site.says(hinted...))
	if len(got.early) != 3 {
		e.Errorf("early answers %v", statuses(got))
	}
	h := got.Header
	if !strings.Contains(strings.Join(h["Vary"], ","), "Cookie") || !strings.Contains(h.Get("Cache-Control"), "private") {
		e.Errorf("the gateway's headers are missing: %v", h)
	}
	if h.Get("X-Early") != "" {
		e.Errorf("a field of the 103 stands in the final answer: %v", h)
	}
	if strings.Contains(e.s.before, deferredLines) && h.Get("X-Late") != "yes" {
		e.Errorf("the field of an outer handler is missing: %v", h)
	}
	if !slices.Equal(h["Set-Cookie"], []string{"session=1"}) {
		e.Errorf("cookies %q", h["Set-Cookie"])
	}
	// The same for pages that cannot be read.
	broken := append(slices.Clone(hinted[:3]), page(tracked, "Content-Encoding: foo"))
	e.isUnreadable("after 103", e.get(e.w.site.says(broken...)))
}

// A6.
func rowLink(e env) {
	path := e.w.site.says(hinted...)
	links := func(a answer) string {
		var s strings.Builder
		for _, early := range a.early {
			fmt.Fprintf(&s, "%d %q ", early.status, early.header["Link"])
		}
		fmt.Fprintf(&s, "%d %q", a.StatusCode, a.Header["Link"])
		return s.String()
	}
	want := `102 [] 103 ["</own.css>; rel=preload; as=style"] 103 ["</own.js>; rel=preload; as=script"] 200 ["</final.css>; rel=preload; as=style"]`
	if got := links(e.get(path)); got != want {
		e.Errorf("got  %s\nwant %s", got, want)
	}
	granted := links(e.get(path, "Cookie", gate.Granted(e.p)))
	if without := links(e.ask(http.MethodGet, twin(e.s.name), path)); granted != without || !strings.Contains(granted, vendor) {
		e.Errorf("granted          %s\nwithout gateway  %s", granted, without)
	}
}

// A7.
func rowOld(e env) {
	path := e.w.site.says(hinted...)
	old := e.rawAsk("GET " + path + " HTTP/1.0\nHost: " + e.host() + "\nAccept: text/html\n\n")
	if !strings.HasPrefix(old, "HTTP/1.0 200") || strings.Contains(old, " 103 ") || strings.Contains(old, live) || !strings.Contains(old, "hello") {
		e.Errorf("got %q", old)
	}
}

// A11. The site hangs up instead of answering.
func rowErrorPage(e env) {
	path := e.w.site.on("", func(net.Conn, *http.Request) {})
	got := e.get(path, "Cookie", "_ga=1")
	if got.StatusCode != http.StatusBadGateway || !strings.Contains(strings.Join(got.Header["Vary"], ","), "Cookie") {
		e.Errorf("got %s %v", got.Status, got.Header)
	}
	e.isRewritten(got)
	if got := e.get(path, "Cookie", gate.Granted(e.p)); got.StatusCode != http.StatusBadGateway || got.page != tracked {
		e.Errorf("granted: %s %q", got.Status, got.page)
	}
}

// A12. Where the stack itself makes a difference between the two, so it may with
// the gateway: encode tells by the first bytes, or by a length, whether it will
// compress, and a page that is held has neither in the answer to HEAD.
func rowHead(e env) {
	endless := e.w.site.says(head("200 OK", "Content-Type: text/html", `ETag: "a"`, "Transfer-Encoding: chunked") + chunk(tracked) + "0\r\n\r\n")
	raw := e.w.site.says(page(tracked, `ETag: "a"`, "Link: <"+vendor+">; rel=preload; as=script"))
	coded := e.w.site.says(response("200 OK", zip(tracked), "Content-Type: text/html; charset=utf-8", "Content-Encoding: gzip"))
	for _, path := range []string{raw, coded, filesPath, filesPath + "a.css"} {
		for _, cookie := range []string{"", gate.Granted(e.p)} {
			ask := func(method, site string) http.Header {
				return e.ask(method, site, path, "Cookie", cookie).Header
			}
			got := unequal(ask(http.MethodGet, e.s.name), ask(http.MethodHead, e.s.name))
			yardstick := path
			if cookie == "" && path != filesPath+"a.css" {
				yardstick = endless
			}
			bare := func(method string) http.Header { return e.ask(method, twin(e.s.name), yardstick).Header }
			without := unequal(bare(http.MethodGet), bare(http.MethodHead))
			for _, name := range got {
				ofBody := name == "Content-Length" || name == "Content-Type" && path == raw && cookie == "" // no charset stated
				if !ofBody && !slices.Contains(without, name) {
					e.Errorf("%s %q: %s differs; without the gateway %v", path, cookie, name, without)
				}
			}
		}
	}
}

// unequal returns the names of the fields in which two headers differ.
func unequal(a, b http.Header) []string {
	var names []string
	all := maps.Clone(a)
	maps.Copy(all, b)
	for name := range all {
		if name != "Date" && !slices.Equal(a[name], b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A13.
func rowNoBody(e env) {
	for _, tc := range []struct {
		status string
		fields []string
	}{
		{"204 No Content", []string{"Content-Type: text/html"}},
		{"304 Not Modified", []string{`ETag: "a"`}},
		{"200 OK", []string{"Content-Type: text/html", "Content-Length: 0"}},
		{"302 Found", []string{"Location: /x", "Content-Length: 0"}},
	} {
		path := e.w.site.says(head(tc.status, append(tc.fields, "Set-Cookie: _ga=1", "Set-Cookie: session=1")...))
		got := e.get(path)
		if got.StatusCode != e.ask(http.MethodGet, twin(e.s.name), path).StatusCode || !strings.HasPrefix(tc.status, fmt.Sprint(got.StatusCode)) {
			e.Errorf("%s: got %s", tc.status, got.Status)
		}
		if got.page != "" || got.Err != nil || !slices.Equal(got.Header["Set-Cookie"], []string{"session=1"}) {
			e.Errorf("%s: %v, %q, cookies %q", tc.status, got.Err, got.Body, got.Header["Set-Cookie"])
		}
	}
	// The same connection still works.
	e.isRewritten(e.get(e.w.site.says(page(tracked))))
}

// A14.
func rowLength(e env) {
	path := e.w.site.says(page(tracked))
	got := e.get(path)
	if got.ContentLength == int64(len(tracked)) {
		e.Errorf("the site's length stands over other bytes")
	}
	e.isRewritten(got)
	granted, without := e.get(path, "Cookie", gate.Granted(e.p)), e.ask(http.MethodGet, twin(e.s.name), path)
	if granted.ContentLength != without.ContentLength || granted.page != tracked {
		e.Errorf("granted: length %d, without the gateway %d; %q", granted.ContentLength, without.ContentLength, granted.page)
	}
}

// A15.
func rowRange(e env) {
	got := e.get(filesPath, "Range", "bytes=0-99")
	if got.StatusCode != http.StatusOK || got.Header.Get("Accept-Ranges") != "" {
		e.Errorf("page: %s %v", got.Status, got.Header)
	}
	e.isRewritten(got)
	film := e.get(filesPath+"film.mp4", "Range", "bytes=0-99", "Sec-Fetch-Dest", "video")
	without := e.ask(http.MethodGet, twin(e.s.name), filesPath+"film.mp4", "Range", "bytes=0-99", "Sec-Fetch-Dest", "video")
	if film.StatusCode != http.StatusPartialContent || film.Body != without.Body || len(unequal(film.Header, without.Header)) != 0 {
		e.Errorf("film: %s, differs in %v", film.Status, unequal(film.Header, without.Header))
	}
	// A slice of a page that comes unasked cannot be read.
	slice := e.w.site.says(response("206 Partial Content", tracked, "Content-Type: text/html", "Content-Range: bytes 0-9/99"))
	if e.s.templates {
		return // makes it a whole
	}
	e.isUnreadable("206", e.get(slice))
}

// A16.
func rowTrailers(e env) {
	for name, announced := range map[string][]string{"announced": {"Trailer: X-T, Repr-Digest, Set-Cookie"}, "unannounced": {}} {
		path := e.w.site.says(head("200 OK", append(announced, "Content-Type: text/html", "Set-Cookie: session=1", "Transfer-Encoding: chunked")...) +
			chunk(tracked) + "0\r\nX-T: yes\r\nRepr-Digest: sha-256=:x:\r\nSet-Cookie: _ga=1\r\n\r\n")
		got, without := e.get(path, "TE", "trailers"), e.ask(http.MethodGet, twin(e.s.name), path, "TE", "trailers")
		if has := got.Trailer.Get("X-T") == "yes"; !has && (without.Trailer.Get("X-T") == "yes" || e.s.name == "bare") {
			e.Errorf("%s: trailers %v, without the gateway %v", name, got.Trailer, without.Trailer)
		}
		if got.Trailer.Get("Repr-Digest") != "" || got.Trailer.Get("Set-Cookie") != "" {
			e.Errorf("%s: trailers %v", name, got.Trailer)
		}
		// HTTP/3 sends no header of a name that is announced as a trailer.
		want := slices.DeleteFunc(without.Header["Set-Cookie"], func(line string) bool { return line == "_ga=1" })
		if cookies := got.Header["Set-Cookie"]; !slices.Equal(cookies, want) {
			e.Errorf("%s: cookies %q, want %q", name, cookies, want)
		}
		e.isRewritten(got)
	}
}

// A17.
func rowAcceptEncoding(e env) {
	seen := make(chan http.Header, 1)
	path := e.w.site.on("", func(c net.Conn, r *http.Request) {
		seen <- r.Header
		io.WriteString(c, page(tracked))
	})
	fields := []string{"Accept-Encoding", "gzip, deflate, br, zstd, dcb, dcz, foo", "Available-Dictionary", ":x:"}
	got := e.get(path, fields...)
	e.isRewritten(got)
	h := <-seen
	if ours := h.Get("Accept-Encoding"); ours != "gzip, deflate, br, zstd" || h.Get("Available-Dictionary") != "" {
		e.Errorf("the site was asked for %q with dictionary %q", ours, h.Get("Available-Dictionary"))
	}
	e.get(path, append(fields, "Cookie", gate.Granted(e.p))...)
	if h := <-seen; h.Get("Accept-Encoding") != fields[1] || h.Get("Available-Dictionary") != ":x:" || h.Get("Cookie") != "" {
		e.Errorf("granted: the site was asked with %v", h)
	}
}

// A23. The answer over this protocol against that over HTTP/1.1 without TLS.
func rowSame(e env) {
	seen := make(chan string, 1)
	path := e.w.site.on("", func(c net.Conn, r *http.Request) {
		seen <- strings.Join(r.Header["Cookie"], " | ")
		io.WriteString(c, page(tracked, "Set-Cookie: _ga=1", "Set-Cookie: session=1", `ETag: "a"`, "Cache-Control: max-age=60", "Vary: Accept"))
	})
	plain := env{e.T, e.w, e.s, gate.Plain, e.w.Client(e, gate.Plain)}
	for _, granted := range []bool{false, true} {
		var answers []answer
		for _, x := range []env{plain, e} {
			fields := []string{"Cookie", "session=1; _ga=2", "Cookie", "other=3"}
			want := "session=1; other=3"
			if granted {
				fields, want = append(fields, "Cookie", gate.Granted(x.p)), "session=1; _ga=2; other=3"
			}
			answers = append(answers, x.get(path, fields...))
			if cookie := <-seen; cookie != want {
				e.Errorf("%s: the site saw %q, want %q", x.p, cookie, want)
			}
		}
		got := unequal(answers[0].Header, answers[1].Header)
		got = slices.DeleteFunc(got, func(name string) bool {
			// Small bodies get a length from some servers and chunks from others.
			return name == "Alt-Svc" || name == "Content-Length"
		})
		if len(got) > 0 || answers[0].page != answers[1].page || answers[1].Err != nil {
			e.Errorf("differs in %v: %v %v", got, answers[0].Header, answers[1].Header)
		}
	}
}

// A24.
func rowNoTransform(e env) {
	series := `caddy_consent_no_transform_total{honored="false"}`
	before := e.w.Metric(e, series)
	got := e.get(e.w.site.says(page(tracked, "Cache-Control: no-transform")))
	e.isRewritten(got)
	if !strings.Contains(got.Header.Get("Cache-Control"), "no-transform") {
		e.Errorf("Cache-Control %q", got.Header["Cache-Control"])
	}
	if n := e.w.Metric(e, series) - before; n != 1 {
		e.Errorf("counted %v times", n)
	}
}
