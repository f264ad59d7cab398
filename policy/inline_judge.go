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
}

// An inlineJudge reads a script once, from its first to its last token, and
// weighs the hits by the place they stand in.
type inlineJudge struct {
	patterns []inlinePattern
	found    []vendorFinding // by vendor
	hits     []inlineHit     // memory for the next search
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

const keptHits = 4 << 10 // more are not kept

// reset makes the judge ready for a script.
func (j *inlineJudge) reset(m *inlineMatcher, code []byte, hits []inlineHit) {
	found := j.found
	if cap(found) < len(m.vendors) {
		found = make([]vendorFinding, len(m.vendors))
	}
	found = found[:len(m.vendors)]
	clear(found)
	*j = inlineJudge{patterns: m.patterns, found: found, hits: hits, lex: jsLexer{src: code, lineStart: true}}
}

// release lets go of the script.
func (j *inlineJudge) release() {
	found, hits := j.found, j.hits
	if cap(hits) > keptHits {
		hits = nil
	}
	*j = inlineJudge{found: found, hits: hits}
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
	for v := range j.found {
		for _, at := range j.found[v].first {
			if at != 0 && (!seen || at-1 < first) {
				first, seen = at-1, true
			}
		}
	}
	if !seen {
		return !more
	}
	for v := range j.found {
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
	after := nextByte(j.lex.src, t.end)
	called := after == '(' || after == ']' || after == '`' || after == '.' || after == '?'
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
		// loadScript(…), injectScript(…), lazyload(…): whatever it is called.
		if called && len(text) <= 64 {
			j.loads = j.loads || containsFold(text, "script") || containsFold(text, "load")
		}
	}
}

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
