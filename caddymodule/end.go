package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/consentgate/consentgate/rewriter"
)

// largestPooled is how many bytes a rewriter may have grown to and still be kept
// for the next page. Ordinary pages stay far below.
const largestPooled = 256 << 10

// end finishes the response after the handlers behind returned err.
func (w *responseWriter) end(err error) error {
	if err != nil {
		return w.endFailed(err)
	}
	if w.status == 0 && w.stage == stageOpen {
		// Nobody answered. Caddy will, with status 200 and no body, unless a
		// handler outside us does; the status is not ours to set.
		w.filter()
		w.did = outcomePassed
	}
	if w.stage == stageHold || w.stage == stageRewrite || w.stage == stageCopy {
		switch {
		case w.err != nil:
		case w.taken < w.announced:
			w.breakShort()
		default:
			w.guard(w.finishBody)
		}
	}
	if w.stage.sent() {
		w.trailers()
	}
	return w.conclude(nil)
}

// breakShort breaks off a page of which less came than was announced, though the
// handlers behind did not fail: those that serve files take a file that shrank
// for its end. net/http would notice, had the announcement not gone with the
// length of the page.
func (w *responseWriter) breakShort() {
	// What came is shown, as if it broke off without us.
	if err := w.FlushError(); err != nil && w.err == nil && !errors.Is(err, http.ErrNotSupported) {
		w.err, w.gone = err, true
	}
	if w.err == nil {
		w.h.logger.Error("the site sent less of a page than it announced; the response is broken off",
			zap.Int64("announced", w.announced), zap.Int64("taken", w.taken))
		w.did, w.err = outcomeAborted, errBroken
	}
}

// finishBody lets out what the end of the body decides.
func (w *responseWriter) finishBody() error {
	if w.dec != nil {
		if err := w.dec.Close(); err != nil {
			return err
		}
	}
	if w.stage == stageHold {
		if err := w.settle(true); err != nil {
			return err
		}
	}
	if w.text != nil {
		if err := w.text.Close(); err != nil {
			return err
		}
	}
	if w.stage == stageRewrite {
		if err := w.rw.Close(); err != nil {
			return err
		}
	}
	if w.enc != nil {
		return w.enc.Close()
	}
	return nil
}

// endFailed passes the error of the handlers behind on. If nothing has left, the
// error routes can still answer; they find the header map as the site left it.
// A page that has begun must break off: an error page appended to it would pass
// us by.
func (w *responseWriter) endFailed(err error) error {
	if !w.stage.sent() {
		w.did = outcomeFailed
		w.release()
		w.count()
		return err
	}
	switch w.stage {
	case stagePass:
		return w.conclude(err)
	case stageDrop:
		return w.conclude(nil) // we have answered, whatever the site does
	}
	if w.err == nil {
		w.did, w.err = outcomeAborted, errBroken
		fields := []zap.Field{}
		if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			fields = append(fields, zap.Int("status", handlerErr.StatusCode), zap.String("err_id", handlerErr.ID))
		}
		w.h.logger.Error("the site failed in the middle of a page; the response is broken off", fields...)
	}
	return w.conclude(err)
}

// conclude counts the response, releases what it held and breaks it off if it
// must not look complete.
func (w *responseWriter) conclude(err error) error {
	w.count()
	w.release()
	if w.err != nil && !w.gone {
		panic(http.ErrAbortHandler) // the only way net/http offers
	}
	return err
}

// toldToStop reports whether the handlers behind were made to fail by us, after
// we had answered in full.
func (w *responseWriter) toldToStop() bool {
	return w.stage == stageDrop && w.dropped > maxDropped
}

// abandon is called when the handlers behind panicked, as Caddy's reverse proxy
// does when the site breaks off. The panic goes on; nothing is written.
func (w *responseWriter) abandon() {
	w.did = outcomeAborted
	w.count()
	w.release()
}

// count counts the response once it is over.
func (w *responseWriter) count() {
	if w.counted {
		return
	}
	w.counted = true
	m := w.h.metrics
	if w.did != outcomeRewritten && w.err != nil {
		w.did = outcomeAborted
	}
	m.outcome(w.did).Inc()
	var rep rewriter.Report
	if w.rw != nil {
		rep = *w.rw.Report()
		m.countPage(&rep, w.spent)
	}
	if c := w.h.logger.Check(zapcore.DebugLevel, "response"); c != nil {
		c.Write(
			zap.String("outcome", string(w.did)),
			zap.Int("status", w.status),
			zap.String("state", w.v.state.Level(w.h.policy.Scheme())),
			zap.Int64("bytes_in", rep.BytesIn),
			zap.Int64("bytes_out", rep.BytesOut),
			zap.Duration("spent", w.spent),
		)
	}
}

// release gives back what the response held.
func (w *responseWriter) release() {
	if w.dec != nil {
		w.dec.Abort()
		w.dec = nil
	}
	if w.rw != nil {
		w.rw.Release()
		if w.rw.Capacity() <= largestPooled {
			w.h.rewriters.Put(w.rw)
		}
		w.rw = nil
	}
	if w.enc != nil {
		w.enc.Abort() // without an end, unless it was closed
		w.enc = nil
	}
	w.head, w.raw, w.out, w.page, w.text = nil, nil, nil, nil, nil
	w.unreserve()
}
