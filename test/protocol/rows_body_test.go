package protocol

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/consentgate/consentgate/test/gate"
)

// codings are those a site may use, by a name of this test.
var codings = map[string]func(w io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"raw deflate": func(w io.Writer) io.WriteCloser {
		fw, _ := flate.NewWriter(w, 6)
		return fw
	},
	"br": func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		zw, _ := zstd.NewWriter(w)
		return zw
	},
}

func code(coding, s string) string {
	var buf bytes.Buffer
	w := codings[coding](&buf)
	io.WriteString(w, s)
	w.Close()
	return buf.String()
}

func zip(s string) string { return code("gzip", s) }

func undo(coding string, r io.Reader) (string, error) {
	switch coding {
	case "gzip":
		zr, err := gzip.NewReader(r)
		if err != nil {
			return "", err
		}
		r = zr
	case "deflate":
		zr, err := zlib.NewReader(r)
		if err != nil {
			return "", err
		}
		r = zr
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		zr, err := zstd.NewReader(r)
		if err != nil {
			return "", err
		}
		defer zr.Close()
		r = zr
	default:
		return "", fmt.Errorf("coding %q", coding)
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// coded are the bodies of A18, made once.
var coded = sync.OnceValue(func() []codedBody {
	long := strings.Repeat("<p>some text of a page</p>\n", 400) + tracked
	var list []codedBody
	for coding := range codings {
		label := strings.TrimPrefix(coding, "raw ")
		whole := code(coding, long)
		list = append(list,
			codedBody{coding, label, whole, "whole"},
			codedBody{coding + " cut", label, whole[:len(whole)*2/3], "cut"},
			codedBody{coding + " with garbage behind", label, whole + "garbage", "garbage"},
			codedBody{coding + " mislabelled", label, tracked, "unreadable"},
		)
	}
	return append(list,
		codedBody{"stacked", "gzip, br", code("br", zip(long)), "whole"},
		codedBody{"members", "gzip", zip(long[:500]) + zip(long[500:]), "whole"},
		codedBody{"three", "gzip, gzip, gzip", zip(zip(zip(long))), "unreadable"},
		codedBody{"unknown", "foo", tracked, "unreadable"},
	)
})

type codedBody struct{ name, label, body, want string }

// A18.
func rowCodings(e env) {
	for _, c := range coded() {
		path := e.w.site.says(page(c.body, "Content-Encoding: "+c.label))
		got, err := e.tryAsk(http.MethodGet, e.s.name, path)
		if e.s.templates {
			// It reads compressed bytes as a template and passes on what comes out.
			if err == nil && strings.Contains(got.page, live) && !shielded(got) {
				e.Errorf("%s: live", c.name)
			}
			continue
		}
		switch c.want {
		case "whole":
			if err != nil {
				e.Errorf("%s: %v", c.name, err)
				continue
			}
			e.isRewritten(got)
		case "cut":
			if err == nil && got.Err == nil && got.StatusCode == http.StatusOK && !shielded(got) {
				e.Errorf("%s: looks complete, …%q", c.name, tail(got.page))
			}
		case "garbage": // rewritten to the end of the coding, or broken off
			if err == nil && got.Err == nil && got.StatusCode == http.StatusOK {
				e.isRewritten(got)
			}
		case "unreadable":
			if err != nil {
				e.Errorf("%s: %v", c.name, err)
				continue
			}
			e.isUnreadable(c.name, got)
		}
		if err == nil && strings.Contains(got.page, live) && !shielded(got) {
			e.Errorf("%s: live", c.name)
		}
	}
}

// A19.
func rowOrder(e env) {
	if e.s.encode {
		got := e.get(e.w.site.says(page(tracked, `ETag: "a"`)))
		if got.Header.Get("Content-Encoding") != "gzip" || !strings.HasSuffix(got.Header.Get("ETag"), `-gzip"`) {
			e.Errorf("not compressed outside: %v", got.Header)
		}
		e.isRewritten(got)
	}
	if e.s.templates {
		e.isRewritten(e.get(filesPath + "tpl.html"))
	}
	if strings.Contains(e.s.after, interceptLines) {
		got := e.get(e.w.site.says(response("410 Gone", "gone", "Content-Type: text/plain")))
		if got.StatusCode != http.StatusGone {
			e.Errorf("intercepted: %s", got.Status)
		}
		e.isRewritten(got)
	}
}

// A25. What becomes of a body that would be a page, by its type.
var types = map[string]string{
	"text/html":                     "rewritten",
	"text/html; charset=utf-8":      "rewritten",
	"TEXT/HTML;x":                   "rewritten",
	"text/plain,text/html":          "rewritten",
	"text/html; foo; charset=utf-8": "rewritten",
	"*/*":                           "rewritten", // sniffed
	"unknown/unknown":               "rewritten",
	"":                              "rewritten",
	"application/xhtml+xml":         "shielded",
	"text/xml":                      "shielded",
	"image/svg+xml":                 "shielded",
	"text/event-streamfoo":          "passed",
	"text/event-stream":             "passed",
	"text/plain":                    "passed",
	"text/css":                      "passed",
	"application/json":              "passed",
	"application/javascript":        "passed",
	"image/png":                     "passed",
	"application/octet-stream":      "passed",
	"text/htmlx":                    "passed",
	"application/pdf\r\nContent-Disposition: attachment":     "passed",
	"application/unknown\r\nX-Content-Type-Options: nosniff": "passed",
}

func rowTypes(e env) {
	for contentType, want := range types {
		field := "Content-Type: " + contentType
		if contentType == "" {
			field = "X-Nothing: here"
		}
		path := e.w.site.says(response("200 OK", tracked, field))
		got := e.get(path)
		switch want {
		case "rewritten":
			e.isRewritten(got)
		case "shielded":
			if !shielded(got) || got.page != tracked {
				e.Errorf("%q: %v %q", contentType, got.Header, got.page)
			}
		case "passed":
			without := e.ask(http.MethodGet, twin(e.s.name), path)
			if got.page != without.page || len(unequal(got.Header, without.Header)) > 0 {
				e.Errorf("%q: differs in %v", contentType, unequal(got.Header, without.Header))
			}
		}
		if all := e.get(path, "Cookie", gate.Granted(e.p)); all.page != tracked || shielded(all) {
			e.Errorf("%q: granted, and %v %q", contentType, all.Header, all.page)
		}
	}
}
