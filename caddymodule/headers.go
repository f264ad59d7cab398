package caddymodule

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

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
	// With "cache shared" the final answer may be for everybody; what an
	// informational one says, no cache keeps.
	w.filterHints(h, w.v.bound)
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
		w.empty = true
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
	h := w.Header()
	page := w.v.revalidation.NotModified(h, w.h.variant(&w.v))
	if page && !w.v.open || w.v.destination == "image" && !w.v.free {
		// What is stored may stand under a policy line of our own, whose place the
		// site's line would take (RFC 9111, section 3.2). The lines it came with stay.
		delete(h, "Content-Security-Policy")
	}
	if !page {
		w.pass(outcomePassed)
		return
	}
	if !w.v.open {
		// These speak of the site's bytes, and the stored ones are others.
		delete(h, "Content-Type")
		delete(h, "Content-Encoding")
		w.changeBody(h)
		if w.v.revalidation.Recoded(h) {
			rewriter.AddVary(h, "Accept-Encoding")
		}
	}
	w.filterPage()
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
		codings := rewriter.Codings(h)
		if _, err := rewriter.NewDecoder(codings, io.Discard, rewriter.Limits{}); err != nil {
			w.unreadable(reasonCoding)
			return
		}
		w.filterPage()
		w.markVariant(len(codings) > 0)
		w.recode(h)
		w.changeBody(h)
		w.send(stagePass, outcomeRewritten)
	default:
		w.hold(h)
	}
}

// beginXML starts an XML document. It may run scripts, but its grammar is not
// HTML's, so the browser has to hold back what it refers to. A picture cannot
// run or load anything; but a cache may give it to somebody who opens it as a
// document, so it stands under the same policy for everybody.
func (w *responseWriter) beginXML(h http.Header) {
	picture := w.v.destination == "image" && isType(firstValue(h, "Content-Type"), "image/svg+xml")
	switch {
	case picture && w.v.free:
		w.pass(outcomePassed)
	case picture:
		w.addShield()
		w.pass(outcomePassed)
	case w.v.open:
		w.sendPage(outcomeGranted)
	case w.h.FailurePolicy == policyStrict && !w.v.mayBePage:
		w.shield(reasonXML) // data for a script, which cannot run
	default:
		w.unreadable(reasonXML)
	}
}

// beginSniff starts a body that browsers take for a page if it begins like one.
func (w *responseWriter) beginSniff(h http.Header) {
	switch {
	case w.v.method == http.MethodHead:
		if w.v.mayBePage && !w.v.free {
			w.keepPrivate() // as GET has it, page or not
		}
		w.pass(outcomePassed)
	case w.status == http.StatusPartialContent && w.v.open:
		w.pass(outcomePassed)
	case w.status == http.StatusPartialContent:
		w.unreadable(reasonPartial)
	case w.v.open && len(rewriter.Codings(h)) > 0:
		w.sendPage(outcomeGranted) // may be one
	default:
		w.sniff = true
		w.hold(h)
	}
}

// hold keeps the headers until the first bytes of the body are there.
func (w *responseWriter) hold(h http.Header) {
	switch {
	case w.reserve(pageMemory):
	case w.v.open:
		w.sendPage(outcomeGranted) // may be a page; nothing is held from this visitor
		return
	default:
		w.unreadable(reasonMemory)
		return
	}
	if codings := rewriter.Codings(h); len(codings) > 0 {
		dec, err := rewriter.NewDecoder(codings, sink{w}, rewriter.Limits{
			MaxRatio: w.h.MaxRatio, MaxOutput: w.h.MaxDecoded, MaxWindow: w.h.MaxWindow,
		})
		if err != nil {
			w.unreadable(reasonCoding)
			return
		}
		w.dec = dec
	}
	w.announced = contentLength(h)
	w.stage, w.enough = stageHold, headSize
}

// contentLength returns the length of the body as announced, or -1.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(firstValue(h, "Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// pass sends the headers, filtered, and lets the body pass.
func (w *responseWriter) pass(o outcome) {
	w.filter()
	w.send(stagePass, o)
}

// sendPage sends the headers of a page whose body passes from here on or never
// comes.
func (w *responseWriter) sendPage(o outcome) {
	w.filterPage()
	w.markVariant(false)
	w.send(stagePass, o)
}

// filterPage removes from the headers of a page what is not granted.
func (w *responseWriter) filterPage() {
	if rewriter.Filtered(w.Header()) {
		w.filterBy(w.v.page)
	}
}

// filter removes from the headers of anything else what this visitor has not
// granted. If another visitor would get other headers, the response is nobody
// else's.
func (w *responseWriter) filter() {
	h := w.Header()
	if !rewriter.Filtered(h) {
		return
	}
	differs := rewriter.HintsDepend(h, w.v.bound.At(hostname(w.v.asked)), rewriter.Base{Scheme: w.v.scheme, Host: w.v.asked, Path: w.v.path})
	if w.filterBy(w.v.bound) || differs {
		if w.status != http.StatusSwitchingProtocols { // which nobody stores
			w.keepPrivate()
		}
	}
}

// filterBy filters for visitors of b, and reports whether others would get other
// cookies.
func (w *responseWriter) filterBy(b policy.Bound) (differs bool) {
	h := w.Header()
	differs = rewriter.FilterSetCookie(h, b, w.h.own, func(category string, a policy.Action) {
		w.h.metrics.cookie(towardsTheVisitor, category, a).Inc()
	})
	w.filterHints(h, b)
	return differs
}

// filterHints removes the fields that make browsers load something.
func (w *responseWriter) filterHints(h http.Header, b policy.Bound) {
	if !b.Unrestricted() {
		rewriter.FilterHints(h, w.v.at(b), w.base(), w.h.metrics.countHeader)
	}
}

func (w *responseWriter) base() rewriter.Base {
	return rewriter.Base{Scheme: w.v.scheme, Host: w.v.host, Path: w.v.path}
}

// markVariant makes the validators those of one variant of a page, and keeps it
// from visitors who would get another. recoded says that the site's content
// coding was undone.
func (w *responseWriter) markVariant(recoded bool) {
	rewriter.VariantETag(w.Header(), w.h.variant(&w.v), recoded)
	w.mark()
}

// mark keeps a page from visitors who would get another.
func (w *responseWriter) mark() {
	if w.h.Cache != cacheShared {
		w.keepPrivate()
	}
}

// keepPrivate keeps a response from all other visitors.
func (w *responseWriter) keepPrivate() {
	h := w.Header()
	rewriter.PrivateCache(h)
	rewriter.AddVary(h, w.h.vary...)
}

// changeBody removes what the headers say about the bytes of a body that will
// change.
func (w *responseWriter) changeBody(h http.Header) {
	delete(h, "Content-Length")
	rewriter.DropDigests(h)
}

// send sends the headers as they are now.
func (w *responseWriter) send(next stage, o outcome) {
	w.stage, w.did = next, o
	if next == stagePass || next == stageDrop {
		w.unreserve()
	}
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
