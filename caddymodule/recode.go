package caddymodule

import (
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"

	"github.com/consentgate/consentgate/rewriter"
)

// recode sets the headers of a body whose content coding is undone, and returns
// the coding it is sent in instead, "" for none. A site that compresses its pages
// stays one that does; if Caddy's encode stands outside us, that is its work.
func (w *responseWriter) recode(h http.Header) string {
	site := rewriter.Codings(h)
	if len(site) == 0 {
		return ""
	}
	delete(h, "Content-Encoding")
	// Whatever the site did, the answer depends on the request from here on.
	rewriter.AddVary(h, "Accept-Encoding")
	if encodesOutside(w.ResponseWriter) {
		return ""
	}
	coding := rewriter.AcceptedCoding(w.v.acceptEncoding, site)
	if w.h.Cache == cacheShared {
		coding = rewriter.KeptCoding(w.v.acceptEncoding, site)
	}
	if coding != "" {
		h["Content-Encoding"] = []string{coding}
	}
	return coding
}

// encodePackage is where the writer lives by which Caddy's encode compresses.
var encodePackage = reflect.TypeFor[encode.Encode]().PkgPath()

// encodesOutside reports whether Caddy's encode handler compresses what is
// written to w. It puts its writer in place for the requests of clients that
// accept one of its codings; that writer's type has no other mark than where it
// was declared.
func encodesOutside(w http.ResponseWriter) bool {
	for w != nil {
		t := reflect.TypeOf(w)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.PkgPath() == encodePackage {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
	return false
}
