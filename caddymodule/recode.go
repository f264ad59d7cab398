package caddymodule

import (
	"errors"
	"net/http"
	"time"

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
	if w.h.Cache == cacheShared {
		coding = rewriter.KeptCoding(w.v.acceptEncoding, site)
	}
	if coding == "" || w.scarce(coding) {
		return ""
	}
	h["Content-Encoding"] = []string{coding}
	return coding
}

// scarce reports whether the memory of a compressor is better kept for pages: once
// half of max_memory is in use they leave as they are, before any is left unread.
func (w *responseWriter) scarce(coding string) bool {
	need := int64(rewriter.NewEncoder(coding, nil).Capacity())
	return w.v.method != http.MethodHead && inHand.Load()+need > w.h.MaxMemory/2
}

// How long, and how much of the page, a compressor may keep for the sake of a
// better ratio.
const (
	codingDelay = 20 * time.Millisecond
	codingBytes = 32 << 10
)

// codeOn is called for each piece the site sent. It lets out what the compressor
// has kept, so that a visitor sees what has come of a page while the site is slow.
func (w *responseWriter) codeOn() error {
	if w.enc == nil {
		return nil
	}
	now := time.Now()
	if w.uncoded < codingBytes && now.Sub(w.coded) < codingDelay {
		return nil
	}
	w.coded, w.uncoded = now, 0
	if err := w.enc.Flush(); err != nil {
		return err
	}
	// What was coded in one piece is of no use in part.
	if err := w.flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		w.gone = true
		return err
	}
	return nil
}
