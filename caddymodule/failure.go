package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/consentgate/consentgate/rewriter"
)

// A reason says why a page was not rewritten though something is held back from
// its visitor. Its values form a closed set.
type reason string

const (
	reasonCoding      reason = "content_encoding" // a coding we do not know
	reasonCorrupt     reason = "corrupt"          // the body is not what Content-Encoding says
	reasonTooLarge    reason = "too_large"        // decodes to more than max_decoded, max_ratio or max_window allow
	reasonPartial     reason = "partial"          // status 206: a slice of a page
	reasonXML         reason = "xml"              // an XML document, which is no HTML
	reasonNoTransform reason = "no_transform"     // honor_no_transform
	reasonMemory      reason = "memory"           // max_memory is in use by other pages
	reasonTangled     reason = "tangled"          // parsers would read the page in too many ways
	reasonPanic       reason = "panic"            // a fault of our own
)

var reasons = [...]reason{
	reasonCoding, reasonCorrupt, reasonTooLarge, reasonPartial, reasonXML,
	reasonNoTransform, reasonMemory, reasonTangled, reasonPanic,
}

// A remedy says what was done with such a page. Its values form a closed set.
type remedy string

const (
	remedyRefused   remedy = "refused"    // the visitor got an error page in its place
	remedyBrokenOff remedy = "broken_off" // it had begun, and was cut off visibly
	remedyGuarded   remedy = "guarded"    // sent unread, under an enforcing Content-Security-Policy
	remedyUnguarded remedy = "unguarded"  // sent unread, with nothing enforced: failure_policy observe
)

var remedies = [...]remedy{remedyRefused, remedyBrokenOff, remedyGuarded, remedyUnguarded}

// shieldCSP stands over pages that are sent unread: the browser loads from the
// site's own origin only. Inline code stays, since the site's own would break
// otherwise; what it tries to load from elsewhere is refused.
const shieldCSP = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

// unreadable deals with a page that cannot be rewritten, while its headers are
// still held.
func (w *responseWriter) unreadable(why reason) {
	switch w.h.FailurePolicy {
	case policyObserve:
		w.sendUnguarded(why)
	case policyGuarded:
		w.shield(why)
	default:
		w.refuse(why)
	}
}

// shield sends the headers of a page that is not rewritten though something is
// held back.
func (w *responseWriter) shield(why reason) {
	w.failed(why, remedyGuarded)
	w.addShield()
	w.sendUnreadPage(why, outcomeBypassed)
}

// addShield adds a policy line of our own. Browsers enforce every line, so the
// site's lines stay in force beside it.
func (w *responseWriter) addShield() {
	addLine(w.Header(), "Content-Security-Policy", shieldCSP)
}

// sendUnguarded sends the headers of a page that is not rewritten and may load
// everything: that is what the operator said. The browser's console tells what
// would have been refused.
func (w *responseWriter) sendUnguarded(why reason) {
	w.failed(why, remedyUnguarded)
	addLine(w.Header(), "Content-Security-Policy-Report-Only", shieldCSP)
	w.sendUnreadPage(why, outcomeUnguarded)
}

func (w *responseWriter) sendUnreadPage(why reason, o outcome) {
	w.filterPage()
	w.markVariant(false)
	h := w.Header()
	if why == reasonMemory {
		// A matter of this moment, not of the page.
		rewriter.PrivateCache(h)
		h["Cache-Control"] = []string{"no-store"}
	}
	if o == outcomeUnguarded {
		delete(h, "Etag") // not to be revalidated once more is enforced
	}
	w.send(stagePass, o)
}

// addLine adds a line to a field. The map's slice may be shared.
func addLine(h http.Header, canonicalKey, line string) {
	h[canonicalKey] = append(slices.Clip(h[canonicalKey]), line)
}

// fail deals with an error of the decoder, the rewriter or the client.
func (w *responseWriter) fail(err error) {
	switch {
	case w.gone:
		w.err = err
	case errors.Is(err, rewriter.ErrTooLarge):
		w.giveUp(reasonTooLarge)
	case errors.Is(err, rewriter.ErrTangled):
		w.giveUp(reasonTangled)
	default:
		w.giveUp(reasonCorrupt)
	}
}

// giveUp ends a page that cannot be read to its end. Before the headers have
// left we can still answer in its place; afterwards it has to break off visibly:
// no Content-Security-Policy stands over it, and it is no longer what the site
// sent.
func (w *responseWriter) giveUp(why reason) {
	switch {
	case w.stage.sent():
		w.failed(why, remedyBrokenOff)
		w.did, w.err = outcomeAborted, errBroken
	case why == reasonCorrupt && w.h.FailurePolicy != policyStrict && len(w.raw) <= maxRaw:
		raw := w.raw
		w.release()
		w.unreadable(why)
		if _, err := (client{w}).Write(raw); err != nil {
			w.err = err
		}
	default:
		w.refuse(why)
	}
}

// failed counts a page that was not rewritten.
func (w *responseWriter) failed(why reason, what remedy) {
	w.h.metrics.bypasses.WithLabelValues(string(why), string(what)).Inc()
}

// The pages a visitor gets in place of one that cannot be rewritten.
const (
	refusal = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>502 Bad Gateway</title></head>
<body><h1>This page cannot be shown</h1>
<p>The consent gateway in front of this site could not read the page, and does not pass on pages it cannot read.</p></body></html>
`
	overload = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>503 Service Unavailable</title></head>
<body><h1>This page cannot be shown right now</h1>
<p>The consent gateway in front of this site has too many pages in hand. Please try again in a moment.</p></body></html>
`
	retryAfter = "5" // seconds
)

// refuse answers in place of the site.
func (w *responseWriter) refuse(why reason) {
	w.failed(why, remedyRefused)
	w.release()
	h := w.Header()
	for key := range h {
		switch key {
		case "Server", "Alt-Svc", "Via", "Date", "Strict-Transport-Security":
			// About the connection, not about the page.
		default:
			delete(h, key)
		}
	}
	body := refusal
	w.status = http.StatusBadGateway
	if why == reasonMemory {
		body = overload
		w.status = http.StatusServiceUnavailable
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.send(stageDrop, outcomeBlocked)
	if w.v.method != http.MethodHead {
		if _, err := (client{w}).Write([]byte(body)); err != nil {
			w.err = err
			return
		}
	}
	// The site may go on for long before its handler returns.
	if err := w.flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		w.err, w.gone = err, true
	}
}

// drop takes bytes of the site after we answered in its place.
func (w *responseWriter) drop(p []byte) (int, error) {
	if w.dropped += len(p); w.dropped > maxDropped {
		return 0, errBroken
	}
	return len(p), nil
}
