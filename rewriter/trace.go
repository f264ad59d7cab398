package rewriter

import (
	"bytes"
	"strings"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// A TraceSort says what a TraceEvent is about.
type TraceSort uint8

const (
	// What the scanner sees, in the reading it follows.
	TraceStart   TraceSort = iota // a start tag
	TraceEnd                      // an end tag
	TraceComment                  // a comment, declaration, instruction or CDATA section
	TraceText                     // a piece of the text of a script, style or other raw text element
	TraceOpen                     // a tag or comment in which the document ends
	// Where readings part, and the tags that some other reading may see from there
	// on. The tags of the first reading are among them.
	TraceDiverged
	TraceCandidate
	// TraceLong: a tag longer than MaxHold.
	TraceLong
	// How something is judged.
	TraceURL  // an address that is loaded
	TraceCode // code that belongs to a vendor
	TraceHeld // an element that is held, with the first decision that held it
	// TraceStub: a stub of the decision's vendor is inserted, since code of the
	// page calls it.
	TraceStub
)

var traceNames = [...]string{
	"start tag", "end tag", "comment", "text", "unfinished", "diverged", "candidate", "long tag", "url", "code", "held", "stub",
}

func (s TraceSort) String() string {
	if int(s) < len(traceNames) {
		return traceNames[s]
	}
	return "unknown"
}

// A TraceEvent is one thing seen or judged. Events come in the order in which
// decisions are made, which is not always that of the document.
type TraceEvent struct {
	Sort       TraceSort
	Start, End int64 // bytes of the document; End is 0 if there is only a place
	// Depth counts the documents around this one, which stands in an attribute
	// or data: URL; Start is then where that begins, and Inner counts from there
	// in its decoded text.
	Depth int
	Inner int64

	Element string // in lower case
	Within  string // what stands around it and changes how it is read: "noscript", "template", "svg desc"…
	Unsure  bool   // Within is not known for sure

	Attr     string // the attribute judged, "" for the text of an element
	URL      string // resolved, without its port; as written if it is no http or https address
	Kind     policy.Kind
	Decision policy.Decision
	Why      string // of TraceDiverged
}

// A tracer keeps what the events of one document have in common.
type tracer struct {
	base    int64 // offset in the document of the data at hand
	at      int64 // of what is being judged
	outer   int64 // of the document in the one around it
	attr    string
	element string
	around  traceContext // the tag at hand
	next    traceContext // what comes behind it
	parted  bool
}

// A traceContext is Within and Unsure of an event.
type traceContext struct {
	name   string
	unsure bool
}

// newTrace fills in a new event about data[start:end].
func (rw *Rewriter) newTrace(sort TraceSort, start, end int64) TraceEvent {
	t := &rw.trace
	ev := TraceEvent{Sort: sort, Start: start, End: end, Depth: rw.depth, Element: t.element, Within: t.around.name, Unsure: t.around.unsure}
	if rw.depth > 0 {
		ev.Start, ev.End, ev.Inner = t.outer, 0, start
	}
	return ev
}

// traceEvent tells what the scanner found.
func (rw *Rewriter) traceEvent(data []byte, found scan.Event) {
	s, t := &rw.scan, &rw.trace
	if t.base = 0; rw.depth == 0 {
		t.base = rw.report.BytesIn - int64(len(data))
	}
	if s.Diverged && !t.parted {
		t.parted = true
		ev := rw.newTrace(TraceDiverged, t.base+int64(s.DivergedAt), 0)
		ev.Element, ev.Why = "", s.Cause.String()
		rw.opts.Trace(ev)
	}
	var sort TraceSort
	switch found {
	case scan.StartTag:
		sort = TraceStart
	case scan.OpenTag:
		sort = TraceOpen
	case scan.EndTag:
		sort = TraceEnd
	case scan.Comment:
		sort = TraceComment
	case scan.RawText:
		sort = TraceText
	default:
		return
	}
	switch {
	case sort == TraceComment:
		t.element = ""
	case sort != TraceText:
		t.element = lower(s.Name(data))
	}
	if s.Open && (sort == TraceEnd || sort == TraceComment) {
		sort = TraceOpen
	}
	before := t.next
	t.next.name, t.next.unsure = rw.traceWithin()
	t.around = t.next
	if sort == TraceStart && len(before.name) <= len(t.next.name) {
		t.around = before // what the tag opens is not around it
	}
	if sort != TraceText || s.Start < s.End {
		rw.opts.Trace(rw.newTrace(sort, t.base+int64(s.Start), t.base+int64(s.End)))
	}
}

// traceWithin names what stands around the place the scanner has reached.
func (rw *Rewriter) traceWithin() (within string, unsure bool) {
	s := &rw.scan
	var words []string
	if s.InFrameset() {
		words = append(words, "frameset")
	}
	if s.InTemplate > 0 {
		words = append(words, "template")
	}
	if s.InNoscript {
		words = append(words, "noscript")
	}
	name, sure := s.Within()
	if name != "" {
		words = append(words, name)
	}
	return strings.Join(words, " "), !sure
}

// traceCandidate tells of a tag that some reading may see.
func (rw *Rewriter) traceCandidate(data []byte, e element) {
	t := &rw.trace
	t.element, t.around = lower(data[e.start+1:e.nameEnd]), traceContext{}
	rw.opts.Trace(rw.newTrace(TraceCandidate, t.base+int64(e.start), t.base+int64(e.end)))
}

// traceLong tells of a tag whose attributes are judged one by one.
func (rw *Rewriter) traceLong(data []byte, begin int) {
	t := &rw.trace
	if t.base = 0; rw.depth == 0 {
		t.base = rw.report.BytesIn - int64(len(data))
	}
	t.element = lower(data[begin+1 : scan.NameEnd(data[:min(len(data), begin+64)], begin+1)])
	rw.opts.Trace(rw.newTrace(TraceLong, t.base+int64(begin), 0))
}

// traceOuter returns where a document inside what is being judged begins.
func (rw *Rewriter) traceOuter() int64 {
	if rw.depth > 0 {
		return rw.trace.outer
	}
	return rw.trace.at
}

// traceAt notes where what is judged next stands.
func (rw *Rewriter) traceAt(pos int, attr string) {
	rw.trace.at, rw.trace.attr = rw.trace.base+int64(pos), lower([]byte(attr))
}

// traceURL tells how an address was judged: loc if it has one, else raw as it is
// written.
func (rw *Rewriter) traceURL(raw []byte, loc *policy.Location, d policy.Decision, k policy.Kind) {
	ev := rw.newTrace(TraceURL, rw.trace.at, 0)
	ev.Attr, ev.Kind, ev.Decision, ev.URL = rw.trace.attr, k, d, string(raw)
	if loc != nil && len(loc.Host) > 0 {
		ev.URL = string(loc.Scheme) + "://" + string(loc.Host) + string(loc.Path)
		if len(loc.Query) > 0 {
			ev.URL += "?" + string(loc.Query)
		}
	}
	rw.opts.Trace(ev)
}

// traceCode tells how code was judged, if it is a vendor's.
func (rw *Rewriter) traceCode(d policy.Decision, k policy.Kind) {
	if d.Vendor == nil && d.Action == policy.Allow {
		return
	}
	ev := rw.newTrace(TraceCode, rw.trace.at, 0)
	ev.Attr, ev.Kind, ev.Decision = rw.trace.attr, k, d
	rw.opts.Trace(ev)
}

// traceHeld tells that an element is held.
func (rw *Rewriter) traceHeld(e element, d policy.Decision) {
	ev := rw.newTrace(TraceHeld, rw.trace.base+int64(e.start), rw.trace.base+int64(e.end))
	ev.Decision = d
	rw.opts.Trace(ev)
}

// traceStub tells of a stub.
func (rw *Rewriter) traceStub(pos int, v *policy.Vendor) {
	ev := rw.newTrace(TraceStub, rw.trace.base+int64(pos), 0)
	ev.Decision = policy.Decision{Action: policy.Allow, Category: v.Category, Vendor: v, Reason: policy.NotGranted}
	rw.opts.Trace(ev)
}

// lower folds as tag names do: ASCII only.
func lower(name []byte) string {
	out := bytes.Clone(name)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return string(out)
}
