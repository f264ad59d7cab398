package policy

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// An inlineHit is a signature found in a script's bytes, wherever it stands.
type inlineHit struct{ start, end, pattern int }

// A vendorFinding gathers a vendor's hits: for each weight the first place of a
// loader plus one, zero if there is none.
type vendorFinding struct {
	first [numWeights]int
	call  bool
	seen  bool
}

// An inlineJudge reads a script once, from its first to its last token, and
// weighs the hits by the place they stand in.
type inlineJudge struct {
	patterns []inlinePattern
	found    []vendorFinding // by vendor
	touched  []int           // the vendors that found says something of
	hits     []inlineHit     // memory for the next search
	plain    []byte          // the same for a script without hidden escapes
	lex      jsLexer
	lit      literal

	loads      bool // the script can load something
	writes     bool // it can write markup
	runs       bool // it runs code from strings
	makeScript bool // it names the element "script"
	setsText   bool // it sets the text of an element
}

// maxDataFunctions and minPeek tell a cut script's sort: a page's state is long
// and holds no functions, or the one that builds it.
const (
	maxDataFunctions = 2
	minPeek          = 16 << 10 // bytes
)

// inlineJudges keeps the memory of judges, never what they found.
var inlineJudges = sync.Pool{New: func() any { return new(inlineJudge) }}

// What is longer is not kept.
const (
	keptHits  = 4 << 10
	keptPlain = 256 << 10 // bytes
)

// reset makes the judge ready for a script.
func (j *inlineJudge) reset(m *inlineMatcher, code []byte) {
	if len(j.found) != len(m.vendors) {
		j.found = make([]vendorFinding, len(m.vendors))
	}
	stack := j.lex.stack[:0]
	*j = inlineJudge{
		patterns: m.patterns, found: j.found, touched: j.touched, hits: j.hits, plain: j.plain,
		lex: jsLexer{src: code, stack: stack, lineStart: true},
	}
}

// release lets go of the script.
func (j *inlineJudge) release() {
	for _, v := range j.touched {
		j.found[v] = vendorFinding{}
	}
	j.touched, j.patterns, j.lex.src = j.touched[:0], nil, nil
	if cap(j.hits) > keptHits {
		j.hits = nil
	}
	if cap(j.plain) > keptPlain {
		j.plain = nil
	}
	if cap(j.lex.stack) > keptHits {
		j.lex.stack = nil
	}
}

// run weighs all hits. They are sorted first.
func (j *inlineJudge) run(hits []inlineHit) {
	slices.SortFunc(hits, func(a, b inlineHit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	for {
		t := j.lex.next()
		if t.kind == jsEnd {
			break
		}
		fresh := false // something was learnt that may settle it
		for len(hits) > 0 && hits[0].start < t.end {
			j.add(hits[0], t)
			hits = hits[1:]
			fresh = true
		}
		loads, writes, runs := j.loads, j.writes, j.runs
		j.note(t)
		j.lex.shift(t)
		fresh = fresh || loads != j.loads || writes != j.writes || runs != j.runs
		if fresh && j.settled(len(hits) > 0) {
			return
		}
	}
	j.runs = j.runs || j.setsText && j.makeScript
	j.writes = j.writes || j.runs
	if cut := j.lex.cut || len(j.lex.stack) > 0; cut {
		// What follows may load what was seen, unless this is but data.
		if j.lex.functions > maxDataFunctions || len(j.lex.src) < minPeek {
			j.loads, j.writes, j.runs = true, true, true
		}
	}
	// An unfinished literal after a guess: the guess was wrong.
	j.lex.lost = j.lex.lost || j.lex.cut && j.lex.guessed
}

// settled reports whether the rest of the script cannot change the answer: it
// loads a vendor, and none that stands before, or no loader stands in it at all
// and more says whether further hits follow.
func (j *inlineJudge) settled(more bool) bool {
	first, seen := -1, false // the first loader, whether it counts or not
	for _, v := range j.touched {
		for _, at := range j.found[v].first {
			if at != 0 && (!seen || at-1 < first) {
				first, seen = at-1, true
			}
		}
	}
	if !seen {
		return !more
	}
	for _, v := range j.touched {
		if at, ok := j.loader(v); ok && at == first {
			return true
		}
	}
	return false
}

// add weighs one hit.
func (j *inlineJudge) add(h inlineHit, t jsToken) {
	p := &j.patterns[h.pattern]
	f := &j.found[p.vendor]
	if !f.seen {
		f.seen = true
		j.touched = append(j.touched, p.vendor)
	}
	if !p.loader {
		f.call = f.call || j.weigh(p, h, t) == fullWeight
		return
	}
	best := fullWeight
	if p.shape == literalShape {
		best = ifLoading
	}
	if f.first[best] != 0 {
		return
	}
	w := j.weigh(p, h, t)
	if f.first[w] == 0 {
		f.first[w] = h.start + 1
	}
}

// loader returns where the first loader of the vendor stands that counts.
func (j *inlineJudge) loader(vendor int) (at int, ok bool) {
	for w, first := range j.found[vendor].first {
		counts := j.lex.lost
		switch inlineWeight(w) {
		case ifRun:
			counts = counts || j.runs
		case ifWritten:
			counts = counts || j.writes
		case ifLoading:
			counts = counts || j.loads
		case fullWeight:
			counts = true
		}
		if counts && first != 0 && (!ok || first-1 < at) {
			at, ok = first-1, true
		}
	}
	return at, ok
}

// note looks for what loads or writes.
func (j *inlineJudge) note(t jsToken) {
	text := j.lex.text(t)
	if t.kind == jsString && len(text) > 2 {
		text = text[1 : len(text)-1]
		j.makeScript = j.makeScript || len(text) == 6 && hasPrefixFold(text, "script")
		if hasPrefixFold(text, "data:text/javascript") || hasPrefixFold(text, "data:application/javascript") {
			j.loads, j.runs = true, true // a module, or a script's source
		}
		if j.lex.prev.kind != jsMark || j.lex.prev.mark != '[' {
			return
		}
		// document['write'](…) works like document.write(…).
	} else if t.kind != jsName {
		return
	}
	if t.kind == jsName && (len(text) > 31 || tellingNames[text[0]]&(1<<len(text)) == 0) {
		// None of those below. Calls load something if they say so, whatever they
		// are called: loadScript(…), injectScript(…), lazyload(…).
		if !j.loads && len(text) <= 64 && j.called(t.end) {
			j.loads = containsFold(text, "script") || containsFold(text, "load")
		}
		return
	}
	after := nextByte(j.lex.src, t.end)
	called := calls(after)
	switch string(text) {
	case "eval", "Function":
		j.loads = j.loads || called
		j.runs = j.runs || called
	case "__next_s": // what is pushed there, Next.js adds as scripts
		j.loads, j.runs = true, true
	case "innerHTML", "outerHTML", "insertAdjacentHTML", "createContextualFragment", "parseHTML", "parseFromString",
		"setHTMLUnsafe", "postscribe", "srcdoc", "writeln":
		j.loads, j.writes = true, true
		j.setsText = j.setsText || string(text) == "innerHTML" && after == '='
	case "write", "html", "append", "prepend", "before", "after", "appendTo", "prependTo", "replaceWith":
		j.loads = j.loads || called
		j.writes = j.writes || called
	case "createElement", "createElementNS", "appendChild", "insertBefore", "replaceChild", "insertAdjacentElement",
		"importScripts", "import", "sendBeacon", "XMLHttpRequest", "EventSource", "Worker", "SharedWorker", "require", "requirejs":
		j.loads = true
	case "fetch", "Image", "ajax", "setAttribute", "setAttributeNS", "define", "open", "register", "yepnope", "insertAfter", "axios":
		j.loads = j.loads || called || j.afterNew()
	case "src", "href", "data", "srcset":
		j.loads = j.loads || after == '=' || after == ']'
	case "text", "textContent", "innerText", "createTextNode":
		j.setsText = j.setsText || after == '=' || after == '(' || after == ']'
	case "setTimeout", "setInterval":
		j.runs = j.runs || called && j.textFollows(t.end)
	default:
		if called && len(text) <= 64 {
			j.loads = j.loads || containsFold(text, "script") || containsFold(text, "load")
		}
	}
}

// calls reports whether a name in front of this byte is called, perhaps.
func calls(after byte) bool {
	return after == '(' || after == ']' || after == '`' || after == '.' || after == '?'
}

func (j *inlineJudge) called(end int) bool { return calls(nextByte(j.lex.src, end)) }

// tellingNames has bit n set at letter c if one of the names that note knows has n
// bytes and begins with c. Most names are none of them.
var tellingNames = func() (t [256]uint32) {
	for _, name := range [...]string{
		"eval", "Function", "__next_s", "innerHTML", "outerHTML", "insertAdjacentHTML", "createContextualFragment",
		"parseHTML", "parseFromString", "setHTMLUnsafe", "postscribe", "srcdoc", "writeln", "write", "html", "append",
		"prepend", "before", "after", "appendTo", "prependTo", "replaceWith", "createElement", "createElementNS",
		"appendChild", "insertBefore", "replaceChild", "insertAdjacentElement", "importScripts", "import", "sendBeacon",
		"XMLHttpRequest", "EventSource", "Worker", "SharedWorker", "require", "requirejs", "fetch", "Image", "ajax",
		"setAttribute", "setAttributeNS", "define", "open", "register", "yepnope", "insertAfter", "axios", "src", "href",
		"data", "srcset", "text", "textContent", "innerText", "createTextNode", "setTimeout", "setInterval",
	} {
		t[name[0]] |= 1 << len(name)
	}
	return t
}()

// textFollows tells whether a call that opens at i gets a string first.
func (j *inlineJudge) textFollows(i int) bool {
	i = skipSpace(j.lex.src, i)
	return i < len(j.lex.src) && j.lex.src[i] == '(' && isQuote(nextByte(j.lex.src, i+1))
}

func (j *inlineJudge) afterNew() bool {
	return j.lex.prev.kind == jsName && string(j.lex.text(j.lex.prev)) == "new"
}

func containsFold(text []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(text); i++ {
		if text[i]|foldBit == lower[0] && bytes.EqualFold(text[i:i+len(lower)], []byte(lower)) {
			return true
		}
	}
	return false
}

// isLookup tells calls that compare, find or show a text and do not load it.
func isLookup(name []byte) bool {
	switch string(name) {
	case "indexOf", "lastIndexOf", "includes", "startsWith", "endsWith", "match", "matchAll", "test", "search", "split",
		"contains", "has", "querySelector", "querySelectorAll", "getElementById", "getElementsByName", "matches", "closest",
		"log", "warn", "error", "info", "debug", "RegExp":
		return true
	}
	return false
}
