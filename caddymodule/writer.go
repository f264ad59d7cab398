package caddymodule

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/consentgate/consentgate/rewriter"
)

// A stage is how far a response has come.
type stage uint8

const (
	stageOpen    stage = iota // no final status yet
	stageHold                 // status known, headers held until the first bytes decide
	stagePass                 // headers sent, the body goes to the client as it comes
	stageCopy                 // headers sent, the body is decoded and not rewritten
	stageRewrite              // headers sent, the body goes through the rewriter
	stageDrop                 // we answered in place of the site; its body is dropped
)

// sent reports whether the headers have left.
func (s stage) sent() bool { return s > stageHold }

// responseWriter stands between the site and the visitor. It holds the final
// headers back until it is known what happens to the body, which is at once for
// everything but pages, and at the latest when 1024 bytes of a page have come
// (8192 if its character set is still open), the site flushes or the response
// ends. Then it filters the headers, sends them and lets the body pass, or sends
// it through the rewriter.
//
// The header map is shared with whoever wrote into it before and with the error
// routes that follow if the handlers behind fail. It is therefore only touched
// at the moment the headers leave.
//
// Hijacking and deadlines are none of our business: http.ResponseController finds
// them through the embedded writer's Unwrap.
//
// Nothing here is bound to a goroutine, and nothing is locked: like any
// http.ResponseWriter it is used by one goroutine at a time. Caddy's reverse
// proxy flushes from a timer, under the lock that guards its writes.
type responseWriter struct {
	*caddyhttp.ResponseWriterWrapper // points to below, so that a response is one piece of memory
	below                            caddyhttp.ResponseWriterWrapper

	h *Handler
	v visit

	status  int
	empty   bool // no body was announced, and none may follow
	stage   stage
	did     outcome
	counted bool
	active  bool // activeVar points here

	// Set from stageHold on, for bodies that are looked at.
	sniff  bool              // whether it is a page depends on its first bytes
	dec    *rewriter.Decoder // nil: the body is not compressed
	head   []byte            // first bytes of the decoded body, until they decide
	enough int               // so many of them are looked at next
	raw    []byte            // the same bytes before decoding, if they may have to be passed as they are
	out    io.Writer         // where the decoded or rewritten body goes
	enc    *rewriter.Encoder // codes it on the way; nil: it is sent as it is
	rw     *rewriter.Rewriter
	text   io.WriteCloser // turns the page into UTF-8 for the rewriter; nil: it is readable
	page   io.Writer      // where the page enters: text or rw
	memory int            // set aside for the page

	coded   time.Time // when enc was last made to let everything out
	uncoded int       // bytes given to it since

	announced int64 // Content-Length of a body that is looked at; negative: none
	taken     int64 // bytes of it that came

	dropped int   // bytes of the site dropped after our own answer
	err     error // ends the response: every further Write returns it
	gone    bool  // err came from the client's side

	spent  time.Duration // in our code
	waited time.Duration // in writes to the client
}

func newResponseWriter(h *Handler, w http.ResponseWriter) *responseWriter {
	rw := &responseWriter{h: h}
	rw.below.ResponseWriter = w
	rw.ResponseWriterWrapper = &rw.below
	return rw
}

// WriteHeader remembers the final status and acts on it as far as it can without
// the body. Informational answers are passed on.
func (w *responseWriter) WriteHeader(status int) {
	switch {
	case w.status != 0:
	case status == http.StatusSwitchingProtocols:
		// The connection is about to be taken over. Browsers store the cookies
		// of this answer.
		w.status = status
		w.pass(outcomePassed)
	case status >= 100 && status <= 199:
		w.inform(status)
	default:
		w.status = status
		w.begin()
	}
}

// Write takes the next bytes of the body.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	switch w.stage {
	case stagePass:
		if w.empty && len(p) > 0 {
			// Handlers around us that change lengths would let it through, unread.
			return 0, http.ErrContentLength
		}
		n, err := w.ResponseWriterWrapper.Write(p)
		if err != nil {
			w.err, w.gone = err, true
		}
		return n, err
	case stageDrop:
		return w.drop(p)
	}
	return w.feed(p)
}

// ReadFrom takes the body from r. A body that passes unchanged goes straight to
// the client, so that the kernel can copy files (sendfile); the promoted method
// would let every body do so, past the rewriter.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	var n int64
	if w.stage == stageHold {
		var err error
		// Most pages are decided by then; those that are not are copied.
		n, err = w.copyFrom(io.LimitReader(r, headSize))
		if err != nil || n < headSize {
			return n, err
		}
	}
	if w.stage != stagePass || w.err != nil || w.empty {
		m, err := w.copyFrom(r)
		return n + m, err
	}
	m, err := w.ResponseWriterWrapper.ReadFrom(r)
	if err != nil && w.err == nil {
		// From the file or from the client; either way nothing can follow.
		w.err, w.gone = err, true
	}
	return n + m, err
}

// copyFrom copies r through Write.
func (w *responseWriter) copyFrom(r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{w}, r, buf[:])
}

// FlushError sends what is decided to the client. While nothing is, it does
// nothing: flushing the writer below would send status 200 and the headers as
// they are now.
func (w *responseWriter) FlushError() error {
	if w.stage == stageHold {
		w.decideEarly()
	}
	switch {
	case w.err != nil:
		return w.err
	case !w.stage.sent():
		return nil
	}
	// The rewriter and the decoder keep nothing that is decided.
	if w.enc != nil {
		w.guard(w.enc.Flush)
		if w.err != nil {
			return w.err
		}
	}
	return w.flush()
}

func (w *responseWriter) flush() error {
	return http.NewResponseController(w.ResponseWriterWrapper).Flush() //nolint:bodyclose // no body here
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

const copyBufferSize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// Interface guards
var (
	_ http.ResponseWriter                       = (*responseWriter)(nil)
	_ io.ReaderFrom                             = (*responseWriter)(nil)
	_ interface{ FlushError() error }           = (*responseWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*responseWriter)(nil)
)
