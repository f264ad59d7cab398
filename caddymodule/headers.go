package caddymodule

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// shieldCSP stands over pages that are sent unread: the browser loads from the
// site's own origin only. Inline code stays, since the site's own would break
// otherwise; what it tries to load from elsewhere is refused.
const shieldCSP = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

// inform passes an informational answer on (RFC 9110, section 15.2), without
// cookies and without hints at resources that are held back. The header map is
// left as it was: most of its fields belong to the final answer.
func (w *responseWriter) inform(status int) {
	if w.v.http10 {
		return // not allowed towards HTTP/1.0
	}
	h := w.Header()
	saved := h.Clone()
	dropCookies(h, true)
	w.filterHints(h)
	w.ResponseWriterWrapper.WriteHeader(status)
	clear(h)
	for k, lines := range saved {
		h[k] = lines
	}
}

// begin acts on the final status.
func (w *responseWriter) begin() {
	h := w.Header()
	if w.v.connect {
		w.pass(outcomePassed)
		return
	}
	if w.status == http.StatusNotModified {
		w.beginNotModified()
		return
	}
	if w.status == http.StatusNoContent || firstValue(h, "Content-Length") == "0" && w.v.method != http.MethodHead {
		w.pass(outcomePassed)
		return
	}
	switch rewriter.Classify(h) {
	case rewriter.HTML:
		w.beginPage(h)
	case rewriter.XML:
		w.beginXML(h)
	case rewriter.Unlabelled:
		w.beginSniff(h)
	default:
		w.pass(outcomePassed)
	}
}

// beginNotModified starts a 304, which says nothing of its type: it is about a
// page of ours if the browser asked with our validator.
func (w *responseWriter) beginNotModified() {
	w.filter()
	if !w.v.revalidation.NotModified(w.Header(), w.v.variant) {
		w.send(stagePass, outcomePassed)
		return
	}
	w.mark()
	w.send(stagePass, outcomeGranted)
}

// beginPage starts an HTML page.
func (w *responseWriter) beginPage(h http.Header) {
	if w.v.open {
		w.sendPage(outcomeGranted)
		return
	}
	if hasToken(h["Cache-Control"], "no-transform") {
		w.h.metrics.noTransform.WithLabelValues(strconv.FormatBool(w.h.HonorNoTransform)).Inc()
		if w.h.HonorNoTransform {
			w.shield(reasonNoTransform)
			return
		}
	}
	switch {
	case w.status == http.StatusPartialContent:
		w.unreadable(reasonPartial)
	case w.v.method == http.MethodHead:
		w.changeBody(h)
		w.sendPage(outcomeRewritten)
	default:
		w.hold(h)
	}
}

// beginXML starts an XML document. It may run scripts, but its grammar is not
// HTML's, so the browser has to hold back what it refers to. A picture cannot
// run or load anything.
func (w *responseWriter) beginXML(h http.Header) {
	picture := w.v.destination == "image" && isType(firstValue(h, "Content-Type"), "image/svg+xml")
	switch {
	case w.v.open && picture:
		w.pass(outcomePassed)
	case w.v.open:
		w.sendPage(outcomeGranted)
	case picture:
		w.addShield()
		w.pass(outcomePassed)
	default:
		w.shield(reasonXML)
	}
}

// beginSniff starts a body that browsers take for a page if it begins like one.
func (w *responseWriter) beginSniff(h http.Header) {
	switch {
	case w.v.method == http.MethodHead:
		w.pass(outcomePassed)
	case w.status == http.StatusPartialContent && w.v.open:
		w.pass(outcomePassed)
	case w.status == http.StatusPartialContent:
		w.shield(reasonPartial)
	case w.v.open && len(rewriter.Codings(h)) > 0:
		w.sendPage(outcomeGranted) // may be one
	default:
		w.sniff = true
		w.hold(h)
	}
}

// hold keeps the headers until the first bytes of the body are there.
func (w *responseWriter) hold(h http.Header) {
	if codings := rewriter.Codings(h); len(codings) > 0 {
		dec, err := rewriter.NewDecoder(codings, sink{w}, rewriter.Limits{MaxOutput: w.h.MaxDecoded})
		if err != nil {
			w.unreadable(reasonCoding)
			return
		}
		w.dec = dec
	}
	w.stage, w.enough = stageHold, headSize
}

// pass sends the headers, filtered, and lets the body pass.
func (w *responseWriter) pass(o outcome) {
	w.filter()
	w.send(stagePass, o)
}

// sendPage sends the headers of a page whose body passes from here on or never
// comes. There is one page of this URL for each state, and it is the visitor's
// alone.
func (w *responseWriter) sendPage(o outcome) {
	w.filter()
	w.markVariant()
	w.send(stagePass, o)
}

// shield sends the headers of a page that is not rewritten though something is
// held back.
func (w *responseWriter) shield(why reason) {
	w.h.metrics.bypasses.WithLabelValues(string(why)).Inc()
	w.addShield()
	w.sendPage(outcomeBypassed)
}

// addShield adds a policy line of our own. Browsers enforce every line, so the
// site's lines stay in force beside it.
func (w *responseWriter) addShield() {
	h := w.Header()
	h["Content-Security-Policy"] = append(slices.Clip(h["Content-Security-Policy"]), shieldCSP)
}

// unreadable deals with a page that cannot be rewritten, while its headers are
// still held.
func (w *responseWriter) unreadable(why reason) {
	if w.h.OnUnreadable == onUnreadablePass {
		w.shield(why)
		return
	}
	w.refuse(why)
}

// filter removes from the headers what this visitor has not granted.
func (w *responseWriter) filter() {
	h := w.Header()
	rewriter.FilterSetCookie(h, w.v.bound, w.h.own, func(category string, a policy.Action) {
		w.h.metrics.cookies.WithLabelValues("response", category, a.String()).Inc()
	})
	w.filterHints(h)
}

// filterHints removes the fields that make browsers load something.
func (w *responseWriter) filterHints(h http.Header) {
	if w.v.open {
		return
	}
	base := rewriter.Base{Scheme: w.v.scheme, Host: w.v.host, Path: w.v.path}
	rewriter.FilterLink(h, w.v.bound, base, w.h.metrics.countHeader)
	rewriter.FilterRefresh(h, w.v.bound, base, w.h.metrics.countHeader)
	rewriter.FilterReporting(h, w.v.bound, base, w.h.metrics.countHeader)
}

// markVariant makes the validators those of one variant of a page.
func (w *responseWriter) markVariant() {
	rewriter.VariantETag(w.Header(), w.v.variant, false)
	w.mark()
}

// mark keeps a page from visitors of another state.
func (w *responseWriter) mark() {
	h := w.Header()
	rewriter.PrivateCache(h)
	rewriter.AddVary(h, w.h.vary...)
}

// changeBody removes what the headers say about the bytes of a body that will
// change.
func (w *responseWriter) changeBody(h http.Header) {
	delete(h, "Content-Length")
	delete(h, "Content-Encoding")
	rewriter.DropDigests(h)
}

// send sends the headers as they are now.
func (w *responseWriter) send(next stage, o outcome) {
	w.stage, w.did = next, o
	if w.v.navigation && o != outcomePassed && w.status >= 200 && w.status <= 299 {
		w.h.metrics.pageViews.WithLabelValues(w.v.state.Level(w.h.policy.Scheme()), regime).Inc()
	}
	w.ResponseWriterWrapper.WriteHeader(w.status)
}

// trailers removes what must not follow the body. Trailers stand in the header
// map after the headers have left, under their own names if they were announced.
func (w *responseWriter) trailers() {
	h := w.Header()
	if w.stage == stageCopy || w.stage == stageRewrite {
		rewriter.DropDigests(h)
	}
	// If trailers were announced, the header of that name has left.
	dropCookies(h, len(h["Trailer"]) > 0)
}

// dropCookies removes Set-Cookie in every spelling, as a trailer and, if asked
// to, as a header. HTTP does not care how a field is spelled, the map does.
func dropCookies(h http.Header, header bool) {
	for key := range h {
		name, trailer := strings.CutPrefix(key, http.TrailerPrefix)
		if (trailer || header) && strings.EqualFold(name, "Set-Cookie") {
			delete(h, key)
		}
	}
}

func firstValue(h http.Header, canonicalKey string) string {
	if lines := h[canonicalKey]; len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// hasToken reports whether token is a member of the comma-separated lines.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(member, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// isType reports whether a Content-Type line names the media type.
func isType(line, mediaType string) bool {
	name, _, _ := strings.Cut(line, ";")
	return strings.EqualFold(strings.Trim(name, " \t"), mediaType)
}
