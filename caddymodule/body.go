package caddymodule

import (
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/consentgate/consentgate/rewriter"
)

const (
	// headSize is how many bytes of a page are looked at before its headers
	// leave: what browsers read to find a declared character set (HTML Standard,
	// "prescan a byte stream"). Sniffing the type needs less.
	headSize = rewriter.PrescanBytes

	// maxHead bounds the bytes looked at if the first ones leave the character set
	// open.
	maxHead = 8 << 10

	// maxRaw bounds the compressed bytes kept while the first bytes they decode
	// to are awaited. Codings yield something long before.
	maxRaw = 64 << 10

	// maxDropped is how much of the site's body is taken and dropped after we
	// answered in its place. Beyond it the site is told to stop.
	maxDropped = 1 << 20
)

// errBroken ends a response that must not go on.
var errBroken = errors.New("consent: response broken off")

// sink is where the decoder writes to.
type sink struct{ w *responseWriter }

func (s sink) Write(p []byte) (int, error) {
	if err := s.w.decoded(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// client is where the rewriter writes to. It keeps the time spent waiting for
// the visitor apart from our own, and remembers that an error came from there.
type client struct{ w *responseWriter }

func (c client) Write(p []byte) (int, error) {
	w := c.w
	start := time.Now()
	n, err := w.ResponseWriterWrapper.Write(p)
	w.waited += time.Since(start)
	if err != nil {
		w.gone = true
	}
	return n, err
}

// feed takes bytes of a body that is looked at.
func (w *responseWriter) feed(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.taken += int64(len(p))
	w.guard(func() error {
		defer w.remeasure()
		if w.dec == nil {
			return w.decoded(p)
		}
		w.keepRaw(p)
		if _, err := w.dec.Write(p); err != nil {
			return err
		}
		return w.codeOn()
	})
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// guard runs f, which is our own code, takes its time and deals with its error
// or panic: after a fault of ours nothing of the page may leave any more.
func (w *responseWriter) guard(f func() error) {
	start, waited := time.Now(), w.waited
	defer func() {
		w.spent += time.Since(start) - (w.waited - waited)
		if fault := recover(); fault != nil {
			if fault == http.ErrAbortHandler { //nolint:errorlint // panic value, never wrapped
				panic(fault)
			}
			w.h.logger.Error("panic while rewriting a page; the response is broken off",
				zap.Any("panic", fault), zap.ByteString("stack", debug.Stack()))
			if w.dec != nil {
				w.dec.Abort() // waits for more if the fault did not come through it
			}
			w.dec, w.rw, w.enc, w.text = nil, nil, nil, nil // whatever state they are in
			w.giveUp(reasonPanic)
		}
	}()
	if err := f(); err != nil && w.err == nil {
		w.fail(err)
	}
}

// keepRaw keeps compressed bytes as long as they may have to be sent as they are.
func (w *responseWriter) keepRaw(p []byte) {
	if w.stage == stageHold && w.h.FailurePolicy != policyStrict {
		w.raw = append(w.raw, p[:min(len(p), maxRaw+1-len(w.raw))]...)
	}
}

// decoded takes bytes of the decoded body.
func (w *responseWriter) decoded(p []byte) error {
	for w.stage == stageHold && len(p) > 0 {
		n := min(len(p), w.enough-len(w.head))
		w.head = append(w.head, p[:n]...)
		p = p[n:]
		if len(w.head) < w.enough {
			return nil
		}
		if w.charsetOpen() {
			w.enough = min(2*w.enough, maxHead)
			continue
		}
		if err := w.settle(false); err != nil {
			return err
		}
	}
	return w.through(p)
}

// through sends bytes of the decoded body on their way.
func (w *responseWriter) through(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	var err error
	switch w.stage {
	case stageRewrite:
		_, err = w.page.Write(p)
	case stageCopy:
		_, err = w.out.Write(p)
	case stagePass:
		_, err = client{w}.Write(p)
	}
	w.uncoded += len(p)
	return err
}

// charsetOpen reports whether more bytes are worth waiting for: of a page that is
// to be rewritten, and whose character set they may tell. Sent without one, the
// page could still choose any, also those that cannot be rewritten.
func (w *responseWriter) charsetOpen() bool {
	return len(w.head) < maxHead && !w.v.open && (!w.sniff || rewriter.Sniff(w.head)) &&
		rewriter.CharsetMore(w.Header(), w.head)
}

// settle decides from the first bytes, sends the headers and then these bytes.
// whole says that these are all there are.
func (w *responseWriter) settle(whole bool) error {
	h := w.Header()
	switch {
	case w.sniff && !rewriter.Sniff(w.head):
		if w.v.mayBePage && !w.v.free {
			// The browser must not come to another conclusion. A script or style
			// sheet without a type would not run under this field; browsers do not
			// take those for pages.
			if !w.v.open {
				h["X-Content-Type-Options"] = []string{"nosniff"}
			}
			w.keepPrivate()
		}
		w.filter()
		w.sendUnread(outcomePassed)
	case w.v.open:
		w.filterPage()
		w.sendUnread(outcomeGranted)
	default:
		w.startRewriting(h, whole)
	}
	head := w.head
	w.head, w.raw = nil, nil
	return w.through(head)
}

// sendUnread sends the headers of a body that is not rewritten. If it had to be
// decoded to be looked at, it is coded anew.
func (w *responseWriter) sendUnread(o outcome) {
	next := stagePass
	if w.dec != nil {
		h := w.Header()
		w.startCoding(w.recode(h))
		w.changeBody(h)
		next = stageCopy
	}
	if o != outcomePassed {
		w.markVariant(false) // never decoded: what is open and coded is not looked at
	} else if w.dec != nil {
		rewriter.WeakenETag(w.Header())
	}
	w.send(next, o)
}

// startCoding makes what follows leave in a coding, "" for none.
func (w *responseWriter) startCoding(coding string) {
	w.out = client{w}
	if coding != "" {
		w.enc = rewriter.NewEncoder(coding, w.out)
		w.out = w.enc
	}
}

// startRewriting sends the headers of a page that is rewritten. The character
// set it is read in is written into them, so that no later declaration makes the
// browser read it differently. whole says that w.head is all of it.
func (w *responseWriter) startRewriting(h http.Header, whole bool) {
	label, readable := rewriter.Charset(h, w.head, whole)
	w.filterPage()
	w.markVariant(w.dec != nil)
	w.startCoding(w.recode(h))
	w.changeBody(h)
	if w.sniff {
		h["Content-Type"] = []string{"text/html"} // what the browser would have come to
	}
	w.rw = w.h.rewriters.Get().(*rewriter.Rewriter)
	w.page = w.rw
	if !readable {
		w.text = rewriter.NewTranscoder(label, w.rw)
		w.page, label = w.text, "utf-8"
	}
	rewriter.PinCharset(h, label)
	w.rw.Reset(w.out, rewriter.Page{
		Bound:   w.v.at(w.v.page),
		Scheme:  w.v.scheme,
		Host:    w.v.host,
		Path:    w.v.path,
		Charset: label,
		Stubs:   true,
	})
	w.send(stageRewrite, outcomeRewritten)
}

// decideEarly decides from what there is, at a flush: the site wants its bytes
// to arrive now. With nothing there, or too little to tell, it waits on.
func (w *responseWriter) decideEarly() {
	if len(w.head) == 0 || w.err != nil || bomStart(w.head) || w.sniff && rewriter.SniffMore(w.head) {
		return
	}
	w.guard(func() error { return w.settle(false) })
}

// bomStart reports whether b could become a byte order mark.
func bomStart(b []byte) bool {
	for _, mark := range []string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe"} {
		if len(b) < len(mark) && mark[:len(b)] == string(b) {
			return true
		}
	}
	return false
}
