package caddymodule

import (
	"net/http"

	"github.com/consentgate/consentgate/rewriter"
)

// recode sets the headers of a body whose content coding is undone, and returns
// the coding it is sent in instead, "" for none: a site that compresses its pages
// stays one that does. Caddy's encode, outside us, leaves such a page alone, as it
// would leave the site's own.
func (w *responseWriter) recode(h http.Header) string {
	site := rewriter.Codings(h)
	if len(site) == 0 {
		return ""
	}
	delete(h, "Content-Encoding")
	// Whatever the site did, the answer depends on the request from here on.
	rewriter.AddVary(h, "Accept-Encoding")
	coding := rewriter.AcceptedCoding(w.v.acceptEncoding, site)
	if coding != "" {
		h["Content-Encoding"] = []string{coding}
	}
	return coding
}
