package rewriter

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// Defaults and bounds of Options.
const (
	DefaultMaxHold   = 64 << 10
	DefaultMaxInline = 64 << 10
	minHold          = scan.LongName
)

// ErrTangled is returned for a document whose readings differ so much that
// judging all of them would take more than linear work. Nothing of the
// document's rest may be sent.
var ErrTangled = errors.New("document has too many overlapping readings")

// ErrClosed is returned by Write after Close or after an error.
var ErrClosed = errors.New("rewriter is closed")

// Options bound what a Rewriter holds. The zero value means the defaults.
type Options struct {
	// MaxHold is the number of bytes of one open tag that are held; default 64
	// KiB, at least 1 KiB. The attributes of a longer tag are judged one by one;
	// a longer script tag loses its attributes.
	MaxHold int
	// MaxInline is the number of bytes of an inline script, with its tag, that are
	// held to judge it; default 64 KiB, at least 1 KiB. A loader behind them is
	// not seen.
	MaxInline int
	// Trace, if set, is told what is seen in a document and how it is judged. It
	// is for people who look for the reason of a decision: it costs time.
	Trace func(TraceEvent)
}

// A Page says whose document is rewritten.
type Page struct {
	Bound              policy.Bound
	Scheme, Host, Path string // of the document's URL, to resolve references; Path without query
	Charset            string // label of the encoding the document is in; "" for one that extends ASCII byte by byte
	Stubs              bool   // whether inline stubs of held vendors' globals may be inserted
}

// A Rewriter holds back, in one HTML document, what the policy does not allow.
// It is made to be reused: Reset starts the next document. It is not safe for
// concurrent use.
//
// The bytes of tags that no rule hits, and everything between tags, leave as
// they came. A held element keeps its bytes and gets more: attribute names that
// load something get the prefix "data-cg-", and marker attributes say why.
// Cutting both out gives the original back.
type Rewriter struct {
	opts   Options
	dst    io.Writer
	page   Page
	base   baseURL
	scan   scan.Scanner
	report Report
	err    error
	depth  int // of nested documents
	work   int // bytes looked at, some more than once: for the tests of linearity

	buf   []byte // held input, from earlier writes
	ins   []byte // text of the edits
	edits []edit
	sent  int // input before this offset is written

	attrs   []scan.Attr // of the tag at hand: parsed, or the scanner's
	parsed  []scan.Attr
	renames []int // attributes to rename, as indexes into attrs
	value   []byte
	plain   []byte
	code    []byte
	calls   []*policy.Vendor
	stubs   []*policy.Vendor // whose stub the document has
	child   *Rewriter

	inline               inlineHold
	ampConfig            *ampElement // what the next JSON script may configure
	css                  cssScanner
	doubleByte, shiftJIS bool // of the document's encoding: see cssScanner

	inCSS  bool // inside a style element's text
	cssPos int
	held   policy.Decision  // the first decision that held something
	later  []*policy.Vendor // whose stub waits for the next script element
	hits   []cssHit
	pos    []int
	long   longTag
	cand   candidates
	trace  tracer
}

// An edit inserts ins[from:to] in front of the input byte at pos.
type edit struct{ pos, from, to int }

// New returns a Rewriter. Reset must be called before the first Write.
func New(o Options) *Rewriter {
	if o.MaxHold == 0 {
		o.MaxHold = DefaultMaxHold
	}
	if o.MaxInline == 0 {
		o.MaxInline = DefaultMaxInline
	}
	o.MaxHold, o.MaxInline = max(o.MaxHold, minHold), max(o.MaxInline, minHold)
	return &Rewriter{opts: o, err: ErrClosed}
}

// Reset starts a new document whose rewritten form goes to dst.
func (rw *Rewriter) Reset(dst io.Writer, p Page) {
	rw.dst, rw.page, rw.err = dst, p, nil
	rw.base.reset(p.Scheme, p.Host, p.Path)
	rw.scan = scan.Scanner{Attrs: rw.scan.Attrs[:0]}
	rw.report.reset()
	rw.ampConfig = nil
	rw.buf, rw.ins, rw.edits = rw.buf[:0], rw.ins[:0], rw.edits[:0]
	rw.stubs, rw.later = rw.stubs[:0], rw.later[:0]
	rw.doubleByte = doubleByteCharset(p.Charset)
	rw.shiftJIS = rw.doubleByte && strings.EqualFold(p.Charset, "shift_jis")
	rw.inCSS, rw.held = false, policy.Decision{}
	rw.sent, rw.cssPos, rw.work = 0, 0, 0
	rw.inline, rw.css, rw.long, rw.cand = inlineHold{}, cssScanner{}, longTag{}, candidates{}
	if rw.opts.Trace != nil {
		rw.trace, rw.scan.Every = tracer{}, true
	}
}

// Release lets go of the document and of what it pointed to. The Rewriter can
// be Reset again.
func (rw *Rewriter) Release() {
	rw.dst, rw.page, rw.err = nil, Page{}, ErrClosed
	rw.held = policy.Decision{}
	for _, vendors := range []*[]*policy.Vendor{&rw.calls, &rw.stubs, &rw.later} {
		clear((*vendors)[:cap(*vendors)])
		*vendors = (*vendors)[:0]
	}
	rw.base = baseURL{scratch: rw.base.scratch[:0]}
	if rw.child != nil {
		rw.child.Release()
	}
}

// Capacity returns the bytes of memory the Rewriter keeps for reuse.
func (rw *Rewriter) Capacity() int {
	n := cap(rw.buf) + cap(rw.ins) + cap(rw.value) + cap(rw.plain) + cap(rw.code) +
		cap(rw.base.scratch) + 8*(cap(rw.renames)+cap(rw.calls)+cap(rw.stubs)+cap(rw.later)+cap(rw.cand.long)) + 24*cap(rw.edits) + 48*(cap(rw.parsed)+cap(rw.scan.Attrs)) + 8*cap(rw.pos) + 16*cap(rw.hits)
	if rw.child != nil {
		n += rw.child.Capacity()
	}
	return n
}

// Report returns what was done since Reset. It is valid until the next Reset.
func (rw *Rewriter) Report() *Report {
	rw.report.Diverged = rw.scan.Diverged
	return &rw.report
}

// looked returns how many bytes were looked at since Reset.
func (rw *Rewriter) looked() int { return rw.work + rw.scan.Work + rw.css.work }

// Held returns the number of input bytes that wait for a decision.
func (rw *Rewriter) Held() int { return len(rw.buf) }

// Write rewrites the next piece of the document. Everything that can be decided
// with it has been written to the destination when Write returns. After an error
// the rest of the document must not be sent.
func (rw *Rewriter) Write(p []byte) (int, error) {
	if rw.err != nil {
		return 0, rw.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	rw.report.BytesIn += int64(len(p))
	data := p
	if len(rw.buf) > 0 {
		rw.buf = append(rw.buf, p...)
		data = rw.buf
	}
	hold := rw.run(data, false)
	if rw.err == nil {
		rw.emit(data, hold, false)
	}
	if rw.err != nil {
		return 0, rw.err
	}
	rw.keep(data, hold)
	return len(p), nil
}

// Close ends the document: what is still held is decided and written. It must
// only be called at the clean end of the input; after an upstream failure the
// held bytes must be forgotten.
func (rw *Rewriter) Close() error {
	if rw.err != nil {
		if errors.Is(rw.err, ErrClosed) {
			return nil
		}
		return rw.err
	}
	data := rw.buf
	rw.run(data, true)
	if rw.err == nil {
		if s := &rw.scan; !s.Open && !rw.cand.on && !s.InNoscript && s.InTemplate == 0 && !s.Foreign() && !s.Ghost() && !s.InFrameset() {
			rw.flushStubs(len(data), nil)
		}
		rw.emit(data, len(data), true)
	}
	if rw.err != nil {
		return rw.err
	}
	rw.buf = rw.buf[:0]
	rw.err = ErrClosed
	return nil
}

// keep remembers data[hold:] for the next write.
func (rw *Rewriter) keep(data []byte, hold int) {
	if hold == 0 && len(rw.buf) > 0 {
		return // nothing moves: small pieces must not cost a copy each
	}
	rest := data[hold:]
	rw.work += len(rest)/16 + len(rw.edits) // a copy is cheaper than a look
	if len(rw.buf) > 0 {
		n := copy(rw.buf, rest)
		rw.buf = rw.buf[:n]
	} else {
		rw.buf = append(rw.buf, rest...)
	}
	rw.scan.Shift(hold)
	rw.sent -= hold
	for i := range rw.edits {
		rw.edits[i].pos -= hold
	}
	rw.inline.shift(hold)
	rw.cssPos -= hold
	rw.long.shift(hold)
	rw.cand.shift(hold)
}

// run scans data and collects edits. It returns the offset from which bytes must
// be held.
func (rw *Rewriter) run(data []byte, eof bool) (hold int) {
	for rw.err == nil {
		ev := rw.scan.Next(data, eof)
		if rw.opts.Trace != nil {
			rw.traceEvent(data, ev)
		}
		if rw.long.on && !rw.scan.Long {
			rw.long = longTag{} // the tag was none: its end lay inside it
		}
		if rw.scan.Tangled {
			rw.err = ErrTangled
			return 0
		}
		if rw.scan.Diverged && !rw.cand.on {
			rw.cand = candidates{on: true, pos: rw.scan.DivergedAt}
		}
		switch ev {
		case scan.StartTag, scan.OpenTag:
			rw.startTag(data, ev == scan.OpenTag)
		case scan.RawText:
			switch rw.scan.Elem {
			case scan.Style:
				rw.styleText(data)
			case scan.Script:
				rw.scriptText(data)
			}
		case scan.More, scan.Done:
			return rw.pause(data, eof)
		}
	}
	return 0
}

// pause decides how much of data must be held when the scanner wants more.
func (rw *Rewriter) pause(data []byte, eof bool) int {
	if begin, ok := rw.scan.InTag(); ok && !eof && !rw.long.on && len(data)-begin > rw.opts.MaxHold {
		rw.enterLong(data, begin)
	}
	hold := rw.scan.Hold
	if rw.long.on {
		hold = min(hold, rw.longAttrs(data, len(data), false))
	}
	if rw.inline.on {
		hold = min(hold, rw.inline.start)
	}
	if rw.inCSS {
		hold = min(hold, rw.cssPos)
	}
	if rw.cand.on {
		hold = min(hold, rw.candidates(data, eof))
	}
	if rw.scan.Tangled {
		rw.err = ErrTangled
	}
	return hold
}

// insert adds an edit in front of the byte at pos.
func (rw *Rewriter) insert(pos int, text ...string) {
	from := len(rw.ins)
	for _, t := range text {
		rw.ins = append(rw.ins, t...)
	}
	rw.edits = append(rw.edits, edit{pos, from, len(rw.ins)})
}

// emit writes data[sent:to] with the edits in it. Edits at to or behind wait:
// another reading may still have something to say about the bytes in between.
func (rw *Rewriter) emit(data []byte, to int, eof bool) {
	if to <= rw.sent && !eof {
		return // the edits wait, and are not looked through for each small piece
	}
	rw.work += len(rw.edits)
	rw.sortEdits()
	n := len(rw.edits)
	for n > 0 && !eof && rw.edits[n-1].pos >= to {
		n--
	}
	if n == 0 {
		if rw.sent < to {
			rw.write(data[rw.sent:to])
			rw.sent = to
		}
		return
	}
	buf := outputs.Get().(*[]byte)
	defer outputs.Put(buf)
	out := (*buf)[:0]
	for _, e := range rw.edits[:n] {
		if e.pos < rw.sent {
			rw.err = ErrTangled // a decision that came too late
			return
		}
		if e.pos > rw.sent {
			if gap := data[rw.sent:e.pos]; len(gap) < directSize {
				out = append(out, gap...)
			} else {
				rw.write(out)
				out = out[:0]
				rw.write(gap)
			}
			rw.sent = e.pos
		}
		out = append(out, rw.ins[e.from:e.to]...)
	}
	if rw.sent < to {
		if gap := data[rw.sent:to]; len(gap) < directSize {
			out = append(out, gap...)
		} else {
			rw.write(out)
			out = out[:0]
			rw.write(gap)
		}
		rw.sent = to
	}
	rw.write(out)
	if cap(out) <= largestOutput {
		*buf = out[:0]
	}
	if rw.edits = rw.edits[:copy(rw.edits, rw.edits[n:])]; len(rw.edits) == 0 {
		rw.ins = rw.ins[:0]
	}
}

// outputs are what emit puts together, only while it runs: documents that wait
// for their next piece hold none.
var outputs = sync.Pool{New: func() any { return new([]byte) }}

const (
	// directSize is the length from which untouched stretches are not copied. A
	// copy costs less than another write to the client, and pieces are as long as
	// what proxies copy at a time.
	directSize    = 32 << 10
	largestOutput = 256 << 10
)

func (rw *Rewriter) write(b []byte) {
	if len(b) == 0 || rw.err != nil {
		return
	}
	n, err := rw.dst.Write(b)
	rw.report.BytesOut += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	rw.err = err
}

// sortEdits orders the edits by position. They are nearly always in order: only
// documents whose readings diverge produce overlapping ones.
func (rw *Rewriter) sortEdits() {
	e := rw.edits
	byPos := func(a, b edit) int { return a.pos - b.pos }
	if !slices.IsSortedFunc(e, byPos) {
		slices.SortStableFunc(e, byPos)
	}
	if !rw.cand.on {
		return
	}
	// The same edit of the same byte, found in two readings, is made once.
	n := 0
	for i := range e {
		if n > 0 && e[n-1].pos == e[i].pos && string(rw.ins[e[n-1].from:e[n-1].to]) == string(rw.ins[e[i].from:e[i].to]) {
			continue
		}
		e[n] = e[i]
		n++
	}
	rw.edits = e[:n]
}
